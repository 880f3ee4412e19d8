"""Steps of NetAdapt an hour, its proposals judged one at a time and side by side.

    python experiments/netadapt_parallel/measure.py --data cifar10_train.zip --out /tmp/parallel

Runs of one worker and of two take turns, so that a machine that changes its speed favours neither. A run's time is that
of the whole command, Ray's start included, but for the seed's training.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path


def adapt(out: Path, options: list[str], workers: int) -> tuple[int, float]:
    """Run nas-adapt; give its steps and its seconds."""
    command = ["nas-adapt", *options, "--workers", str(workers), "--threads", "1", "--out", str(out), "--json"]
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout.splitlines()[-1])["steps"]), time.perf_counter() - begin


def main() -> None:
    """Measure each number of workers in turn, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10's training images as class folders, or a zip of them")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--target", default="0.95", help="share of the seed's latency, at which a run ends")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    shared = ["--data", given.data, "--train-images", "8000", "--steps", "60"]
    seed = given.out / "seed"
    if not (seed / "adapted.pt").exists():  # a target above the seed's latency gives back the seed, trained
        adapt(
            seed, ["mobilenet_v3_small", *shared, "--resolution", "32", "--seed-epochs", "3", "--target-ms", "100"], 1
        )
    rates: dict[int, list[float]] = {workers: [] for workers in given.workers}
    for number in range(given.rounds):
        for workers in given.workers:
            options = [str(seed), *shared, "--target", given.target]
            steps, seconds = adapt(given.out / f"{workers}-{number}", options, workers)
            an_hour = 3600 * steps / seconds
            rates[workers].append(an_hour)
            print(f"{workers} at a time: {steps} steps in {seconds:.0f} s, {an_hour:.0f} an hour", flush=True)
    for workers in given.workers[1:]:
        ratios = [more / one for more, one in zip(rates[workers], rates[given.workers[0]], strict=True)]
        print(f"{workers} workers against {given.workers[0]}: {statistics.fmean(ratios):.2f}x")


if __name__ == "__main__":
    main()
