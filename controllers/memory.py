"""What a controller has proposed and been told."""

import heapq
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from controllers.contract import Results

Tokens = tuple[int, ...]

TRIES = 200  # uniform draws for a network that was never proposed, before all that are left are listed


class Memory:
    """The networks proposed so far, and the mean reward of each that was told, in the order of their first result."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        self._cardinality = math.prod(sizes)
        self._proposed: set[Tokens] = set()
        self._means: dict[Tokens, tuple[float, int]] = {}  # with how many results
        self._all: list[float] = []

    def __len__(self) -> int:
        """How many networks have a reward."""
        return len(self._means)

    def __contains__(self, tokens: Tokens) -> bool:
        """Whether a network was proposed or told."""
        return tokens in self._proposed

    @property
    def exhausted(self) -> bool:
        """Whether no network is left that was never proposed."""
        return len(self._proposed) >= self._cardinality

    @property
    def varied(self) -> bool:
        """Whether networks differ in their mean reward."""
        means = iter(self._means.values())
        first, _ = next(means, (0.0, 0))
        return any(mean != first for mean, _ in means)  # mostly the second

    @property
    def rewards(self) -> list[float]:
        """The mean reward of each network."""
        return [mean for mean, _ in self._means.values()]

    def mean(self, tokens: Tokens) -> float:
        """Give the mean reward of a network that has one."""
        return self._means[tokens][0]

    def recent(self, count: int) -> list[float]:
        """Give the last rewards as they were told."""
        return self._all[-count:]

    def latest(self, count: int) -> tuple[list[Tokens], list[float]]:
        """Give the last networks to get a reward, and their mean rewards."""
        pairs = list(itertools.islice(reversed(self._means.items()), count))[::-1]
        return [tokens for tokens, _ in pairs], [mean for _, (mean, _) in pairs]

    def note(self, tokens: Tokens) -> None:
        """Remember that a network was proposed."""
        self._proposed.add(tokens)

    def add(self, results: Results) -> list[Tokens]:
        """Take results in; give the networks that had none before."""
        new = []
        for proposal, reward in results:
            tokens = tuple(proposal.tokens)
            mean, count = self._means.get(tokens, (0.0, 0))
            if not count:
                new.append(tokens)
            # As a step, so that equal rewards leave it exactly where it is.
            self._means[tokens] = mean + (float(reward) - mean) / (count + 1), count + 1
            self._proposed.add(tokens)
            self._all.append(float(reward))
        return new

    def best(self, count: int) -> list[Tokens]:
        """Give the networks with the highest rewards, best first; of equals the earlier one."""
        return heapq.nlargest(count, self._means, key=lambda tokens: self._means[tokens][0])  # as stable as sorting

    def unproposed(self, rng: random.Random) -> Tokens:
        """Draw a network that was never proposed, all equally likely; any network if none is left."""
        for _ in range(TRIES):
            tokens = tuple(rng.randrange(size) for size in self._sizes)
            if tokens not in self._proposed or self.exhausted:
                return tokens
        every = itertools.product(*(range(size) for size in self._sizes))
        return rng.choice([tokens for tokens in every if tokens not in self._proposed])

    def state_dict(self) -> dict[str, Any]:
        """Give all of it; numbers in tensors, which are read back in a hundredth of the time of lists."""
        only_proposed = sorted(self._proposed - self._means.keys())
        return {
            "proposed": self._tensor(only_proposed),
            "networks": self._tensor(list(self._means)),
            "means": torch.tensor(self.rewards, dtype=torch.float64),
            "counts": torch.tensor([count for _, count in self._means.values()]),
            "told": torch.tensor(self._all, dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        networks = map(tuple, state["networks"].tolist())
        pairs = zip(state["means"].tolist(), state["counts"].tolist(), strict=True)
        self._means = dict(zip(networks, pairs, strict=True))
        self._proposed = {*map(tuple, state["proposed"].tolist()), *self._means}
        self._all = state["told"].tolist()

    def _tensor(self, networks: Sequence[Tokens]) -> Tensor:
        return torch.tensor(networks, dtype=torch.int32).reshape(-1, len(self._sizes))
