"""What is checked and chosen before a search begins: the table, the space, the target's place in its latency range."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

from latency import LatencyTable, MissingOpsError
from nas.config import SearchConfig
from nas.points import latency_by_tokens
from nas.target import Target
from search_spaces import InputError, load_space, shipped_spaces

SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class LatencyRange:
    """The latencies of a space on a table, in ms: the exact extremes, and sorted samples between them.

    ``sampled`` names what the samples are of.
    """

    lowest_ms: float
    highest_ms: float
    samples_ms: tuple[float, ...]
    sampled: str = "random networks"

    @classmethod
    def of_all(cls, latencies_ms: Iterable[float]) -> "LatencyRange":
        """Take the latencies of all networks that there are."""
        ordered = tuple(sorted(latencies_ms))
        return cls(ordered[0], ordered[-1], ordered, "networks")

    def quantile_ms(self, share: float) -> float:
        """Give the latency that a share of random networks stays below."""
        return self.samples_ms[min(int(share * len(self.samples_ms)), len(self.samples_ms) - 1)]

    def share_below(self, latency_ms: float) -> float:
        """Give the share of random networks that are faster than this."""
        return sum(sample < latency_ms for sample in self.samples_ms) / len(self.samples_ms)

    def reaches(self, target: Target) -> bool:
        """Say whether some network may lie within the tolerance of a target."""
        return target.meets(self.lowest_ms) and self.highest_ms >= target.ms * (1 - target.tolerance)

    def gap_ms(self, latency_ms: float) -> float:
        """Give the distance from a latency to the nearest that the space may have."""
        return max(self.lowest_ms - latency_ms, latency_ms - self.highest_ms, 0.0)

    def span(self) -> str:
        """Give the extremes in words."""
        return f"{self.lowest_ms:.1f} to {self.highest_ms:.1f} ms"

    def __str__(self) -> str:
        low, middle, high = (self.quantile_ms(share) for share in (0.05, 0.5, 0.95))
        return (
            f"{self.span()}; "
            f"of {len(self.samples_ms):,} {self.sampled} half are below {middle:.1f} ms, nine tenths in "
            f"{low:.1f} to {high:.1f} ms"
        )


def latency_range(name: str, table: LatencyTable, samples: int = SAMPLES) -> LatencyRange:
    """Measure a space (a shipped name or a file) against a table; ``MissingOpsError`` if the table lacks its Ops."""
    space = load_space(name)
    table.check_ops(space.ops(), name)
    latency_ms = latency_by_tokens(space, table)
    rng = random.Random(0)  # the range is a fact about space and table, the same in every run
    drawn = sorted(latency_ms(space.sample(rng)) for _ in range(samples))
    fastest, slowest = space.extremes(table.op_ms)
    return LatencyRange(latency_ms(fastest), latency_ms(slowest), tuple(drawn))


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

    def distance(name: str) -> tuple[float, float, str]:
        found = ranges[name]
        return found.gap_ms(target_ms), abs(found.share_below(target_ms) - 0.5), name

    best = min(ranges, key=distance)
    return SpaceChoice(best, ranges[best], tuple((name, count) for name, count in lacking.items() if count))


def place_search(config: SearchConfig, table: LatencyTable) -> tuple[SearchConfig, list[str]]:
    """Fill in the space that suits the target where none was asked for; also what to say of its latencies.

    ``InputError`` if the target lies outside them.
    """
    said = []
    if config.space is None:
        choice = choose_space(table, config.target_ms)
        name, found = choice.name, choice.range
        said += [f"space {name}: of the shipped ones the target lies best in its range"]
        said += [f"left out: space {other}, of which the table lacks {count} Ops" for other, count in choice.lacking]
        advice = "and no other shipped space comes nearer"
    else:
        name, found = config.space, latency_range(config.space, table)
        advice = "" if found.reaches(config.target) else _space_that_fits(table, config.target)
    check_reach(found, config.target, f"the networks of space {name} on {config.device} take", advice)
    said += [f"latency table {table.header.sentence()}", f"latency of {name} on {config.device}: {found}"]
    if not table.header.checked:
        said.append(
            "warning: this table was never checked on networks that it had not seen; nas-build-lut --check 50 does that"
        )
    return config.model_copy(update={"space": name}), said


def check_reach(found: LatencyRange, target: Target, who_take: str, advice: str = "") -> None:
    """Raise ``InputError``, with the range and an advice, unless some network may lie within a target's tolerance."""
    if not found.reaches(target):
        raise InputError(
            f"no network can land on the target of {target.ms:g} ms: {who_take} {found.span()}{advice and ', '}{advice}"
        )


def _space_that_fits(table: LatencyTable, target: Target) -> str:
    """Name the shipped space that would reach a target."""
    try:
        choice = choose_space(table, target.ms)
    except MissingOpsError:
        return "and the table covers no shipped space"
    if choice.range.reaches(target):
        return f"--space {choice.name} would do, with {choice.range.span()}"
    return f"and no shipped space reaches it ({choice.name} comes nearest, with {choice.range.span()})"


def table_fingerprint(table: LatencyTable) -> str:
    """Give a text that changes when a table's latencies do."""
    text = repr(sorted((op.key, timing.median_ms) for op, timing in table.timings.items())) + repr(
        table.header.overhead_ms
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
