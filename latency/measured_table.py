"""Tables from measurements: which chains to time on a source, and the table that follows from them.

Ops are timed alone and, where the source tells what each Op of a network takes (`latency.source.ProfilingSource`),
inside networks that together hold every Op. Random networks of the spaces, timed whole, teach how that adds up.
"""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date

from latency.accuracy import accuracy
from latency.correction import FOLDS, Correction, Known, fit, left_out
from latency.inside import Inside
from latency.protocol import EMPTY, Measurement, usual_reference_ms
from latency.source import Chain, SourceFacts
from latency.table import Accuracy, LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, SearchSpace, lower

TEACHING_NETWORKS = 80  # that teach how Ops add up; more predict no better (docs/measuring.md)
TEACHING_PROFILED = 48  # the same where Ops are timed inside networks, too: there is less to learn
COVER_TIMES = 2  # networks that an Op is timed in
_DRAWS = 20  # tries for a network, before a space is held to have no more


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table is to hold, and what to time for it.

    ``covering``: networks that together hold each Op, to be profiled. ``teaching``: networks to be timed whole; with
    none of them no Op is timed alone.
    """

    ops: tuple[Op, ...]
    covering: tuple[Chain, ...]
    teaching: tuple[Chain, ...]

    def profiled(self) -> list[Chain]:
        """List the networks to be profiled."""
        return list(self.covering)

    def chains(self) -> list[Chain]:
        """List all else to be timed."""
        networks = [chain for chain in self.teaching if chain not in set(self.covering)]
        alone = [(op,) for op in self.ops] if self.teaching else []
        return list(dict.fromkeys([EMPTY, *networks, *alone]))


def plan(spaces: Sequence[SearchSpace], archs: Sequence[Arch], profile: bool, seed: int = 0) -> Plan:
    """Plan a table of these spaces' Ops and these networks'; ``InputError`` if nothing can teach how Ops add up."""
    asked = [tuple(lower(arch)) for arch in archs]
    ops = tuple(dict.fromkeys([op for space in spaces for op in space.ops()] + [op for chain in asked for op in chain]))
    if profile:
        rng = random.Random(seed)
        cover = [lower(space.decode(tokens)) for space in spaces for tokens in space.paths().covering(COVER_TIMES, rng)]
        networks = tuple(dict.fromkeys([*map(tuple, cover), *asked]))
        return Plan(ops, networks, _teachers(spaces, TEACHING_PROFILED, seed))
    if not spaces:
        raise InputError("a table of Ops timed alone needs a space, from which networks are drawn: add --space")
    return Plan(ops, (), _teachers(spaces, TEACHING_NETWORKS, seed))


def random_networks(spaces: Sequence[SearchSpace], count: int, seed: int) -> tuple[Chain, ...]:
    """Draw different networks, from each space in turn: fewer than ``count`` if the spaces hardly have so many."""
    rng = random.Random(seed)
    found: dict[Chain, None] = {}
    for number in range(_DRAWS * count):
        space = spaces[number % len(spaces)]
        found[tuple(lower(space.decode(space.sample(rng))))] = None
        if len(found) == count:
            break
    return tuple(found)


def _teachers(spaces: Sequence[SearchSpace], count: int, seed: int) -> tuple[Chain, ...]:
    """Draw networks that teach; of small spaces not all, so that a check finds others."""
    half = max(1, sum(space.cardinality for space in spaces) // 2)
    return random_networks(spaces, min(count, half), seed) if spaces else ()


def table_from(planned: Plan, measurements: Sequence[Measurement], facts: SourceFacts, made_on: Date) -> LatencyTable:
    """Make the table of what was planned and measured."""
    reference_ms = usual_reference_ms(measurements)
    overhead_ms = _timings(measurements, reference_ms)[EMPTY].median_ms
    rows = (_learned if planned.teaching else _from_networks)(planned, measurements, reference_ms)
    header = TableHeader(
        device=facts.device,
        provenance="measured",
        runtime=facts.runtime,
        runtime_version=facts.runtime_version,
        threads=facts.threads,
        dtype=facts.dtype,
        clock_policy=facts.clock_policy,
        date=made_on,
        entries=len(planned.ops),
        overhead_ms=round(overhead_ms, 6),
        reference_ms=round(reference_ms, 6),
        weights=rows.weights,
        accuracy=rows.accuracy,
        notes=rows.notes,
    )
    return LatencyTable(header, rows.timings)


@dataclass(frozen=True, slots=True)
class _Rows:
    timings: dict[Op, Timing]
    accuracy: Accuracy | None
    notes: str
    weights: dict[str, float] | None = None


def _timings(measurements: Sequence[Measurement], reference_ms: float) -> dict[Chain, Timing]:
    return {one.chain: one.timing(reference_ms) for one in measurements}


def timed_inside(measurements: Sequence[Measurement], reference_ms: float) -> dict[Op, Timing]:
    """Give Ops' times inside the profiled networks that hold them; one of the measurements is that of `EMPTY`."""
    rows: dict[Op, list[Timing]] = {}
    for network in _inside(measurements, reference_ms):
        for op, timing in network.timings().items():
            rows.setdefault(op, []).append(timing)
    return {op: _middle(timings) for op, timings in rows.items()}


