"""Costs for a phone with eight published networks: pixel1's times a scale, costs of their own, and what is between."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import nnls

from latency.calibration import calibrate
from latency.features import features
from latency.published import Published
from search_spaces import lower

STIFFNESSES = (0.01, 0.1, 1.0, 10.0)
Figures = tuple[float, float, float]  # left out one by one: mean and worst; family by family: mean


def by_scale(networks: Sequence[Published], base: Sequence[Published]) -> Figures:
    """The figures of the shipped way: base's costs times one scale."""
    accuracy = calibrate(networks, base).accuracy
    return accuracy.mape, accuracy.worst, accuracy.family_mape or 0.0


def by_own_costs(networks: Sequence[Published]) -> Figures:
    """The figures of an overhead and three costs fitted to the eight alone."""
    accuracy = calibrate(networks).accuracy
    return accuracy.mape, accuracy.worst, accuracy.family_mape or 0.0


def by_ridge(networks: Sequence[Published], base: Sequence[Published], stiffness: float) -> Figures:
    """The figures of costs that are drawn to one common multiple of base's, and may leave it."""
    alone = _errors(networks, base, stiffness, lambda network: network.arch.key)
    family = _errors(networks, base, stiffness, lambda network: network.family)
    return float(alone.mean()), float(alone.max()), float(family.mean())


def _errors(
    networks: Sequence[Published], base: Sequence[Published], stiffness: float, group: Callable[[Published], str]
) -> np.ndarray:
    predicted = []
    for left_out in networks:
        kept, kept_base = ([each for each in of if group(each) != group(left_out)] for of in (networks, base))
        overhead_ms, costs = _ridge(kept, kept_base, stiffness)
        predicted.append(overhead_ms + _work([left_out])[0] @ costs)
    return np.abs(np.array(predicted) / _measured(networks) - 1)


def _ridge(networks: Sequence[Published], base: Sequence[Published], stiffness: float) -> tuple[float, np.ndarray]:
    """Minimise the squared relative errors + stiffness * sum((cost / base's cost - scale)²) over costs and the scale.

    The overhead is base's times the scale.
    """
    calibration = calibrate(base)
    base_costs = np.array(list(calibration.costs_ns.values()))
    measured = _measured(networks)[:, None]
    count = len(base_costs)
    relative = np.hstack([_work(networks) * base_costs / measured, calibration.overhead_ms / measured])
    pull = np.sqrt(stiffness) * np.hstack([np.eye(count), -np.ones((count, 1))])
    target = np.concatenate([np.ones(len(networks)), np.zeros(count)])
    solution, _ = nnls(np.vstack([relative, pull]), target)
    return float(solution[count] * calibration.overhead_ms), solution[:count] * base_costs


def _work(networks: Sequence[Published]) -> np.ndarray:
    return np.array([np.sum([features(op) for op in lower(network.arch)], axis=0) / 1e6 for network in networks])


def _measured(networks: Sequence[Published]) -> np.ndarray:
    return np.array([network.latency_ms for network in networks])
