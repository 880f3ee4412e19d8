"""Rewards: pure functions of a network's accuracy and latency.

Accuracy is a fraction in [0, 1]; latencies are in milliseconds.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

from search_spaces import InputError

RewardName = Literal["soft", "hard", "absolute"]
Reward = Callable[[float, float], float]
REMEMBERED = 2**14  # networks: a controller asks of the same ones again and again, and memory is to stay flat


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


def check_w(w: float) -> float:
    """Give the strength back; ``InputError`` unless it is a power that a reward can bear."""
    if not -10 <= w <= 0:
        raise InputError(
            f"w must be 0 (latency does not count) or negative, down to -10, got {w:g}; "
            "-0.15 suits small targets, -0.07 large ones"
        )
    return w


def check_target(target_ms: float) -> float:
    """Give the target back; ``InputError`` unless it is a latency, or another cost such as FLOPs, that can be met."""
    if not 1e-3 <= target_ms <= 1e15:
        raise InputError(
            "the target latency must be a positive number of milliseconds, or of the table's unit of cost, "
            f"0.001 to 1e15, got {target_ms:g}"
        )
    return target_ms


def default_w(name: RewardName) -> float:
    """Give the strength that a kind of reward has where none is asked for."""
    return -1.0 if name == "hard" else -0.07


def make_reward(name: RewardName, target_ms: float, w: float | None = None) -> Reward:
    """Give the reward of (accuracy, latency_ms) for a target; ``w`` is the strength, with a default for each kind."""
    target_ms, w = check_target(target_ms), check_w(default_w(name) if w is None else w)
    if name == "soft":
        return partial(soft_reward, target_ms=target_ms, alpha=w, beta=w)
    if name == "hard":
        return partial(hard_reward, target_ms=target_ms, beta=w)
    return partial(absolute_reward, target_ms=target_ms, beta=w)


def affine(reward: Reward, latency_ms: float) -> tuple[float, float]:
    """Give (slope, offset) of a reward at a latency: it is slope * accuracy + offset, as all of these are."""
    offset = reward(0.0, latency_ms)
    return reward(1.0, latency_ms) - offset, offset


def known_rewards(
    reward: Reward, latency_ms: Callable[[tuple[int, ...]], float]
) -> Callable[[tuple[int, ...]], tuple[float, float]]:
    """Give a function from tokens to what is known of their reward before training: `affine` at their latency."""

    @lru_cache(maxsize=REMEMBERED)
    def known(tokens: tuple[int, ...]) -> tuple[float, float]:
        return affine(reward, latency_ms(tokens))

    return known
