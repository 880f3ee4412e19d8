"""Random search: every choice equally likely, whatever the rewards; the neighbour that others must beat."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from controllers.contract import Proposal, Results, check_count, check_results, check_state


class RandomSearch:
    """Propose uniformly, with repeats, and learn nothing."""

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        self._sizes = tuple(sizes)
        self._random = random.Random(seed)
        self._log_probability = -sum(math.log(size) for size in sizes)

    def ask(self, n: int) -> list[Proposal]:
        """Draw n token tuples."""
        check_count(n)
        return [Proposal(self._draw(), self._log_probability) for _ in range(n)]

    def tell(self, results: Results) -> None:
        """Check the results, and ignore them."""
        check_results(self._sizes, results)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the random generator."""
        return {**self._identity(), "generator": saved_generator(self._random)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on drawing where a saved state was."""
        check_state(state, self._identity(), ["generator"])
        restore_generator(self._random, state["generator"])

    def diagnostics(self) -> dict[str, float]:
        """Say that the policy is uniform."""
        return {"entropy": -self._log_probability / len(self._sizes), "entropy_share": 1.0}

    def decision_entropies(self) -> list[float]:
        """Say that no decision has settled."""
        return [1.0] * len(self._sizes)

    def _draw(self) -> tuple[int, ...]:
        return tuple(self._random.randrange(size) for size in self._sizes)

    def _identity(self) -> dict[str, Any]:
        return {"controller": "random", "sizes": list(self._sizes)}


def saved_generator(generator: random.Random) -> list[int]:
    """Return a generator's state in plain numbers."""
    version, words, _ = generator.getstate()
    return [version, *words]


def restore_generator(generator: random.Random, saved: Sequence[int]) -> None:
    """Go on drawing where a saved generator was."""
    version, *words = saved
    generator.setstate((version, tuple(words), None))  # None: no half of a normal pair is ever kept
