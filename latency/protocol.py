"""The timing protocol, one for every source: short interleaved rounds, a reference, drift corrected, noisy ones again.

All chains are swept over several times, in batches (`latency.sweeps`); this file runs the batches of one sweep.

A slow spell of the machine (frequency, heat, neighbours) hits whatever runs in it. So chains run a few calls at a time,
in rounds of changing order, and one reference network runs again and again between them. How slow the machine is at a
moment is told by all samples around it; each is kept with the time that the reference would have taken at its moment,
and only their ratio is used.
"""

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from latency.source import Chain, LatencySession, LatencySource, ProfilingSource
from latency.timing import Timing
from search_spaces import Op, lower, reference

Array = npt.NDArray[np.float64]

# of the size of what is measured: a smaller one suffers otherwise from busy neighbours
REFERENCE: Chain = tuple(lower(reference("mobilenet_v3_large")))
_AROUND = 16  # samples before and after one that tell how slow the machine is: half a second or so
_COPIES = 8  # of the reference: each lies in memory where it lies
EMPTY: Chain = (Op("pool", 1, 1, 8, 8),)  # next to no work: what a call costs by itself


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often chains are run.

    ``batch_ops``: Ops in the chains that are loaded side by side, whose rounds interleave. In each of ``sweeps`` sweeps
    every chain is in one batch, with others than before, and gets ``rounds`` of ``calls`` calls: where a chain lies in
    memory changes its time by some percent for as long as it lies there. Chains whose middle half of samples spreads by
    more than ``noisy`` of the median get up to ``extra_rounds`` more.
    ``references``: runs of the reference in a round, evenly spread; its copies take turns.
    """

    batch_ops: int = 384
    sweeps: int = 3
    rounds: int = 5
    calls: int = 2
    noisy: float = 0.08
    extra_rounds: int = 3
    references: int = 12


@dataclass(frozen=True, slots=True)
class Measurement:
    """A chain's samples, one a round, in milliseconds: the first call, which finds the caches as others left them; the
    median of the calls after it; and the time that the reference would have taken then.

    ``loads``: the number of the batch that each sample was taken in. ``shares``: where the source tells, each Op's
    share of the chain's time.
    """

    chain: Chain
    cold_ms: tuple[float, ...]
    warm_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]
    calls: int
    loads: tuple[int, ...]
    shares: tuple[float, ...] = ()

    def timing(self, reference_ms: float) -> Timing:
        """Give the warm time of a machine on which the reference takes ``reference_ms``.

        It is the mean of each load's median; p10 and p90 are those of all samples.
        """
        corrected = self._corrected(self.warm_ms) * reference_ms
        p10, p90 = np.percentile(corrected, [10, 90])
        middle = float(np.mean(list(self.by_load().values()))) * reference_ms
        runs = len(self.warm_ms) * self.calls
        return Timing(middle, min(float(p10), middle), max(float(p90), middle), runs)

    def cold(self, reference_ms: float) -> float:
        """Give the time of a first call, on such a machine."""
        return float(np.median(self._corrected(self.cold_ms)) * reference_ms)

    def by_load(self) -> dict[int, float]:
        """Give each load's median warm time, as a share of the reference's."""
        corrected, loads = self._corrected(self.warm_ms), np.array(self.loads)
        return {load: float(np.median(corrected[loads == load])) for load in dict.fromkeys(self.loads)}

    @property
    def spread(self) -> float:
        """Give the middle half of the corrected samples as a share of their median."""
        low, middle, high = np.percentile(self._corrected(self.warm_ms), [25, 50, 75])
        return float((high - low) / middle)

    def _corrected(self, samples: Sequence[float]) -> Array:
        corrected: Array = np.array(samples) / np.array(self.reference_ms)
        return corrected


def usual_reference_ms(measurements: Sequence[Measurement]) -> float:
    """Give the reference's median time over all samples."""
    return statistics.median(ms for measurement in measurements for ms in measurement.reference_ms)


