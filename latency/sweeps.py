"""Sweeps: every chain is timed in several batches, each time beside others, so that chains tell batches apart.

A batch's times are relative to those of its reference, whose copies lie well or badly in memory for as long as the
batch is loaded: by some percent that all chains of the batch then share. Chains that were in several batches show it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from latency.journal import Journal
from latency.protocol import Measurement, Protocol, sweep
from latency.source import Chain, LatencySource

_PASSES = 30  # of telling batches and chains apart; what is wrong shrinks to a third or so with each


def take(
    source: LatencySource,
    chains: Sequence[Chain],
    journal: Journal,
    protocol: Protocol,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    part: str = "table",
    profile: bool = False,
) -> list[Measurement]:
    """Measure what the journal's part lacks of these chains; give all of them in order, levelled.

    ``on_progress`` is told how many single measurements are done, of how many.
    """
    counts = [min(len(journal.taken(part, chain)), protocol.sweeps) for chain in chains]
    done, total = sum(counts), protocol.sweeps * len(chains)
    on_progress(done, total)
    for number in range(protocol.sweeps):
        missing = [chain for chain, count in zip(chains, counts, strict=True) if count <= number]
        rng = random.Random(f"{part} {number} {len(missing)}")
        for batch in sweep(source, missing, protocol, rng, profile, journal.loads):
            journal.add(part, batch)
            done += len(batch)
            on_progress(done, total)
    return levelled([joined(journal.taken(part, chain)[: protocol.sweeps]) for chain in chains])


def time_all(
    source: LatencySource, chains: Sequence[Chain], protocol: Protocol, profile: bool = False
) -> list[Measurement]:
    """Measure chains and keep nothing on disk: there are few of them."""
    found: dict[Chain, list[Measurement]] = {chain: [] for chain in chains}
    load = 0
    for number in range(protocol.sweeps):
        for batch in sweep(source, list(found), protocol, random.Random(number), profile, load):
            load += 1
            for one in batch:
                found[one.chain].append(one)
    return levelled([joined(found[chain]) for chain in chains])


def joined(measurements: Sequence[Measurement]) -> Measurement:
    """Put the measurements of one chain together; its shares are their means."""
    return Measurement(
        measurements[0].chain,
        tuple(ms for one in measurements for ms in one.cold_ms),
        tuple(ms for one in measurements for ms in one.warm_ms),
        tuple(ms for one in measurements for ms in one.reference_ms),
        measurements[0].calls,
        tuple(load for one in measurements for load in one.loads),
        tuple(np.mean([one.shares for one in measurements], axis=0).tolist()),
    )


def levelled(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Take out of the reference's times what chains in several batches show to be wrong with them.

    The logarithm of a chain's time in a batch is what the chain usually takes, plus the batch's level, plus noise: a
    two-way fit, with medians over chains and means over batches.
    """
    if not measurements:
        return []
    found = [(chain, load, np.log(ms)) for chain, one in enumerate(measurements) for load, ms in one.by_load().items()]
    loads = sorted({load for _, load, _ in found})
    chain_of = np.array([chain for chain, _, _ in found])
    load_of = np.searchsorted(loads, [load for _, load, _ in found])
    values = np.array([value for _, _, value in found])
    levels = np.zeros(len(loads))
    for _ in range(_PASSES):
        usual = np.bincount(chain_of, values - levels[load_of]) / np.bincount(chain_of)
        rest = values - usual[chain_of]
        levels = np.array([np.median(rest[load_of == load]) for load in range(len(loads))])
    factors = dict(zip(loads, np.exp(levels).tolist(), strict=True))
    return [_slower(one, [factors[load] for load in one.loads]) for one in measurements]


def at_speed_of(before: Sequence[Measurement], now: Sequence[Measurement]) -> list[Measurement]:
    """Take out of measurements how much slower the machine is than it was, as chains tell that were measured before."""
    usual = {one.chain: one.timing(1.0).median_ms for one in before}
    ratios = [one.timing(1.0).median_ms / usual[one.chain] for one in now if one.chain in usual]
    factor = float(np.median(ratios)) if ratios else 1.0
    return [_slower(one, [factor] * len(one.loads)) for one in now]


def _slower(one: Measurement, factors: Sequence[float]) -> Measurement:
    """Give a measurement with a reference that takes so many times longer, sample by sample."""
    scaled = (ms * factor for ms, factor in zip(one.reference_ms, factors, strict=True))
    return replace(one, reference_ms=tuple(scaled))
