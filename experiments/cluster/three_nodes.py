"""A search on a cluster of three nodes on this machine: one of them is killed in the middle.

    python experiments/cluster/three_nodes.py FOLDER [--trials 24] [--lose worker|head] [--apart]

Starts a head without cores of its own and two worker nodes with one each by `ray start`, runs nas-search on them, and
kills everything of one node when a third of the trials is done. Where it was a worker node, a third one joins; where it
was the head, the search is resumed on another cluster. Says what became of the trials. FOLDER gets the run and what the
processes printed.

``--apart`` (Linux, as root): each node has a network address, a /tmp and a ~/.cache of its own, so that nothing but Ray
carries code and images between them. FOLDER must then lie elsewhere than in /tmp.
"""

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
HERE = Path(sys.executable).parent
BRIDGE, SUBNET = "nas-bridge", "10.77.0"
OWN_FOLDERS = 'mount -t tmpfs none /tmp && mkdir -p "$HOME/.cache" && mount -t tmpfs none "$HOME/.cache" && exec "$@"'


class Machine:
    """Where a node runs: here, or in namespaces of its own."""

    def __init__(self, number: int, apart: bool) -> None:
        self.address = f"{SUBNET}.{number}" if apart else "127.0.0.1"
        self._name = f"nas-{number}" if apart else ""
        self._node: int | None = None  # a process of its node, whose folders are its own
        if apart:
            port = f"nas-port-{number}"
            run(f"ip netns add {self._name}")
            run(f"ip link add {port} type veth peer name eth0 netns {self._name}")
            run(f"ip link set {port} master {BRIDGE} up")
            for setting in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                run(f"ip -n {self._name} {setting}")

    def start(self, command: list[str], log: Path, node: bool = False) -> subprocess.Popen[bytes]:
        """Start a command; with ``node`` the first one, which gets folders of its own that the others then see."""
        if self._name and node:
            command = ["ip", "netns", "exec", self._name, "unshare", "-m", "sh", "-c", OWN_FOLDERS, "sh", *command]
        elif self._name:
            command = ["nsenter", f"--target={self._node}", "--mount", "--net", *command]
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | SETTINGS)
        if node:
            self._node = process.pid
        return process

    def remove(self) -> None:
        """Remove its namespaces."""
        if self._name:
            run(f"ip netns delete {self._name}")


class Node:
    """One `ray start`, in the foreground, and all that it starts."""

    def __init__(self, machine: Machine, name: str, options: list[str], folder: Path) -> None:
        log = folder / f"{name}.log"
        here = [f"--node-ip-address={machine.address}", "--object-store-memory=200000000"]
        self._process = machine.start([str(HERE / "ray"), "start", "--block", *options, *here], log, node=True)
        wait_for(f"the start of node {name}", lambda: "runtime started" in log.read_text(), self._process)

    def kill(self) -> None:
        """End it and everything that it started, as a power cut would."""
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


class Cluster:
    """A head and worker nodes, each on a machine."""

    def __init__(self, machines: Iterator[Machine], folder: Path) -> None:
        self._machines, self._folder = machines, folder
        self.home = next(machines)
        self.address = f"{self.home.address}:{free_port()}"
        port = self.address.rpartition(":")[2]
        options = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false"]
        self.nodes = {"head": Node(self.home, f"head-{port}", options, folder)}

    def join(self, name: str) -> None:
        """Add a node with one core."""
        options = [f"--address={self.address}", "--num-cpus=1"]
        self.nodes[name] = Node(next(self._machines), name, options, self._folder)

    def kill(self) -> None:
        for node in reversed(self.nodes.values()):
            node.kill()


def run(command: str) -> None:
    subprocess.run(command.split(), check=True)


@contextlib.contextmanager
def machines(apart: bool) -> Iterator[Iterator[Machine]]:
    """Give machines, one after another; they are removed at the end."""
    made: list[Machine] = []

    def made_one_by_one() -> Iterator[Machine]:
        while True:
            made.append(Machine(len(made) + 1, apart))
            yield made[-1]

    if apart:
        run(f"ip link add {BRIDGE} type bridge")
        run(f"ip link set {BRIDGE} up")
    try:
        yield made_one_by_one()
    finally:
        for machine in made:
            machine.remove()
        if apart:
            run(f"ip link delete {BRIDGE}")


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
        probe.bind(("127.0.0.1", 0))
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


def said(log: Path) -> str:
    return re.sub(r"\n+", "\n", log.read_text())[-900:]


def search(cluster: Cluster, options: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start nas-search on the head's machine."""
    return cluster.home.start([str(HERE / "nas-search"), *options, "--ray-address", cluster.address], log)


def survive(given: argparse.Namespace, at_hand: Iterator[Machine]) -> int:
    """Run the search through the loss of a node; give its exit code."""
    folder: Path = given.folder
    out = folder / "run"
    begun = ["--target-ms", "15", "--w", "-0.15", "--seed", "7", "--trials", str(given.trials), "--out", str(out)]
    clusters = [Cluster(at_hand, folder)]
    try:
        clusters[0].join("first")
        clusters[0].join("second")
        process = search(clusters[0], begun, folder / "search.log")
        wait_for("a third of the trials", lambda: len(trials(out)) >= given.trials // 3, process)
        print(f"after {len(trials(out))} trials: killing a node", flush=True)
        if given.lose == "worker":
            clusters[0].nodes["first"].kill()
            clusters[0].join("third")
            return process.wait()
        clusters[0].nodes["head"].kill()
        print(f"nas-search ended with {process.wait()} and {len(trials(out))} trials; its last words:", flush=True)
        print(said(folder / "search.log"), flush=True)
        clusters[0].kill()
        clusters.append(Cluster(at_hand, folder))
        clusters[1].join("third")
        return search(clusters[1], ["--resume", str(out)], folder / "resumed.log").wait()
    finally:
        for cluster in clusters:
            cluster.kill()


def main() -> None:
    """Run it, and print what became of the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--lose", choices=["worker", "head"], default="worker")
    parser.add_argument("--apart", action="store_true", help="give each node an address and folders of its own")
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    with machines(given.apart) as at_hand:
        code = survive(given, at_hand)
    done = trials(given.folder / "run")
    states = collections.Counter(str(trial["state"]) for trial in done)
    once = sorted(trial["trial"] for trial in done) == list(range(given.trials))
    print(f"exit {code}; {len(done)} of {given.trials} trials, each once: {once}; {dict(states)}")
    print(said(given.folder / ("search.log" if given.lose == "worker" else "resumed.log")))


if __name__ == "__main__":
    main()
