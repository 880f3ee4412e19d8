"""What a search and a controller say to each other, and the checks that every controller makes of what it is told."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search_spaces import InputError


@dataclass(frozen=True, slots=True)
class Proposal:
    """Hold one choice for every decision.

    ``log_probability`` (nats, of the whole tuple) is that of the policy which proposed it, at the time; None where
    it is not known, as in a run that is replayed from its tokens.
    """

    tokens: tuple[int, ...]
    log_probability: float | None = None


Results = Sequence[tuple[Proposal, float]]

# What a search knows of a network's reward before it is trained, where it hands that over: tokens to (slope, offset),
# of reward = slope * accuracy + offset. The slope is more than 0. The same tokens always give the same pair.
Known = Callable[[tuple[int, ...]], tuple[float, float]]


class Controller(Protocol):
    """Propose tokens, and learn from their rewards. The same seed and the same calls give the same proposals."""

    def ask(self, n: int) -> list[Proposal]:
        """Propose n token tuples."""

    def tell(self, results: Results) -> None:
        """Learn from one batch: one update of the policy. An empty batch changes nothing.

        Proposals may be late (made before other updates), made elsewhere, or plain tokens. Higher rewards are better.
        Raises InputError, and learns nothing, if a reward is not finite or tokens do not fit the sizes.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that is needed to go on, random generator included.

        It holds tensors, numbers, strings, lists and dicts alone, so ``torch.load(weights_only=True)`` reads it.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, bit for bit. Raises InputError if another kind of controller saved it."""

    def diagnostics(self) -> dict[str, float]:
        """Say how the policy is doing; always holds ``entropy_share``, 1 for a uniform policy, 0 for a settled one."""

    def decision_entropies(self) -> list[float]:
        """Give each decision's entropy as a share of its maximum, 1 where there is nothing to choose."""


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the number of choices of each decision; raise InputError where there is nothing to choose from."""
    if not sizes:
        raise InputError("a controller needs at least one decision, got no sizes")
    for index, size in enumerate(sizes):
        if size < 1:
            raise InputError(f"decision {index} has {size} choices; each decision needs at least 1")
    return tuple(int(size) for size in sizes)


def check_count(n: int) -> None:
    """Raise InputError if n proposals can't be made."""
    if n < 0:
        raise InputError(f"cannot propose {n} times; ask for 0 or more")


def check_results(sizes: Sequence[int], results: Results) -> None:
    """Raise InputError for the first result that a controller can't learn from."""
    for proposal, reward in results:
        tokens = proposal.tokens
        if len(tokens) != len(sizes):
            raise InputError(f"a proposal needs {len(sizes)} tokens, got {len(tokens)}")
        for index, (token, size) in enumerate(zip(tokens, sizes, strict=True)):
            if not 0 <= token < size:
                raise InputError(f"token {token} of decision {index} is out of range; allowed are 0 to {size - 1}")
        if not math.isfinite(reward):
            raise InputError(f"a reward must be a finite number, got {reward}; leave failed trials out")
        if proposal.log_probability is not None and not proposal.log_probability <= 0:
            raise InputError(f"a log_probability is at most 0, got {proposal.log_probability}; use None if unknown")


def check_state(state: Mapping[str, Any], expected: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raise InputError unless a state has the keys, and was saved by a controller like this one."""
    missing = [key for key in (*expected, *keys) if key not in state]
    if missing:
        raise InputError(f"this is no complete controller state: it lacks {', '.join(missing)}")
    for key, value in expected.items():
        if state[key] != value:
            raise InputError(
                f"the controller state was saved with {key} {state[key]!r}, this controller has {value!r}; "
                "resume with the settings of the saved run"
            )
