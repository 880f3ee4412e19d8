"""The mathematics of the policy gradient, as pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# A ratio this near to 1 (in nats) is rounding: the policy has not moved since it proposed. Counted as exactly 1, so
# that a run replayed from its tokens, without log-probabilities, repeats the same updates bit for bit.
SAME_POLICY_NATS = 1e-3


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """Hold an exponentially weighted mean of all values so far, without bias to its start.

    ``weight`` is 1 - decay**count, the share that real values have in a mean that started at zero; dividing by it
    is Adam's correction (Kingma and Ba 2015, section 3).
    """

    mean: float = 0.0
    weight: float = 0.0

    def updated(self, values: Sequence[float], decay: float) -> "MovingAverage":
        """Return the mean with a batch added; values of one batch count alike, and decay is per value."""
        kept = decay ** len(values)
        weight = kept * self.weight + (1 - kept)
        batch_mean = sum(values) / len(values)
        # As a step from the old mean: equal values then leave it exactly where it is.
        return MovingAverage(self.mean + (1 - kept) / weight * (batch_mean - self.mean), weight)


def advantages(rewards: Sequence[float], baseline: float, scale: float = 1.0) -> list[float]:
    """Return how much better than the baseline each reward is, in units of the scale.

    A scale below a millionth of the baseline is rounding of a constant reward; it is not blown up to size one.
    """
    floor = 1e-6 * abs(baseline) + 1e-12
    return [(reward - baseline) / max(scale, floor) for reward in rewards]


def policy_gradient_loss(log_probabilities: Tensor, advantages: Tensor, weights: Tensor) -> Tensor:
    """Return the loss whose gradient is minus REINFORCE's (Williams 1992, theorem 1); arguments are (batch,).

    Advantages and weights are constants: no gradient flows through them.
    """
    return -(weights.detach() * advantages.detach() * log_probabilities).mean()


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return the entropy in nats of each row: (..., choices) to (...). Impossible choices count as nothing."""
    probabilities = log_probabilities.exp()
    return -torch.where(probabilities > 0, probabilities * log_probabilities, 0.0).sum(-1)


def importance_weights(now: Tensor, then: Tensor, limit: float) -> Tensor:
    """Weigh late results: the ratio of probabilities now to when proposed, cut at the limit (Ionides 2008).

    Both are log-probabilities in nats, (batch,). Where ``then`` is nan (unknown) the weight is 1.
    """
    change = now.detach() - then
    change = torch.where(change.isnan() | (change.abs() < SAME_POLICY_NATS), 0.0, change)
    return change.exp().clamp(max=limit)
