"""The latency that a search is to land on, and how near is near enough."""

from dataclasses import dataclass

TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """A latency in ms; ``tolerance`` is a share of it.

    ``both_sides``: a network that is much faster misses it like one that is slower (what the absolute reward is for);
    else it is a limit.
    """

    ms: float
    tolerance: float = TOLERANCE
    both_sides: bool = False

    def meets(self, latency_ms: float) -> bool:
        """Say whether a network is fast enough."""
        return latency_ms <= self.ms * (1 + self.tolerance)

    def hits(self, latency_ms: float) -> bool:
        """Say whether a network is fast enough, and where both sides count no faster than it has to be."""
        return self.meets(latency_ms) and (not self.both_sides or latency_ms >= self.ms * (1 - self.tolerance))

    def off(self, latency_ms: float) -> float:
        """Give the distance of a latency from the target as a share of it; negative below."""
        return latency_ms / self.ms - 1
