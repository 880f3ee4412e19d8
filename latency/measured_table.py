"""Tables from measurements: which chains to time on a source, and the table that follows from them.

Where the source tells what each Op of a network takes (`ProfilingSource`), networks are timed that together hold every
Op, and an Op's time is the one that it has inside them. Elsewhere Ops are timed alone, and networks teach how they
add up.
"""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date

from latency.accuracy import accuracy
from latency.correction import Alone, Correction, fit, left_out
from latency.inside import Inside, predicted_without
from latency.journal import Journal
from latency.protocol import EMPTY, Measurement, Protocol, measure, usual_reference_ms
from latency.source import Chain, LatencySource, SourceFacts
from latency.table import Accuracy, LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, SearchSpace, lower

FIT_NETWORKS = 80  # that teach how Ops timed alone add up; more predict no better (docs/latency.md)
COVER_TIMES = 2  # networks that an Op is timed in; the middle of two is half as far off as one
_NETWORK_EVERY = 24  # Ops between two networks, so that both kinds meet the same weather


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table is to hold, and the networks to time for it; ``profile``: these tell all, no Op is timed alone."""

    ops: tuple[Op, ...]
    networks: tuple[Chain, ...]
    profile: bool

    def chains(self) -> list[Chain]:
        """List everything to be timed; single Ops have a network between them now and then."""
        mixed: list[Chain] = [EMPTY]
        if self.profile:
            return [*mixed, *self.networks]
        waiting = list(self.networks)
        share = max(1, min(_NETWORK_EVERY, len(self.ops) // max(1, len(waiting))))
        for place, op in enumerate(self.ops):
            if place % share == 0 and waiting:
                mixed.append(waiting.pop(0))
            mixed.append((op,))
        return list(dict.fromkeys(mixed + waiting))


def plan(spaces: Sequence[SearchSpace], archs: Sequence[Arch], profile: bool, seed: int = 0) -> Plan:
    """Plan a table of these spaces' Ops and these networks'; ``InputError`` if nothing can teach how Ops add up."""
    asked = [tuple(lower(arch)) for arch in archs]
    ops = [op for space in spaces for op in space.ops()] + [op for chain in asked for op in chain]
    if profile:
        rng = random.Random(seed)
        cover = [lower(space.decode(tokens)) for space in spaces for tokens in space.paths().covering(COVER_TIMES, rng)]
        networks = tuple(dict.fromkeys([*map(tuple, cover), *asked]))
    elif spaces:
        networks = random_networks(spaces, FIT_NETWORKS, seed)
    else:
        raise InputError("a table of Ops timed alone needs a space, from which networks are drawn: add --space")
    return Plan(tuple(dict.fromkeys(ops)), networks, profile)


def random_networks(spaces: Sequence[SearchSpace], count: int, seed: int) -> tuple[Chain, ...]:
    """Draw different networks, from each space in turn."""
    rng = random.Random(seed)
    found: dict[Chain, None] = {}
    while len(found) < count:
        space = spaces[len(found) % len(spaces)]
        found[tuple(lower(space.decode(space.sample(rng))))] = None
    return tuple(found)


def take(
    source: LatencySource,
    chains: Sequence[Chain],
    journal: Journal,
    protocol: Protocol,
    on_progress: Callable[[int, int], None],
    part: str = "table",
    profile: bool = False,
) -> list[Measurement]:
    """Measure what the journal's part lacks of these chains; give all of them in order.

    ``on_progress`` is told how many are done, of how many.
    """
    missing = [chain for chain in chains if (part, chain) not in journal.measured]
    done = len(chains) - len(missing)
    on_progress(done, len(chains))
    for batch in measure(source, missing, protocol, random.Random(len(missing)), profile):
        journal.add(part, batch)
        done += len(batch)
        on_progress(done, len(chains))
    return [journal.measured[part, chain] for chain in chains]


def table_from(planned: Plan, measurements: Sequence[Measurement], facts: SourceFacts, made_on: Date) -> LatencyTable:
    """Make the table of what was planned and measured."""
    reference_ms = usual_reference_ms(measurements)
    (empty,) = (one for one in measurements if one.chain == EMPTY)
    overhead_ms = empty.timing(reference_ms).median_ms
    made = _from_networks if planned.profile else _from_single_ops
    rows = made(planned, measurements, reference_ms)
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


def timed_inside(ops: Sequence[Op], measurements: Sequence[Measurement], reference_ms: float) -> dict[Op, Timing]:
    """Give Ops' times inside the profiled networks that hold them; one of the measurements is that of `EMPTY`."""
    inside, _ = _inside(measurements, reference_ms)
    rows: dict[Op, list[Timing]] = {}
    for network in inside:
        for op, timing in network.timings().items():
            rows.setdefault(op, []).append(timing)
    return {op: _middle(rows[op]) for op in ops}


