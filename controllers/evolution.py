"""Regularised evolution: children of the young and fit; a neighbour without a policy."""

import math
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from controllers.contract import Proposal, Results, check_count, check_results, check_state
from controllers.options import require_range
from controllers.random_search import restore_generator, saved_generator


@dataclass(frozen=True, slots=True)
class EvolutionOptions:
    """Hold what can be set; the defaults are PyGlove's."""

    population: int = 100  # results that can become parents: the latest ones
    sample: int = 10  # how many of them compete to be one child's parent

    def __post_init__(self) -> None:
        require_range("population", self.population, 1, math.inf)
        require_range("sample", self.sample, 1, math.inf)


class Evolution:
    """Change one decision of the best of a sample; the oldest results die (Real et al. 2019, algorithm 1)."""

    def __init__(self, sizes: Sequence[int], seed: int, options: EvolutionOptions) -> None:
        self._sizes = tuple(sizes)
        self._open = [index for index, size in enumerate(sizes) if size > 1]  # decisions that can be changed
        self._options = options
        self._random = random.Random(seed)
        self._asked = 0
        self._population: deque[tuple[tuple[int, ...], float]] = deque(maxlen=options.population)

    def ask(self, n: int) -> list[Proposal]:
        """Propose uniformly until a population was asked for or told, and then children of the results told by now."""
        check_count(n)
        return [self._propose() for _ in range(n)]

    def tell(self, results: Results) -> None:
        """Add results to the population, and remove as many of the oldest as there are too many."""
        check_results(self._sizes, results)
        self._population.extend((tuple(proposal.tokens), float(reward)) for proposal, reward in results)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the population, oldest first, and of the random generator."""
        return {
            **self._identity(),
            "generator": saved_generator(self._random),
            "asked": self._asked,
            "tokens": [list(tokens) for tokens, _ in self._population],
            "rewards": [reward for _, reward in self._population],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that a controller with the same sizes and options saved."""
        check_state(state, self._identity(), ["generator", "asked", "tokens", "rewards"])
        restore_generator(self._random, state["generator"])
        self._asked = state["asked"]
        self._population.clear()
        self._population.extend(zip(map(tuple, state["tokens"]), state["rewards"], strict=True))

    def diagnostics(self) -> dict[str, float]:
        """Say how varied the population is.

        entropy: nats, mean per decision, of the choices in the population, those still to come counted as uniform;
        entropy_share: of its maximum; population: how many results it holds.
        """
        entropy = sum(self._entropy(decision) for decision in range(len(self._sizes)))
        limit = sum(math.log(size) for size in self._sizes)
        return {
            "entropy": entropy / len(self._sizes),
            "entropy_share": entropy / limit if limit > 0 else 1.0,
            "population": float(len(self._population)),
        }

    def decision_entropies(self) -> list[float]:
        """Give the entropy of each decision's choices in the population as a share of its maximum."""
        return [
            self._entropy(decision) / math.log(size) if size > 1 else 1.0 for decision, size in enumerate(self._sizes)
        ]

    def _propose(self) -> Proposal:
        self._asked += 1
        beginning = max(self._asked - 1, len(self._population)) < self._options.population
        if beginning or not self._population:
            uniform = -sum(math.log(size) for size in self._sizes)
            return Proposal(tuple(self._random.randrange(size) for size in self._sizes), uniform)
        competitors = self._random.choices(self._population, k=self._options.sample)  # with repeats, as in the paper
        parent, _ = max(competitors, key=lambda member: member[1])  # the first of equals: none is favoured
        return Proposal(self._child(parent))

    def _child(self, parent: tuple[int, ...]) -> tuple[int, ...]:
        """Give one decision another choice, all such changes of a decision equally likely."""
        if not self._open:
            return parent
        changed = self._random.choice(self._open)
        other = self._random.randrange(self._sizes[changed] - 1)
        other += other >= parent[changed]
        return (*parent[:changed], other, *parent[changed + 1 :])

    def _entropy(self, decision: int) -> float:
        counts = Counter(tokens[decision] for tokens, _ in self._population)
        total, size = self._options.population, self._sizes[decision]
        to_come = (total - len(self._population)) / size
        shares = [(counts[choice] + to_come) / total for choice in range(size)]
        return -sum(share * math.log(share) for share in shares if share > 0)

    def _identity(self) -> dict[str, Any]:
        return {"controller": "evolution", "sizes": list(self._sizes), "options": asdict(self._options)}
