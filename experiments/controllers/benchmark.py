"""Compare the settings of the controllers on tables of known rewards: many seeds in minutes, no training.

Regret is the best reward of the table less the best found so far, times 100 (reward points); lower is better.

    python experiments/controllers/benchmark.py DATA/nas_bench_macro_cifar10.csv [--seeds 20] [--only random reinforce]
"""

import argparse
import csv
import itertools
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from controllers import create

MNASNET = (4, 2, 2, 3, 3, 3) * 7
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A table of rewards: what a search is told, and what counts."""

    name: str
    sizes: tuple[int, ...]
    told: Callable[[Tokens], float]
    true: Callable[[Tokens], float]
    best: float


def macro_tasks(path: Path) -> list[Task]:
    """NAS-Bench-Macro (Su et al. 2021), 8 decisions of 3: told one training run, judged by the mean of three."""
    with path.open(newline="") as file:
        rows = {tuple(int(digit) for digit in row["arch"]): row for row in csv.DictReader(file)}
    median = statistics.median(float(row["flops"]) for row in rows.values())
    return [_macro(rows, median, name, w) for name, w in (("macro", 0.0), ("macro, FLOPs at w -0.07", -0.07))]


def _macro(rows: dict[Tokens, dict[str, str]], median: float, name: str, w: float) -> Task:
    cost = {tokens: (float(row["flops"]) / median) ** w for tokens, row in rows.items()}
    told = {tokens: float(row["acc_run1"]) / 100 * cost[tokens] for tokens, row in rows.items()}
    true = {tokens: float(row["mean_acc"]) / 100 * cost[tokens] for tokens, row in rows.items()}
    return Task(name, (3,) * 8, told.__getitem__, true.__getitem__, max(true.values()))


def synthetic_task(seed: int = 0) -> Task:
    """42 decisions of MnasNet's sizes: normal effects of choices, and of pairs of neighbours half as strong.

    Scaled so that random proposals have mean 0.70 and standard deviation 0.02, about as accuracies on ImageNet. The
    best is exact (a chain of neighbours is solved by dynamic programming).
    """
    draw = random.Random(seed)
    single = [[draw.gauss(0, 1) for _ in range(size)] for size in MNASNET]
    pair = [[[draw.gauss(0, 0.5) for _ in range(b)] for _ in range(a)] for a, b in itertools.pairwise(MNASNET)]

    def raw(tokens: Tokens) -> float:
        singles = sum(effects[token] for effects, token in zip(single, tokens, strict=True))
        return singles + sum(effects[a][b] for effects, (a, b) in zip(pair, itertools.pairwise(tokens), strict=True))

    sample = [raw(tuple(draw.randrange(size) for size in MNASNET)) for _ in range(5000)]
    mean, spread = statistics.fmean(sample), statistics.stdev(sample)

    def scaled(value: float) -> float:
        return 0.70 + 0.02 * (value - mean) / spread

    best = list(single[0])  # best[b]: of all beginnings that end in choice b
    for effects, choices in zip(pair, single[1:], strict=True):
        best = [max(best[a] + effects[a][b] for a in range(len(best))) + choices[b] for b in range(len(choices))]
    return Task("42 decisions", MNASNET, lambda t: scaled(raw(t)), lambda t: scaled(raw(t)), scaled(max(best)))


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    label: str
    controller: str
    options: dict[str, object]


SETTINGS = [
    Setting("random", "random", {}),
    Setting("reinforce", "reinforce", {}),
    Setting("learning_rate 0.002", "reinforce", {"learning_rate": 0.002}),
    Setting("learning_rate 0.004", "reinforce", {"learning_rate": 0.004}),
    Setting("learning_rate 0.016", "reinforce", {"learning_rate": 0.016}),
    Setting("learning_rate 0.03", "reinforce", {"learning_rate": 0.03}),
    Setting("entropy_weight 0", "reinforce", {"entropy_weight": 0.0}),
    Setting("entropy_weight 0.25", "reinforce", {"entropy_weight": 0.25}),
    Setting("entropy_weight 1", "reinforce", {"entropy_weight": 1.0}),
    Setting("entropy_weight 0, plain", "reinforce", {"entropy_weight": 0.0, "normalise_advantages": False}),
]


@dataclass(frozen=True, slots=True)
class Curve:
    """One search: regret at each mark, and the entropy left at the end."""

    regrets: tuple[float, ...]
    entropy_share: float


def search(task: Task, setting: Setting, batch: int, seed: int, marks: list[int]) -> Curve:
    """Search one table once."""
    controller = create(setting.controller, task.sizes, seed, setting.options)
    found: list[float] = []
    while len(found) < marks[-1]:
        proposals = controller.ask(batch)
        controller.tell([(proposal, task.told(proposal.tokens)) for proposal in proposals])
        found += [task.true(proposal.tokens) for proposal in proposals]
    regrets = tuple(100 * (task.best - max(found[:mark])) for mark in marks)
    return Curve(regrets, controller.diagnostics()["entropy_share"])


def row(task: Task, setting: Setting, batch: int, seeds: int, marks: list[int]) -> str:
    """Run one setting over all seeds; return a row of markdown: mean regret (standard error) at each mark."""
    curves = [search(task, setting, batch, seed, marks) for seed in range(seeds)]
    cells = []
    for column in zip(*(curve.regrets for curve in curves), strict=True):
        cells.append(f"{statistics.fmean(column):.2f} ({statistics.stdev(column) / seeds**0.5:.2f})")
    entropy = statistics.fmean(curve.entropy_share for curve in curves)
    return f"| {task.name} | {batch} | {setting.label} | {' | '.join(cells)} | {entropy:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="nas_bench_macro_cifar10.csv")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", metavar="CONTROLLER", help="rows of the table, by name; default all")
    parser.add_argument("--batch", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--marks", type=int, nargs="+", default=[100, 200, 500], help="evaluations, rising")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [setting for setting in SETTINGS if not arguments.only or setting.label in arguments.only]
    marks = arguments.marks
    start = time.perf_counter()
    print(f"| table | batch | controller | {' | '.join(f'at {mark}' for mark in marks)} | entropy at {marks[-1]} |")
    print("|---|---|---|" + "---|" * (len(marks) + 1))
    for task in [*macro_tasks(arguments.table), synthetic_task()]:
        for batch, setting in itertools.product(arguments.batch, chosen):
            print(row(task, setting, batch, arguments.seeds, marks), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
