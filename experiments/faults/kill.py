"""One search killed by `kill -9` at random moments, beside the same search that nobody disturbs.

    python experiments/faults/kill.py FOLDER [--kills 20] [--trials 60] [--seed 1]

One worker, children of a tenth of a second each: the driver dies while Ray starts, in trials, between them, and in the
final training. At the end every trial has to be there once, and trials, updates and the controller's state have to be
those of the undisturbed search.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import torch
import yaml

TASK = {
    "proxy": {
        "resolution": 16,
        "train_images": 256,
        "validation_images": 100,
        "recipe": {"epochs": 1, "least_steps": 0},
    },
    "final": {"epochs": 2, "least_steps": 0},
}
SEARCH = [str(Path(sys.executable).with_name("nas-search"))]


def lines(path: Path) -> list[dict[str, object]]:
    """Read whole lines, without the seconds that no two runs share."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def controller(run: Path) -> str:
    """Give the controller's state and the progress as text."""
    torch.set_printoptions(precision=17, threshold=10**9)
    return repr(torch.load(run / "controller.pt", weights_only=True))


def main() -> None:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    config = given.folder / "task.yaml"
    config.write_text(yaml.safe_dump(TASK))
    options = ["--target-ms", "15", "--w", "-0.15", "--config", str(config), "--trials", str(given.trials)]
    options += ["--workers", "1", "--seed", "3"]
    whole, killed = given.folder / "whole", given.folder / "killed"
    subprocess.run([*SEARCH, *options, "--out", str(whole)], check=True, stdout=subprocess.DEVNULL)

    draw, command = random.Random(given.seed), [*SEARCH, *options, "--out", str(killed)]
    each, died = given.trials / given.kills, []
    with (given.folder / "killed.log").open("w") as log:
        for kill in range(given.kills):
            process = subprocess.Popen(command, stdout=log, stderr=log)
            until = min(given.trials, int(kill * each + draw.uniform(0, 2 * each)))
            while process.poll() is None and len(lines(killed / "trials.jsonl")) < until:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.5))
            process.kill()
            process.wait()
            died.append(len(lines(killed / "trials.jsonl")))
            if (killed / "config.yaml").exists():
                command = [*SEARCH, "--resume", str(killed)]
        print(f"killed {len(died)} times, with so many trials done: {died}", flush=True)
        subprocess.run(command, check=True, stdout=log, stderr=log)

    done = lines(killed / "trials.jsonl")
    once = sorted(trial["trial"] for trial in done) == list(range(given.trials))
    print(f"{len(done)} of {given.trials} trials, each once: {once}")
    for name in ("trials.jsonl", "updates.jsonl"):
        print(f"{name} as undisturbed: {lines(killed / name) == lines(whole / name)}")
    print(f"controller.pt as undisturbed: {controller(killed) == controller(whole)}")


if __name__ == "__main__":
    main()
