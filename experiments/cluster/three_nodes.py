"""A search on a cluster of three nodes on this machine: one worker node is killed in the middle, another joins.

    python experiments/cluster/three_nodes.py FOLDER [--trials 24]

Starts a head without cores of its own and two worker nodes with one each by `ray start`, runs nas-search on them, kills
everything of one node when a third of the trials is done, starts a third worker node, and says what became of the
trials. FOLDER gets the run and what the processes printed.
"""

import argparse
import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HOST = "127.0.0.1"
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


class Node:
    """One `ray start`, in the foreground, and all that it starts."""

    def __init__(self, name: str, options: list[str], folder: Path) -> None:
        self._log = folder / f"{name}.log"
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *options]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | SETTINGS)
        wait_for(f"the start of node {name}", lambda: "runtime started" in self._log.read_text(), self._process)

    def kill(self) -> None:
        """End it and everything that it started, as a power cut would."""
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


def descendants(pid: int) -> list[int]:
    """List a process's children and theirs."""
    children = collections.defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found = list(children[pid])
    for child in found:
        found += children[child]
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, true: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Poll; give up after ten minutes, or where the process ends."""
    give_up = time.monotonic() + 600
    while not true():
        if time.monotonic() > give_up or (process is not None and process.poll() is not None):
            raise SystemExit(f"{what} did not happen")
        time.sleep(0.2)


def trials(run: Path) -> list[dict[str, object]]:
    path = run / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    """Run it, and print what became of the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=24)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    port, run = free_port(), given.folder / "run"
    common = [f"--node-ip-address={HOST}", "--object-store-memory=200000000"]
    joining = [f"--address={HOST}:{port}", "--num-cpus=1", *common]
    nodes = [
        Node("head", ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", *common], given.folder)
    ]
    try:
        nodes += [Node(name, joining, given.folder) for name in ("first", "second")]
        search = [str(Path(sys.executable).with_name("nas-search")), "--target-ms", "15", "--w", "-0.15", "--seed", "7"]
        search += ["--trials", str(given.trials), "--ray-address", f"{HOST}:{port}", "--out", str(run)]
        with (given.folder / "search.log").open("w") as log:
            process = subprocess.Popen(search, stdout=log, stderr=log)
        wait_for("a third of the trials", lambda: len(trials(run)) >= given.trials // 3, process)
        print(f"after {len(trials(run))} trials: killing a node, and starting another", flush=True)
        nodes[1].kill()
        nodes.append(Node("third", joining, given.folder))
        process.wait()
    finally:
        for node in reversed(nodes):
            node.kill()
    done = trials(run)
    states = collections.Counter(str(trial["state"]) for trial in done)
    once = sorted(trial["trial"] for trial in done) == list(range(given.trials))
    print(f"exit {process.returncode}; {len(done)} of {given.trials} trials, each once: {once}; {dict(states)}")
    print(re.sub(r"\n+", "\n", (given.folder / "search.log").read_text())[-600:])


if __name__ == "__main__":
    main()
