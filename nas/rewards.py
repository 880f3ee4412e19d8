"""Rewards: pure functions of a network's accuracy and latency.

Accuracy is a fraction in [0, 1]; latencies are in milliseconds.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from search_spaces import InputError

RewardName = Literal["soft", "hard", "absolute"]
Reward = Callable[[float, float], float]


def soft_reward(
    accuracy: float, latency_ms: float, target_ms: float, alpha: float = -0.07, beta: float = -0.07
) -> float:
    """Trade accuracy for latency on both sides of the target (Tan et al. 2019, equations 2 and 3).

    The exponent is ``alpha`` up to the target and ``beta`` beyond it: -0.07 each for MobileNetV3-Large, -0.15 each for
    Small (Howard et al. 2019, section 4.1).
    """
    exponent = alpha if latency_ms <= target_ms else beta
    return float(accuracy * (latency_ms / target_ms) ** exponent)


def hard_reward(accuracy: float, latency_ms: float, target_ms: float, alpha: float = 0.0, beta: float = -1.0) -> float:
    """Take the accuracy as it is up to the target, and divide it beyond (Tan et al. 2019, figure 3)."""
    return soft_reward(accuracy, latency_ms, target_ms, alpha, beta)


def absolute_reward(accuracy: float, latency_ms: float, target_ms: float, beta: float = -0.07) -> float:
    """Punish every distance from the target (Bender et al. 2020, section 4: the absolute reward of TuNAS)."""
    return accuracy + beta * abs(latency_ms / target_ms - 1)


def make_reward(name: RewardName, target_ms: float, w: float | None = None) -> Reward:
    """Give the reward of (accuracy, latency_ms) for a target; ``w`` is the strength, with a default for each kind."""
    if w is not None and not -float("inf") < w <= 0:
        raise InputError(
            f"w must be 0 (latency does not count) or negative, got {w}; -0.15 suits small targets, -0.07 large ones"
        )
    if not 0 < target_ms < float("inf"):
        raise InputError(f"the target latency must be a positive number of milliseconds, got {target_ms}")
    if name == "soft":
        soft = -0.07 if w is None else w
        return partial(soft_reward, target_ms=target_ms, alpha=soft, beta=soft)
    if name == "hard":
        return partial(hard_reward, target_ms=target_ms, beta=-1.0 if w is None else w)
    return partial(absolute_reward, target_ms=target_ms, beta=-0.07 if w is None else w)
