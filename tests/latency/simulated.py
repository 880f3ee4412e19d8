"""A device whose times are known: what the protocol and a table's fit must find again."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from latency.protocol import REFERENCE
from latency.source import Chain, LatencySession, ProfiledSession, Sample, SourceError, SourceFacts
from search_spaces import Op
from search_spaces.count import count_op

CALL_MS = 0.05  # what a call costs by itself


def op_ms(op: Op) -> float:
    """Give an Op's true time alone."""
    return 1e-3 + count_op(op).macs / 1e7


@dataclass
class Simulated:
    """Networks take ``inside`` times their Ops' times alone; ``slowness(n)`` multiplies the n-th sample.

    ``networks`` multiplies all networks' times but that of the reference; ``profiled`` those in profiled sessions,
    whose shares are wrong by ``scatter``.
    """

    inside: float = 1.0
    networks: float = 1.0
    profiled: float = 1.0
    scatter: float = 0.0
    noise: float = 0.0
    slowness: Callable[[int], float] = lambda number: 1.0
    breaks_after: int | None = None
    facts: SourceFacts = field(default=SourceFacts("simulated", "Simulation", "1", 1, "float32", "no clock"))
    samples: int = 0
    places: list[int] = field(default_factory=list)  # of the chains sampled, in their sessions
    closed: bool = False

    @contextmanager
    def session(self, chains: Sequence[Chain]) -> Iterator[LatencySession]:
        yield _Session(self, chains)

    @contextmanager
    def profiled_session(self, chains: Sequence[Chain]) -> Iterator[ProfiledSession]:
        yield _Session(self, chains, profiled=True)

    def close(self) -> None:
        self.closed = True


class _Session:
    def __init__(self, device: Simulated, chains: Sequence[Chain], profiled: bool = False) -> None:
        self._device, self._chains, self._rng = device, chains, random.Random(len(chains))
        self._profiled = profiled

    def sample(self, index: int, calls: int) -> Sample:
        device, chain = self._device, self._chains[index]
        device.samples += 1
        device.places.append(index)
        if device.breaks_after is not None and device.samples > device.breaks_after:
            raise SourceError("simulated: the cable was pulled")
        inside = device.inside if len(chain) > 1 else 1.0
        inside *= device.networks if len(chain) > 1 and chain != REFERENCE else 1.0
        if self._profiled and chain != REFERENCE:
            inside *= device.profiled
        slow = device.slowness(device.samples)
        ms = slow * (CALL_MS + inside * sum(op_ms(op) for op in chain)) * self._rng.gauss(1, device.noise)
        return Sample(1.3 * ms, ms)

    def shares(self, index: int) -> list[float]:
        rng = random.Random("".join(op.key for op in self._chains[index]))
        times = [op_ms(op) * max(0.0, rng.gauss(1, self._device.scatter)) for op in self._chains[index]]
        return [ms / sum(times) for ms in times]