def _inside(measurements: Sequence[Measurement], reference_ms: float) -> list[Inside]:
    timings = _timings(measurements, reference_ms)
    overhead_ms = timings[EMPTY].median_ms
    return [Inside(one.chain, timings[one.chain], overhead_ms, one.shares) for one in measurements if one.shares]


def known_ops(ops: Sequence[Op], measurements: Sequence[Measurement], reference_ms: float) -> dict[Op, Known]:
    """Collect what was timed of Ops: alone, all of them, and inside networks."""
    timings, inside = _timings(measurements, reference_ms), timed_inside(measurements, reference_ms)
    overhead_ms = timings[EMPTY].median_ms

    def known(op: Op) -> Known:
        alone_ms = timings[(op,)].median_ms
        # noise may leave less than nothing
        return Known(max(alone_ms - overhead_ms, alone_ms / 100), inside[op].median_ms if op in inside else None)

    return {op: known(op) for op in ops}


def corrected(
    known: Mapping[Op, Known], weights: Mapping[str, float], measurements: Sequence[Measurement], reference_ms: float
) -> dict[Op, Timing]:
    """Give Ops' times in networks; an Op's spread stays in proportion to that of its time alone."""
    timings, correction = _timings(measurements, reference_ms), Correction(dict(weights))
    return {
        op: timings[(op,)].scaled(correction.op_ms(op, one) / timings[(op,)].median_ms) for op, one in known.items()
    }


def _from_networks(planned: Plan, measurements: Sequence[Measurement], reference_ms: float) -> _Rows:
    inside = timed_inside(measurements, reference_ms)
    notes = f"Each Op was timed inside networks, {len(planned.covering)} in all."
    return _Rows({op: inside[op] for op in planned.ops}, None, notes)


def _learned(planned: Plan, measurements: Sequence[Measurement], reference_ms: float) -> _Rows:
    timings = _timings(measurements, reference_ms)
    known = known_ops(planned.ops, measurements, reference_ms)
    whole = [timings[chain].median_ms - timings[EMPTY].median_ms for chain in planned.teaching]
    correction = fit(planned.teaching, whole, known)
    how = f"a fifth of the {len(whole)} networks that taught it left out in turn"
    enough = len(whole) >= FOLDS
    found = accuracy(how, left_out(planned.teaching, whole, known), whole) if enough else None
    also = f" and inside {len(planned.covering)} networks" if planned.covering else ""
    notes = f"Each Op was timed alone{also}; {len(whole)} random networks, timed whole, taught how that adds up."
    return _Rows(corrected(known, correction.weights, measurements, reference_ms), found, notes, correction.weights)


def _middle(timings: Sequence[Timing]) -> Timing:
    """Give the median of an Op's times in several networks, with the spread and runs of one in the middle."""
    ordered = sorted(timings, key=lambda timing: timing.median_ms)
    median = statistics.median(timing.median_ms for timing in ordered)
    nearest = ordered[len(ordered) // 2]
    return nearest.scaled(median / nearest.median_ms)
