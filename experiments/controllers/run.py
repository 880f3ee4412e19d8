"""Run methods on tasks over seeds; append one row of regrets to a CSV file for each search. Rows there are not redone.

Regret is 100 * (best true reward of the task - true reward of the best network proposed so far): reward points.

    python experiments/controllers/run.py --tables DIR --out FILE.csv --seeds 0:20 \
        --tasks macro/50/-0.07 zcu102/50/-0.07 --methods random reinforce evolution:population=20,sample=5
"""

import argparse
import csv
import functools
import itertools
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from methods import OurController, make
from tasks import Task, load

MARKS = (25, 50, 75, 100, 150, 200, 300, 400, 500)


@dataclass(frozen=True, slots=True)
class Job:
    """One search; in the file, what tells its row from others."""

    task: str
    noise: float
    batch: int
    method: str
    seed: int


RESULTS = [*(f"at_{mark}" for mark in MARKS), "entropy_share", "warnings", "seconds"]
COLUMNS = [*(field.name for field in fields(Job)), *RESULTS]


def search(job: Job, tables: Path) -> dict[str, object]:
    """Search one task once; return its row."""
    task = _task(job.task, job.noise, tables)
    method = make(job.method, task, job.seed)
    true: list[float] = []
    seconds = 0.0  # of the method alone
    while len(true) < MARKS[-1]:
        start = time.perf_counter()
        asked = method.ask(job.batch)
        seconds += time.perf_counter() - start
        true += [task.true(tokens) for tokens in asked]
        told = [(tokens, task.told(tokens, job.seed)) for tokens in asked]
        start = time.perf_counter()
        method.tell(told)
        seconds += time.perf_counter() - start
        if isinstance(method, OurController):
            method.check(told)
    regrets = {f"at_{mark}": f"{100 * (task.best - max(true[:mark])):.4f}" for mark in MARKS}
    share = warnings = ""
    if isinstance(method, OurController):
        share = f"{method.controller.diagnostics()['entropy_share']:.3f}"
        warnings = ";".join(f"{warning.kind}@{warning.trials}" for warning in method.health.warnings)
    return {**asdict(job), **regrets, "entropy_share": share, "warnings": warnings, "seconds": f"{seconds:.2f}"}


@functools.cache
def _task(name: str, noise: float, tables: Path) -> Task:
    return load(name, tables).noisier(noise)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def missing(jobs: list[Job], out: Path) -> list[Job]:
    """Return the jobs whose row the file does not have; begin the file where there is none."""
    if not out.exists():
        out.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with out.open(newline="", encoding="utf-8") as file:
        done = {
            Job(row["task"], float(row["noise"]), int(row["batch"]), row["method"], int(row["seed"]))
            for row in csv.DictReader(file)
        }
    return [job for job in jobs if job not in done]


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tables", type=Path, required=True, help="folder of nas_bench_macro_cifar10.csv, imagenet.npz"
    )
    parser.add_argument("--tasks", nargs="+", required=True, help="see tasks.py")
    parser.add_argument("--methods", nargs="+", required=True, help="see methods.py")
    parser.add_argument("--seeds", default="0:20", help="FIRST:END, the end excluded")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--noise", type=float, default=1.0, help="times the error of an observed accuracy")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    seeds = range(*(int(end) for end in given.seeds.split(":")))
    jobs = [
        Job(task, given.noise, given.batch, method, seed)
        for task, method, seed in itertools.product(given.tasks, given.methods, seeds)
    ]
    os.environ["OMP_NUM_THREADS"] = "1"  # before a worker loads a library that reads it
    left = missing(jobs, given.out)
    with ProcessPoolExecutor(given.processes, initializer=_one_thread) as pool, given.out.open("a", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS)
        futures = [pool.submit(search, job, given.tables) for job in left]
        for count, future in enumerate(as_completed(futures), 1):
            rows.writerow(future.result())
            file.flush()
            print(f"\r{count} of {len(left)} searches", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