def sweep(
    source: LatencySource,
    chains: Sequence[Chain],
    protocol: Protocol,
    rng: random.Random,
    profile: bool = False,
    first_load: int = 0,
) -> Iterator[list[Measurement]]:
    """Time chains once, in batches drawn by ``rng``; a batch's measurements come as soon as it is done.

    Batches are numbered from ``first_load``. With ``profile`` chains have their Ops' shares, for which the source must
    be a `ProfilingSource`.
    """
    for load, batch in enumerate(_batches(rng.sample(chains, len(chains)), protocol.batch_ops), first_load):
        if not profile:
            with source.session([REFERENCE] * _COPIES + batch) as session:
                yield _Batch(session, batch, protocol, rng, load).run()
            continue
        assert isinstance(source, ProfilingSource)
        with source.profiled_session([REFERENCE] * _COPIES + batch) as profiled:
            found = _Batch(profiled, batch, protocol, rng, load).run()
            yield [replace(one, shares=tuple(profiled.shares(index))) for index, one in enumerate(found, _COPIES)]


def _batches(chains: Sequence[Chain], ops: int) -> Iterator[list[Chain]]:
    batch: list[Chain] = []
    for chain in chains:
        if batch and sum(map(len, batch)) + len(chain) > ops:
            yield batch
            batch = []
        batch.append(chain)
    if batch:
        yield batch


class _Sample(NamedTuple):
    place: int  # of the chain in the session
    cold_ms: float
    warm_ms: float


@dataclass(slots=True)
class _Batch:
    """The rounds over one batch; the session's first chains are copies of the reference."""

    session: LatencySession
    chains: Sequence[Chain]
    protocol: Protocol
    rng: random.Random
    load: int
    samples: list[_Sample] = field(default_factory=list)

    def run(self) -> list[Measurement]:
        everything = list(range(_COPIES, _COPIES + len(self.chains)))
        for copy in range(_COPIES):
            self.session.sample(copy, self.protocol.calls)  # the first after loading: not counted
        for _ in range(self.protocol.rounds):
            self._round(everything)
        for _ in range(self.protocol.extra_rounds):
            found = dict(zip(everything, self._measurements(), strict=True))
            noisy = [place for place in everything if found[place].spread > self.protocol.noisy]
            if noisy:
                self._round(noisy)
        return self._measurements()

    def _round(self, chosen: Sequence[int]) -> None:
        references = max(2, round(self.protocol.references * len(chosen) / len(self.chains)))
        order = [((number + 0.5) / len(chosen), place) for number, place in enumerate(self._shuffled(chosen))]
        order += [(number / references, copy) for number, copy in enumerate(self._turns(references))]
        for _, place in sorted(order):
            self._take(place)

    def _turns(self, count: int) -> list[int]:
        """Give so many copies of the reference: each as often as the others, or once more."""
        copies = self._shuffled(range(_COPIES))
        return [copies[number % _COPIES] for number in range(count)]

    def _shuffled(self, places: Sequence[int]) -> list[int]:
        return self.rng.sample(places, len(places))

    def _take(self, place: int) -> None:
        self.samples.append(_Sample(place, *self.session.sample(place, self.protocol.calls)))

    def _measurements(self) -> list[Measurement]:
        slowness = _slowness([sample.place for sample in self.samples], [sample.warm_ms for sample in self.samples])
        calm: dict[int, list[float]] = {}  # by the copy of the reference: each lies elsewhere
        for one, slow in zip(self.samples, slowness, strict=True):
            if one.place < _COPIES:
                calm.setdefault(one.place, []).append(one.warm_ms / slow)
        calm_ms = statistics.mean(statistics.median(times) for times in calm.values())
        found: dict[int, list[tuple[_Sample, float]]] = {}
        for one, slow in zip(self.samples, slowness, strict=True):
            found.setdefault(one.place, []).append((one, float(slow * calm_ms)))
        return [self._measurement(chain, found[place]) for place, chain in enumerate(self.chains, _COPIES)]

    def _measurement(self, chain: Chain, found: Sequence[tuple[_Sample, float]]) -> Measurement:
        return Measurement(
            chain,
            tuple(one.cold_ms for one, _ in found),
            tuple(one.warm_ms for one, _ in found),
            tuple(reference_ms for _, reference_ms in found),
            self.protocol.calls,
            (self.load,) * len(found),
        )


def _slowness(places: Sequence[int], warm_ms: Sequence[float]) -> Array:
    """Say how slow the machine was at each sample, 1 being usual: the median of the samples around, each over what its
    chain usually takes. All chains together know that better than a reference alone, which is noisy itself.
    """
    times, which = np.array(warm_ms), np.array(places)
    usual = {place: np.median(times[which == place]) for place in set(places)}
    relative = times / np.array([usual[place] for place in places])
    return np.array(
        [np.median(relative[max(0, now - _AROUND) : now + _AROUND + 1]) for now in range(len(relative))],
        dtype=np.float64,
    )
