"""Tables of known rewards, on which methods are compared in seconds: nothing is trained.

A task is named ``TABLE/PERCENTILE/W``: the target is that percentile of the table's latency, and the reward is the
paper's soft one, accuracy * (latency / target)**W. Tables are ``macro`` (NAS-Bench-Macro, FLOPs for latency), and
``zcu102`` and ``vck190`` (the MnasNet space on ImageNet, imagenet.py). ``synthetic/SEED`` or ``synthetic/SEED/NOISE``
is a made-up problem without latency, in which each seed is another problem.
"""

import csv
import itertools
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

MNASNET = (4, 2, 2, 3, 3, 3) * 7
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is told, and what counts."""

    name: str
    sizes: tuple[int, ...]
    true_accuracy: Callable[[Tokens], float]
    error: Callable[[Tokens, int], float]  # of the accuracy seen by the search of that seed
    latency: Callable[[Tokens], float]
    target: float
    w: float
    best: float = float("nan")  # the highest true reward

    @property
    def decisions(self) -> tuple[str, ...]:
        """Name the decisions as a space does; none for NAS-Bench-Macro, which has one a layer and no stages."""
        kind = self.name.partition("/")[0]
        if kind == "macro":
            return ()
        each = 6 if kind == "synthetic" else 4
        return tuple(f"stage{index // each + 1}.{index % each}" for index in range(len(self.sizes)))

    def accuracy(self, tokens: Tokens, seed: int) -> float:
        """Return the accuracy as the search of that seed sees it; the same for the same network."""
        return self.true_accuracy(tokens) + self.error(tokens, seed)

    def known(self, tokens: Tokens) -> tuple[float, float]:
        """Return what is known before training: reward = slope * accuracy + offset."""
        return ((self.latency(tokens) / self.target) ** self.w if self.w else 1.0), 0.0

    def told(self, tokens: Tokens, seed: int) -> float:
        """Return the reward as the search of that seed sees it."""
        slope, offset = self.known(tokens)
        return slope * self.accuracy(tokens, seed) + offset

    def true(self, tokens: Tokens) -> float:
        """Return the reward without the error of observation."""
        slope, offset = self.known(tokens)
        return slope * self.true_accuracy(tokens) + offset

    def noisier(self, factor: float) -> "Task":
        """Return the task with errors of observation that many times as large."""
        error = self.error
        return replace(self, error=lambda tokens, seed: factor * error(tokens, seed))


def load(name: str, folder: Path) -> Task:
    """Make a task by its name, of the tables in a folder."""
    table, *parts = name.split("/")
    numbers = [float(part) for part in parts]
    if table == "synthetic":
        return synthetic(name, int(numbers[0]), *numbers[1:])
    if table == "macro":
        return macro(name, folder / "nas_bench_macro_cifar10.csv", *numbers)
    if table in ("zcu102", "vck190"):
        import imagenet

        return imagenet.task(name, folder / "imagenet.npz", table, *numbers)
    raise SystemExit(f"unknown table {table!r} in task {name!r}; known are macro, synthetic, vck190, zcu102")


def macro(name: str, path: Path, percentile: float, w: float) -> Task:
    """NAS-Bench-Macro (Su et al. 2021), 8 decisions of 3: told one training run, judged by the mean of three."""
    with path.open(newline="") as file:
        rows = {tuple(int(digit) for digit in row["arch"]): row for row in csv.DictReader(file)}
    flops = {tokens: float(row["flops"]) for tokens, row in rows.items()}
    mean = {tokens: float(row["mean_acc"]) / 100 for tokens, row in rows.items()}
    first = {tokens: float(row["acc_run1"]) / 100 for tokens, row in rows.items()}
    target = percentile_of(sorted(flops.values()), percentile)
    task = Task(name, (3,) * 8, mean.__getitem__, lambda t, seed: first[t] - mean[t], flops.__getitem__, target, w)
    return replace(task, best=max(task.true(tokens) for tokens in rows))


def percentile_of(ordered: list[float], percentile: float) -> float:
    """Return the value that this percentage of the values stays below; halfway between two where it falls so."""
    place = percentile / 100 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def drawn_error(tokens: Tokens, seed: int, spread: float) -> float:
    """Draw a normal error that is always the same for one network and seed."""
    return random.Random(f"{seed} {tokens}").gauss(0, spread)


def synthetic(name: str, seed: int, noise: float = 0.0) -> Task:
    """42 decisions of MnasNet's sizes: normal effects of choices, and of pairs of neighbours half as strong.

    Scaled so that random proposals have mean 0.70 and standard deviation 0.02, about as accuracies on ImageNet; noise
    is the standard deviation of an observed accuracy's error. The best is exact (a chain of neighbours is solved by
    dynamic programming).
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
    errors: Callable[[Tokens, int], float] = lambda tokens, seed: drawn_error(tokens, seed, noise)  # noqa: E731
    return Task(name, MNASNET, lambda t: scaled(raw(t)), errors, lambda _: 1.0, 1.0, 0.0, scaled(max(best)))
