"""Plant faults in searches, and see whether each is warned of within 60 trials; see that healthy ones are not.

Appends one row for each search to a CSV file, rows there are not redone, and prints two tables of it. Seeds alternate
between batches of 5 and of 10.

    OMP_NUM_THREADS=1 python experiments/controllers/health.py --tables DIR --out FILE.csv [--seeds 0:20]
"""

import argparse
import csv
import functools
import itertools
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tasks import Task, Tokens, load

from controllers import create
from controllers.policy_gradient import PolicyOptions
from nas.health import Health
from nas.health_state import Decisions
from nas.loop import run_in_process
from nas.points import Point
from nas.preflight import LatencyRange, check_reach
from nas.search import Outcome, PolicyUpdate, Search
from nas.target import Target
from search_spaces import InputError

METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "reinforce": ("reinforce", {}),
    "reinforce, screen 0": ("reinforce", {"screen": 0}),
    "ppo": ("ppo", {}),
}
FAULTY_TASKS = ("macro/50/-0.07", "zcu102/50/-0.07", "synthetic/SEED")
TASKS = (*FAULTY_TASKS, "macro/50/0", "zcu102/10/-0.15")
WANTED = {  # what is to be raised for each fault
    "learning rate x 100": {"large step", "settled policy"},
    "constant reward": {"constant"},
    "constant accuracy": {"constant"},
    "noise for reward": {"no pattern"},
    "noise for accuracy": {"no pattern"},
}
FAULT_TRIALS, HEALTHY_TRIALS = 60, 200
RANDOM = 2000  # networks drawn uniformly, whose mean reward the proposals of a table are compared with


@dataclass(frozen=True, slots=True)
class Job:
    """One search; in the file, what tells its row from others. ``fault`` is empty where there is none."""

    fault: str
    task: str
    batch: int
    method: str
    seed: int


@dataclass(frozen=True, slots=True)
class TaskPoints:
    """A task's networks, of which tokens are all that is known."""

    task: Task

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.task.sizes

    def point(self, tokens: Tokens) -> Point:
        return Point("-".join(map(str, tokens)), self.task.latency(tokens), None)


def planted(job: Job, task: Task) -> tuple[Task, dict[str, object]]:
    """Give the task with the job's fault in its rewards, and the options with the fault in them."""
    options: dict[str, object] = {}
    if job.fault == "learning rate x 100":
        options["learning_rate"] = 100 * PolicyOptions().learning_rate
    if job.fault in ("constant reward", "noise for reward"):
        task = replace(task, w=0.0)
    if job.fault.startswith("constant"):
        task = replace(task, true_accuracy=lambda tokens: 0.7, error=lambda tokens, seed: 0.0)
    if job.fault.startswith("noise"):
        error: Callable[[Tokens, int], float] = lambda tokens, seed: random.Random(f"{seed} {tokens}").gauss(0, 0.02)  # noqa: E731
        task = replace(task, true_accuracy=lambda tokens: 0.7, error=error)
    return task, options


def search(job: Job, tables: Path) -> dict[str, object]:
    """Run one search as nas-search does; return its row."""
    task, fault = planted(job, _task(job.task, tables))
    name, options = METHODS[job.method]
    budget = FAULT_TRIALS if job.fault else HEALTHY_TRIALS
    health = Health(Decisions(task.sizes, task.decisions))
    chance = _random_reward(task, job.seed) if job.task.startswith("macro") else None

    def note(update: PolicyUpdate) -> None:
        gain = {} if chance is None else {"table_gain": update.mean_reward - chance}
        health.note(replace(update, diagnostics=update.diagnostics | gain), running.results)

    known = task.known if task.w else None
    running = Search(
        points=TaskPoints(task),
        controller=create(name, task.sizes, job.seed, options | fault, known),
        reward=lambda accuracy, ms: accuracy * ((ms / task.target) ** task.w if task.w else 1.0),
        trials=budget,
        batch=job.batch,
        on_trial=lambda trial: None,
        on_update=note,
    )
    run_in_process(running, lambda candidate: Outcome(task.accuracy(candidate.tokens, job.seed), 0.0))
    return asdict(job) | {"raised": ";".join(f"{warning.kind}@{warning.trials}" for warning in health.warnings)}


