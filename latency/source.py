"""Where times come from: what a device, by whichever wire, does for the protocol that measures it.

A source times chains of Ops: one Op, or a whole network. It knows how to run them on its device and nothing of rounds,
drift or statistics, which are the same for all (`latency.protocol`).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from search_spaces import InputError, Op

Chain = tuple[Op, ...]


class SourceError(InputError):
    """A device cannot be reached, or cannot do what is asked; nothing measured so far is lost."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a table's header says of how its times were made; ``runtime`` is a name such as ``ONNX Runtime``."""

    device: str
    runtime: str
    runtime_version: str
    threads: int
    dtype: str
    clock_policy: str


class Sample(NamedTuple):
    """Milliseconds of a chain's first call, which finds the caches as others left them, and of a typical later one."""

    cold_ms: float
    warm_ms: float


class LatencySession(Protocol):
    """Chains that are loaded and ready to run."""

    def sample(self, index: int, calls: int) -> Sample:
        """Run a chain once, then ``calls`` times more, of which the median counts."""
        ...


class ProfiledSession(LatencySession, Protocol):
    """Chains that are ready to run, of which the runtime tells what their parts take."""

    def shares(self, index: int) -> list[float]:
        """Give each Op's share of its chain's time, summing to 1, over all samples so far; once a chain."""
        ...


class LatencySource(Protocol):
    """A device that runs chains: ONNX Runtime or LiteRT on this host, a board over ssh, a phone over adb."""

    @property
    def facts(self) -> SourceFacts: ...

    def close(self) -> None:
        """Let the device go."""

    def session(self, chains: Sequence[Chain]) -> AbstractContextManager[LatencySession]:
        """Load chains; `SourceError` if the device is gone or refuses one. Leaving it leaves nothing behind."""
        ...


@runtime_checkable
class ProfilingSource(LatencySource, Protocol):
    """A source that can tell what each Op takes inside a network."""

    def profiled_session(self, chains: Sequence[Chain]) -> AbstractContextManager[ProfiledSession]:
        """Load chains, as ``session`` does; sampling one runs a profiled copy of it, too."""
        ...
