"""Times of Ops inside networks, from a network's time and its Ops' shares of it."""

import statistics
from dataclasses import dataclass

from latency.source import Chain
from latency.timing import Timing
from search_spaces import Op

_LEAST_MS = 1e-5  # an Op that a runtime has optimised away still has a row, and a time is positive


@dataclass(frozen=True, slots=True)
class Inside:
    """A network timed whole, and what each of its Ops took of that; ``overhead_ms`` is the call's own cost."""

    chain: Chain
    whole: Timing
    overhead_ms: float
    shares: tuple[float, ...]

    def timings(self) -> dict[Op, Timing]:
        """Give each Op's time; of one that stands in the network several times, the mean."""
        work_ms = max(self.whole.median_ms - self.overhead_ms, _LEAST_MS)
        times: dict[Op, list[float]] = {}
        for op, share in zip(self.chain, self.shares, strict=True):
            times.setdefault(op, []).append(share * work_ms)
        means = {op: max(statistics.mean(found), _LEAST_MS) for op, found in times.items()}
        return {op: self.whole.scaled(mean / self.whole.median_ms) for op, mean in means.items()}
