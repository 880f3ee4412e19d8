"""The mathematics of the policy gradient, as pure functions."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

# A ratio this near to 1 (in nats) is rounding: the policy has not moved since it proposed. Counted as exactly 1, so
# that a run replayed from its tokens, without log-probabilities, repeats the same updates bit for bit.
SAME_POLICY_NATS = 1e-3

LARGEST_LOG_RATIO = 20.0  # nats; past it a ratio would overflow, and the gradient not be a number


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


def rank_advantages(rewards: Sequence[float], recent: Sequence[float]) -> list[float]:
    """Return the normal quantile of each reward's rank among recent ones, itself included; equal rewards have 0.

    Ranks bear outliers, and any scale; normal scores as in Blom 1958, with a half for his 3/8.
    """
    normal, ordered = NormalDist(), sorted(recent)
    middles = [(bisect_left(ordered, reward) + bisect_right(ordered, reward)) / 2 for reward in rewards]
    low, high = 0.5 / len(ordered), 1 - 0.5 / len(ordered)
    return [normal.inv_cdf(min(max(middle / len(ordered), low), high)) for middle in middles]


def policy_gradient_loss(chosen: Tensor, advantages: Tensor, weights: Tensor) -> Tensor:
    """Return the loss whose gradient is minus REINFORCE's (Williams 1992, theorem 1).

    chosen: log-probabilities of the choices made, (batch, decisions); advantages: (batch, decisions); weights:
    (batch,). The last two are constants: no gradient flows through them.
    """
    return -(weights.detach() * (advantages.detach() * chosen).sum(-1)).mean()


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return the entropy in nats of each row: (..., choices) to (...). Impossible choices count as nothing."""
    probabilities = log_probabilities.exp()
    return -torch.where(probabilities > 0, probabilities * log_probabilities, 0.0).sum(-1)


def settled(then: Tensor, now: Tensor) -> Tensor:
    """Return the log-probabilities when proposed, (batch,), with those of now where they are unknown or the same."""
    unmoved = then.isnan() | ((now - then).abs() < SAME_POLICY_NATS)
    return torch.where(unmoved, now, then)


def importance_weights(now: Tensor, then: Tensor, limit: float) -> Tensor:
    """Weigh late results: the ratio of probabilities now to when proposed, cut at the limit (Ionides 2008).

    Both are log-probabilities in nats, (batch,).
    """
    return (now.detach() - then).exp().clamp(max=limit)


def clipped_loss(chosen: Tensor, before: Tensor, advantages: Tensor, weights: Tensor, clip: float) -> Tensor:
    """Return PPO's loss (Schulman et al. 2017, equation 7), a ratio for each decision.

    chosen and before: log-probabilities in nats of the choices made, now and by the policy that the update started
    from, (batch, decisions); advantages: (batch, decisions); weights: (batch,), of late results against that policy
    (Hilton et al. 2022 keep these two ratios apart).
    """
    ratio = (chosen - before).clamp(max=LARGEST_LOG_RATIO).exp()
    gains = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(weights.detach() * gains.sum(-1)).mean()


def change_of_policy(before: Tensor, after: Tensor) -> Tensor:
    """Return the divergence of one policy from another in nats, mean over decisions and batch (Kullback-Leibler).

    Both are log-probabilities (batch, decisions, choices).
    """
    probabilities = before.exp()
    return torch.where(probabilities > 0, probabilities * (before - after), 0.0).sum(-1).mean()
