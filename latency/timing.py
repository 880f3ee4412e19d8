"""The time of one Op or network."""

import math
from dataclasses import dataclass

from search_spaces import InputError


@dataclass(frozen=True, slots=True)
class Timing:
    """A median in milliseconds and, where it was measured, its spread over ``runs`` calls.

    A calculated time has no spread: ``p10_ms``, ``p90_ms`` and ``runs`` are None together.
    """

    median_ms: float
    p10_ms: float | None = None
    p90_ms: float | None = None
    runs: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.median_ms) and self.median_ms > 0):
            raise InputError(f"a time must be a positive number of milliseconds, got {self.median_ms}")
        if self.p10_ms is None and self.p90_ms is None and self.runs is None:
            return
        if self.p10_ms is None or self.p90_ms is None or self.runs is None:
            raise InputError("p10, p90 and runs are given together, or all left empty")
        if not 0 < self.p10_ms <= self.median_ms <= self.p90_ms < math.inf:
            raise InputError(
                f"a time needs 0 < p10 <= median <= p90, got {self.p10_ms}, {self.median_ms}, {self.p90_ms}"
            )
        if self.runs < 1:
            raise InputError(f"runs must be at least 1, got {self.runs}")

    def scaled(self, factor: float) -> "Timing":
        """Multiply the median and its spread; ``factor`` is positive."""
        median = self.median_ms * factor
        if self.p10_ms is None or self.p90_ms is None:
            return Timing(median)
        # rounding must not carry an end past the median
        return Timing(median, min(self.p10_ms * factor, median), max(self.p90_ms * factor, median), self.runs)
