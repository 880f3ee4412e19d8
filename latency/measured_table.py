"""Tables from measurements: which chains to time on a source, and the table that follows from them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date as Date

from latency.accuracy import accuracy
from latency.correction import Alone, fit, left_out
from latency.journal import Journal
from latency.protocol import EMPTY, Measurement, Protocol, measure, usual_reference_ms
from latency.source import Chain, LatencySource
from latency.table import LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, SearchSpace, lower

FIT_NETWORKS = 80  # drawn from the spaces; more predict no better (docs/latency.md)
_NETWORK_EVERY = 24  # Ops between two networks, so that both kinds meet the same weather


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table is to hold, and the networks timed whole that teach it how Ops add up."""

    ops: tuple[Op, ...]
    networks: tuple[Chain, ...]

    def chains(self) -> list[Chain]:
        """List everything to be timed: single Ops with a network between them now and then."""
        singles: list[Chain] = [(op,) for op in self.ops]
        mixed: list[Chain] = [EMPTY]
        waiting = list(self.networks)
        share = max(1, min(_NETWORK_EVERY, len(singles) // max(1, len(waiting))))
        for place, single in enumerate(singles):
            if place % share == 0 and waiting:
                mixed.append(waiting.pop(0))
            mixed.append(single)
        return list(dict.fromkeys(mixed + waiting))


def plan(spaces: Sequence[SearchSpace], archs: Sequence[Arch], networks: int = FIT_NETWORKS, seed: int = 0) -> Plan:
    """Plan a table of these spaces' Ops and these networks'; ``InputError`` without any space to draw networks from."""
    if not spaces:
        raise InputError("a measured table needs a space, from which networks are drawn that show how Ops add up")
    ops = [op for space in spaces for op in space.ops()] + [op for arch in archs for op in lower(arch)]
    return Plan(tuple(dict.fromkeys(ops)), random_networks(spaces, networks, seed))


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
) -> list[Measurement]:
    """Measure what the journal's part lacks of these chains; give all of them in order.

    ``on_progress`` is told how many are done, of how many.
    """
    missing = [chain for chain in chains if (part, chain) not in journal.measured]
    done = len(chains) - len(missing)
    on_progress(done, len(chains))
    for batch in measure(source, missing, protocol, random.Random(len(missing))):
        journal.add(part, batch)
        done += len(batch)
        on_progress(done, len(chains))
    return [journal.measured[part, chain] for chain in chains]


def table_from(
    planned: Plan, measurements: Sequence[Measurement], source: LatencySource, made_on: Date
) -> LatencyTable:
    """Make the table: each Op's time inside a network, learned from its time alone and from the networks."""
    reference_ms = usual_reference_ms(measurements)
    timings = {measurement.chain: measurement.timing(reference_ms) for measurement in measurements}
    overhead_ms = timings[EMPTY].median_ms
    alone = {op: _alone(timings[(op,)], overhead_ms) for op in planned.ops}
    whole = [timings[chain].median_ms - overhead_ms for chain in planned.networks]
    correction = fit(planned.networks, whole, alone)
    header = TableHeader(
        device=source.facts.device,
        provenance="measured",
        runtime=source.facts.runtime,
        runtime_version=source.facts.runtime_version,
        threads=source.facts.threads,
        dtype=source.facts.dtype,
        clock_policy=source.facts.clock_policy,
        date=made_on,
        entries=len(planned.ops),
        overhead_ms=round(overhead_ms, 6),
        reference_ms=round(reference_ms, 6),
        weights=correction.weights,
        accuracy=accuracy(
            f"a fifth of the {len(whole)} networks that taught it left out in turn",
            left_out(planned.networks, whole, alone),
            whole,
        ),
        notes="Each Op was timed alone, then corrected by networks timed whole; p10 and p90 are corrected alike.",
    )
    # an Op's spread stays in proportion to that of its time alone
    factors = {op: correction.op_ms(op, alone[op]) / timings[(op,)].median_ms for op in planned.ops}
    return LatencyTable(header, {op: timings[(op,)].scaled(factor) for op, factor in factors.items()})


def _alone(timing: Timing, overhead_ms: float) -> Alone:
    return Alone(max(timing.median_ms - overhead_ms, timing.median_ms / 100))  # noise may leave less than nothing
