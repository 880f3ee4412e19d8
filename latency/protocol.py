"""The timing protocol, one for every source: short interleaved rounds, a reference, drift corrected, noisy ones again.

A slow spell of the machine (frequency, heat, neighbours) hits whatever runs in it. So chains run a few calls at a time,
in rounds of changing order, and one reference network runs again and again between them. Each sample is kept with the
reference's time around it; only their ratio is used.
"""

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from latency.source import Chain, LatencySession, LatencySource, ProfilingSource
from latency.timing import Timing
from search_spaces import Op, lower, reference

Array = npt.NDArray[np.float64]

# of the size of what is measured: a smaller one suffers otherwise from busy neighbours
REFERENCE: Chain = tuple(lower(reference("mobilenet_v3_large")))
EMPTY: Chain = (Op("pool", 1, 1, 8, 8),)  # next to no work: what a call costs by itself


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often chains are run.

    ``batch_ops``: Ops in the chains that are loaded side by side, whose rounds interleave. Each gets ``rounds`` of
    ``calls`` calls; those whose middle half of samples spreads by more than ``noisy`` of the median get up to
    ``extra_rounds`` more.
    ``reference_every``: chains between two runs of the reference.
    """

    batch_ops: int = 384
    rounds: int = 7
    calls: int = 4
    noisy: float = 0.04
    extra_rounds: int = 7
    reference_every: int = 12


@dataclass(frozen=True, slots=True)
class Measurement:
    """A chain's samples, one a round, in milliseconds: the first call, which finds the caches as others left them; the
    median of the calls after it; and the reference's time around them. ``shares``: where the source tells, each Op's
    share of the chain's time.
    """

    chain: Chain
    cold_ms: tuple[float, ...]
    warm_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]
    calls: int
    shares: tuple[float, ...] = ()

    def timing(self, reference_ms: float) -> Timing:
        """Give the warm time of a machine on which the reference takes ``reference_ms``."""
        p10, median, p90 = np.percentile(self._corrected(self.warm_ms) * reference_ms, [10, 50, 90])
        return Timing(float(median), float(p10), float(p90), len(self.warm_ms) * self.calls)

    def cold(self, reference_ms: float) -> float:
        """Give the time of a first call, on such a machine."""
        return float(np.median(self._corrected(self.cold_ms)) * reference_ms)

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


def measure(
    source: LatencySource, chains: Sequence[Chain], protocol: Protocol, rng: random.Random, profile: bool = False
) -> Iterator[list[Measurement]]:
    """Time chains batch by batch; a batch's measurements come as soon as it is done.

    With ``profile`` they have their Ops' shares, for which the source must be a `ProfilingSource`.
    """
    for batch in _batches(chains, protocol.batch_ops):
        if not profile:
            with source.session([REFERENCE, *batch]) as session:
                yield _Batch(session, batch, protocol, rng).run()
            continue
        assert isinstance(source, ProfilingSource)
        with source.profiled_session([REFERENCE, *batch]) as profiled:
            found = _Batch(profiled, batch, protocol, rng).run()
            yield [replace(one, shares=tuple(profiled.shares(index))) for index, one in enumerate(found, 1)]


def _batches(chains: Sequence[Chain], ops: int) -> Iterator[list[Chain]]:
    batch: list[Chain] = []
    for chain in chains:
        if batch and sum(map(len, batch)) + len(chain) > ops:
            yield batch
            batch = []
        batch.append(chain)
    if batch:
        yield batch


@dataclass(slots=True)
class _Batch:
    """The rounds over one batch; the reference is the session's chain 0."""

    session: LatencySession
    chains: Sequence[Chain]
    protocol: Protocol
    rng: random.Random
    references: list[float] = field(default_factory=list)
    samples: dict[int, list[tuple[float, float, int]]] = field(
        default_factory=dict
    )  # cold, warm, runs of the reference

    def run(self) -> list[Measurement]:
        self._reference()  # loads it: not counted
        self.references.clear()
        chosen = list(range(len(self.chains)))
        for number in range(self.protocol.rounds + self.protocol.extra_rounds):
            if number >= self.protocol.rounds:
                chosen = [index for index in chosen if self._measurement(index).spread > self.protocol.noisy]
            if chosen:
                self._round(chosen)
        return [self._measurement(index) for index in range(len(self.chains))]

    def _round(self, chosen: list[int]) -> None:
        self.rng.shuffle(chosen)
        for place, index in enumerate(chosen):
            if place % self.protocol.reference_every == 0:
                self._reference()
            cold, warm = self.session.sample(index + 1, self.protocol.calls)
            self.samples.setdefault(index, []).append((cold, warm, len(self.references)))
        self._reference()

    def _reference(self) -> None:
        self.references.append(self.session.sample(0, self.protocol.calls).warm_ms)

    def _measurement(self, index: int) -> Measurement:
        cold, warm, runs = zip(*self.samples[index], strict=True)
        around = [
            statistics.median(self.references[max(0, run - 2) : run + 2]) for run in runs
        ]  # two before, two after
        return Measurement(self.chains[index], cold, warm, tuple(around), self.protocol.calls)