def _inside(measurements: Sequence[Measurement], reference_ms: float) -> tuple[list[Inside], float]:
    timings = {one.chain: one.timing(reference_ms) for one in measurements}
    overhead_ms = timings[EMPTY].median_ms
    profiled = [one for one in measurements if one.chain != EMPTY]
    return [Inside(one.chain, timings[one.chain], overhead_ms, one.shares) for one in profiled], overhead_ms


def corrected_alone(
    ops: Sequence[Op], measurements: Sequence[Measurement], reference_ms: float, weights: Mapping[str, float]
) -> dict[Op, Timing]:
    """Give Ops' times inside a network from their times alone; one of the measurements is that of `EMPTY`."""
    timings = {one.chain: one.timing(reference_ms) for one in measurements}
    correction, overhead_ms = Correction(dict(weights)), timings[EMPTY].median_ms

    def inside(op: Op) -> Timing:
        alone = timings[(op,)]  # its spread stays in proportion
        return alone.scaled(correction.op_ms(op, _alone(alone, overhead_ms)) / alone.median_ms)

    return {op: inside(op) for op in ops}


def _from_networks(planned: Plan, measurements: Sequence[Measurement], reference_ms: float) -> _Rows:
    inside, overhead_ms = _inside(measurements, reference_ms)
    pairs = predicted_without(inside, overhead_ms)
    how = "each network left out of its Ops' times in turn"
    found = accuracy(how, [one.predicted_ms for one in pairs], [one.measured_ms for one in pairs]) if pairs else None
    notes = f"Each Op was timed inside {COVER_TIMES} or more of {len(inside)} networks."
    if len(inside) == 1:
        notes = "Each Op was timed inside one network."
    return _Rows(timed_inside(planned.ops, measurements, reference_ms), found, notes)


def _middle(timings: Sequence[Timing]) -> Timing:
    """Give the median of an Op's times in several networks, with the spread and runs of one in the middle."""
    ordered = sorted(timings, key=lambda timing: timing.median_ms)
    median = statistics.median(timing.median_ms for timing in ordered)
    nearest = ordered[len(ordered) // 2]
    return nearest.scaled(median / nearest.median_ms)


def _from_single_ops(planned: Plan, measurements: Sequence[Measurement], reference_ms: float) -> _Rows:
    timings = {one.chain: one.timing(reference_ms) for one in measurements}
    overhead_ms = timings[EMPTY].median_ms
    alone = {op: _alone(timings[(op,)], overhead_ms) for op in planned.ops}
    whole = [timings[chain].median_ms - overhead_ms for chain in planned.networks]
    correction = fit(planned.networks, whole, alone)
    how = f"a fifth of the {len(whole)} networks that taught it left out in turn"
    found = accuracy(how, left_out(planned.networks, whole, alone), whole)
    notes = "Each Op was timed alone, then corrected by networks timed whole."
    rows = corrected_alone(planned.ops, measurements, reference_ms, correction.weights)
    return _Rows(rows, found, notes, correction.weights)


def _alone(timing: Timing, overhead_ms: float) -> Alone:
    return Alone(max(timing.median_ms - overhead_ms, timing.median_ms / 100))  # noise may leave less than nothing
