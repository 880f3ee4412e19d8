"""Draws from the policy, made ahead: sixteen cost what one costs, and the policy stays as it is between updates."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch

from controllers.memory import Tokens
from controllers.policy import Policy

DRAWS = 32  # at once, or as many as are asked for
HEATS, EACH = 12, 8  # a policy that has settled is evened out in so many steps, with so many draws from each
HEAT = 1.25  # by how much a step evens it out
SETTLED = 0.25  # it has where a smaller share of its draws is accepted


class Draws:
    """Give the draws that somebody accepts, in their order."""

    def __init__(self, policy: Policy, generator: torch.Generator) -> None:
        self._policy = policy
        self._generator = generator
        self.clear()

    def clear(self) -> None:
        """Forget what is drawn: the policy has changed."""
        self._waiting: deque[Tokens] = deque()
        self._hot = False  # what is waiting is from the policy evened out
        self._drawn, self._accepted = 0, 0  # of what was drawn last

    def take(self, n: int, accept: Callable[[Tokens], bool]) -> list[Tokens]:
        """Give n draws that are accepted, or fewer where even the evened out policy has no more.

        Those come after the others: near what the policy has settled on first, then further away.
        """
        chosen = self._take(n, accept)
        while len(chosen) < n and not (self._hot and self._accepted == 0):
            self._refill(n - len(chosen))
            chosen += self._take(n - len(chosen), accept)
        return chosen

    def _take(self, n: int, accept: Callable[[Tokens], bool]) -> list[Tokens]:
        chosen: list[Tokens] = []
        while self._waiting and len(chosen) < n:
            tokens = self._waiting.popleft()
            if accept(tokens):
                chosen.append(tokens)
        self._accepted += len(chosen)
        return chosen

    def _refill(self, n: int) -> None:
        self._hot = self._accepted < SETTLED * self._drawn
        if self._hot:
            heat = HEAT ** torch.arange(1, HEATS + 1).repeat_interleave(EACH)[:, None]
            rows, _ = self._policy.sample(len(heat), self._generator, heat)
        else:
            rows, _ = self._policy.sample(max(n, DRAWS), self._generator)
        self._waiting = deque(map(tuple, rows.tolist()))
        self._drawn, self._accepted = len(self._waiting), 0

    def state_dict(self) -> dict[str, Any]:
        """Give all of it in plain types, without the policy and the generator."""
        waiting = [list(tokens) for tokens in self._waiting]
        return {"waiting": waiting, "hot": self._hot, "drawn": self._drawn, "accepted": self._accepted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._waiting = deque(map(tuple, state["waiting"]))
        self._hot, self._drawn, self._accepted = state["hot"], state["drawn"], state["accepted"]
