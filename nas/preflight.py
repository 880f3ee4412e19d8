"""What is checked and chosen before a search begins: the table, the space, the target's place in its latency range."""

import random
from dataclasses import dataclass

from latency import LatencyTable
from search_spaces import load_space, shipped_spaces

SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class LatencyRange:
    """The latencies of a space on a table, in ms: the exact extremes, and sorted samples between them."""

    lowest_ms: float
    highest_ms: float
    samples_ms: tuple[float, ...]

    def quantile_ms(self, share: float) -> float:
        """Give the latency that a share of random networks stays below."""
        return self.samples_ms[min(int(share * len(self.samples_ms)), len(self.samples_ms) - 1)]

    def share_below(self, latency_ms: float) -> float:
        """Give the share of random networks that are faster than this."""
        return sum(sample < latency_ms for sample in self.samples_ms) / len(self.samples_ms)

    def holds(self, latency_ms: float) -> bool:
        """Say whether some network of the space may be this fast, or this slow."""
        return self.lowest_ms <= latency_ms <= self.highest_ms

    def __str__(self) -> str:
        low, middle, high = (self.quantile_ms(share) for share in (0.05, 0.5, 0.95))
        return (
            f"{self.lowest_ms:.1f} to {self.highest_ms:.1f} ms; "
            f"of {len(self.samples_ms):,} random networks half are below {middle:.1f} ms, nine tenths in "
            f"{low:.1f} to {high:.1f} ms"
        )


def latency_range(name: str, table: LatencyTable, samples: int = SAMPLES) -> LatencyRange:
    """Measure a space (a shipped name or a file) against a table; ``MissingOpsError`` if the table lacks its Ops."""
    space = load_space(name)
    table.check_ops(space.ops(), name)
    rng = random.Random(0)  # the range is a fact about space and table, the same in every run
    drawn = sorted(table.estimate_ms(space.decode(space.sample(rng))) for _ in range(samples))
    fastest, slowest = space.extremes(table.op_ms)
    return LatencyRange(
        table.estimate_ms(space.decode(fastest)), table.estimate_ms(space.decode(slowest)), tuple(drawn)
    )


@dataclass(frozen=True, slots=True)
class SpaceChoice:
    """The space chosen for a target, its range, and the spaces of which the table lacks so many Ops."""

    name: str
    range: LatencyRange
    lacking: tuple[tuple[str, int], ...]


def choose_space(table: LatencyTable, target_ms: float) -> SpaceChoice:
    """Choose the shipped space in whose middle the target lies best, among those that the table covers.

    ``MissingOpsError`` if it covers none.
    """
    lacking = {name: len(table.missing(load_space(name).ops())) for name in shipped_spaces()}
    if all(lacking.values()):
        name = min(lacking, key=lambda name: lacking[name])
        table.check_ops(load_space(name).ops(), name)
    ranges = {name: latency_range(name, table) for name, count in lacking.items() if not count}

    def distance(name: str) -> tuple[bool, float, str]:
        found = ranges[name]
        return not found.holds(target_ms), abs(found.share_below(target_ms) - 0.5), name

    best = min(ranges, key=distance)
    return SpaceChoice(best, ranges[best], tuple((name, count) for name, count in lacking.items() if count))
