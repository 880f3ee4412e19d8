"""What a search chooses among: for tokens the network's key, its latency, and the network where it is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from latency import LatencyTable
from search_spaces import Arch, SearchSpace

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What tokens mean. Points of one ``key`` share their result; ``arch`` is None where there are tokens alone."""

    key: str
    latency_ms: float
    arch: Arch | None


class Points(Protocol):
    """A product of decisions with ``sizes`` choices, and what each choice of tokens means."""

    @property
    def sizes(self) -> tuple[int, ...]: ...

    def point(self, tokens: Tokens) -> Point:
        """Say what tokens mean; ``InputError`` if they are none of these."""
        ...


@dataclass(frozen=True, slots=True)
class SpacePoints:
    """The networks of a space, with latencies that are estimated."""

    space: SearchSpace
    estimate_ms: Callable[[Arch], float]

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.space.sizes

    def point(self, tokens: Tokens) -> Point:
        """Build the network that the tokens choose; ``InputError`` if they are not of this space."""
        arch = self.space.decode(tokens)
        return Point(arch.key, self.estimate_ms(arch), arch)


def latency_by_tokens(space: SearchSpace, table: LatencyTable) -> Callable[[Tokens], float]:
    """Give a function from tokens to milliseconds that builds no network: for who asks of thousands."""
    of_ops = space.paths().pricing(table.op_ms)
    return lambda tokens: table.header.overhead_ms + of_ops(tokens)