def _random_reward(task: Task, seed: int) -> float:
    rng = random.Random(0)
    drawn = [tuple(rng.randrange(size) for size in task.sizes) for _ in range(RANDOM)]
    return statistics.fmean(task.told(tokens, seed) for tokens in drawn)


@functools.lru_cache(maxsize=8)
def _task(name: str, tables: Path) -> Task:
    return load(name, tables)


def jobs(tasks: list[str], methods: list[str], seeds: range) -> Iterator[Job]:
    """List the searches, faulty and healthy ones."""
    for seed, fault, task, method in itertools.product(seeds, ["", *WANTED], tasks, methods):
        if (fault and task not in FAULTY_TASKS) or (fault.endswith("accuracy") and task == "synthetic/SEED"):
            continue  # without latency the reward is the accuracy
        yield Job(fault, task.replace("SEED", str(seed)), (5, 10)[seed % 2], method, seed)


def table(rows: list[dict[str, str]]) -> None:
    """Print who raised what."""
    print("| fault | task | method | searches | raised within 60 trials | latest | beside it |")
    print("|---|---|---|---|---|---|---|")
    for (fault, task, method), group in _grouped(rows):
        raised = [dict(part.split("@") for part in row["raised"].split(";") if part) for row in group]
        wanted = WANTED.get(fault, set())
        hits = [
            min(int(at) for kind, at in found.items() if kind in wanted) for found in raised if wanted & found.keys()
        ]
        others = sorted({kind for found in raised for kind in found.keys() - wanted})
        alarms = sum(bool(found) for found in raised)
        said = f"{len(hits)} | {max(hits, default='–')}" if fault else f"{alarms} false alarms | –"
        print(f"| {fault or 'none, 200 trials'} | {task} | {method} | {len(group)} | {said} | {', '.join(others)} |")


def _grouped(rows: list[dict[str, str]]) -> Iterator[tuple[tuple[str, str, str], list[dict[str, str]]]]:
    def key(row: dict[str, str]) -> tuple[str, str, str]:
        task = "synthetic" if row["task"].startswith("synthetic") else row["task"]
        return row["fault"], task, row["method"]

    for group, members in itertools.groupby(sorted(rows, key=key), key):
        yield group, list(members)


def out_of_reach(tables: Path) -> str:
    """Ask for a latency that no network of NAS-Bench-Macro has, and return what a search says before it begins."""
    task = _task("macro/50/-0.07", tables)
    found = LatencyRange.of_all(task.latency(tokens) for tokens in itertools.product(*map(range, task.sizes)))
    try:
        check_reach(found, Target(2 * found.highest_ms), "the networks of NAS-Bench-Macro take")
    except InputError as error:
        return str(error)
    return "nothing"


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="see tasks.py")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", default="0:20", help="FIRST:END, the end excluded")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    seeds = range(*(int(end) for end in given.seeds.split(":")))
    columns = [*(field.name for field in fields(Job)), "raised"]
    if not given.out.exists():
        given.out.write_text(",".join(columns) + "\n", encoding="utf-8")
    with given.out.open(newline="", encoding="utf-8") as file:
        done = {tuple(row[field.name] for field in fields(Job)) for row in csv.DictReader(file)}
    with given.out.open("a", newline="", encoding="utf-8") as file:
        for job in jobs(given.tasks, given.methods, seeds):
            if tuple(map(str, asdict(job).values())) not in done:
                csv.DictWriter(file, columns).writerow(search(job, given.tables))
                file.flush()
    with given.out.open(newline="", encoding="utf-8") as file:
        table(list(csv.DictReader(file)))
    print(f"\na target outside the range: {out_of_reach(given.tables)}")


if __name__ == "__main__":
    main()
