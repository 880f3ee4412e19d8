"""Tables from measurements: which chains to time on a source, and the table that follows from them.

Ops are timed alone and, where the source tells what each Op of a network takes (`latency.source.ProfilingSource`),
inside networks that together hold every Op. Those networks, and random ones of the spaces, teach by their whole times
how that adds up.
"""

import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date

from latency.accuracy import accuracy
from latency.correction import FOLDS, Correction, Known, Lesson, fit, left_out, predict
from latency.inside import Inside
from latency.protocol import EMPTY, Measurement, usual_reference_ms
from latency.source import Chain, SourceFacts
from latency.table import Accuracy, LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, SearchSpace, lower

TEACHING_NETWORKS = 80  # that teach how Ops add up; more predict no better (docs/measuring.md)
TEACHING_PROFILED = 48  # the same where Ops are timed inside networks, which teach, too
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
    return {op: _middle(list(times.values())) for op, times in _by_network(measurements, reference_ms).items()}


def _by_network(measurements: Sequence[Measurement], reference_ms: float) -> dict[Op, dict[Chain, Timing]]:
    """Give each Op's time inside each profiled network that holds it."""
    timings = _timings(measurements, reference_ms)
    overhead_ms = timings[EMPTY].median_ms
    rows: dict[Op, dict[Chain, Timing]] = {}
    for one in measurements:
        if one.shares:
            for op, timing in Inside(one.chain, timings[one.chain], overhead_ms, one.shares).timings().items():
                rows.setdefault(op, {})[one.chain] = timing
    return rows


def known_ops(ops: Iterable[Op], measurements: Sequence[Measurement], reference_ms: float) -> dict[Op, Known]:
    """Collect what was timed of Ops: alone, all of them, and inside networks."""
    return _known(ops, _timings(measurements, reference_ms), _by_network(measurements, reference_ms))


def _known(
    ops: Iterable[Op],
    timings: Mapping[Chain, Timing],
    inside: Mapping[Op, Mapping[Chain, Timing]],
    outside: Chain | None = None,
) -> dict[Op, Known]:
    """Collect what was timed of Ops: alone, all of them, and inside networks, but for the network ``outside``."""
    overhead_ms = timings[EMPTY].median_ms

    def known(op: Op) -> Known:
        alone_ms = timings[(op,)].median_ms
        times = [timing.median_ms for chain, timing in inside.get(op, {}).items() if chain != outside]
        # noise may leave less than nothing
        return Known(max(alone_ms - overhead_ms, alone_ms / 100), statistics.median(times) if times else None)

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
    lessons = lessons_of(planned, measurements, reference_ms)
    correction = fit(lessons)
    whole = [lesson.measured_ms for lesson in lessons]
    how = f"a fifth of the {len(whole)} networks that taught it left out in turn"
    found = accuracy(how, left_out(lessons), whole) if len(whole) >= FOLDS else None
    also = f" and inside {len(planned.covering)} networks" if planned.covering else ""
    notes = f"Each Op was timed alone{also}; {len(whole)} networks, timed whole, taught how that adds up."
    known = known_ops(planned.ops, measurements, reference_ms)
    return _Rows(corrected(known, correction.weights, measurements, reference_ms), found, notes, correction.weights)


def lessons_of(planned: Plan, measurements: Sequence[Measurement], reference_ms: float) -> list[Lesson]:
    """Give what the random networks teach, and the profiled ones, each by what the others tell of its Ops."""
    timings, inside = _timings(measurements, reference_ms), _by_network(measurements, reference_ms)
    overhead_ms = timings[EMPTY].median_ms

    def lesson(chain: Chain) -> Lesson:
        return Lesson(chain, timings[chain].median_ms - overhead_ms, _known(chain, timings, inside, outside=chain))

    teaching = [lesson(chain) for chain in planned.teaching]
    covering = [lesson(chain) for chain in planned.covering if chain not in planned.teaching]
    return teaching + _at_level_of(teaching, covering)


def _at_level_of(teaching: Sequence[Lesson], others: Sequence[Lesson]) -> list[Lesson]:
    """Scale the times of networks from batches of their own to what the first ones teach.

    Between batches that share no chain the reference alone tells levels, and may lie better in memory in some of them.
    """
    if not others:
        return []
    taught = fit(teaching)
    level = statistics.median(predict(one, taught) / one.measured_ms for one in others)
    return [replace(one, measured_ms=level * one.measured_ms) for one in others]


def _middle(timings: Sequence[Timing]) -> Timing:
    """Give the median of an Op's times in several networks, with the spread and runs of one in the middle."""
    ordered = sorted(timings, key=lambda timing: timing.median_ms)
    median = statistics.median(timing.median_ms for timing in ordered)
    nearest = ordered[len(ordered) // 2]
    return nearest.scaled(median / nearest.median_ms)
