"""Costs per operator class, fitted to published whole-network latencies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import spearmanr

from latency.features import Features, features
from latency.published import Published
from latency.table import Accuracy
from search_spaces import Arch, InputError, lower

Array = npt.NDArray[np.float64]
_DIGITS = 6  # of a cost; rounded before it prices anything, so that a table's header reproduces its rows


@dataclass(frozen=True, slots=True)
class Calibration:
    """Prices in nanoseconds for each field of `Features`, and what every network pays once."""

    overhead_ms: float
    costs_ns: dict[str, float]
    accuracy: Accuracy


def calibrate(networks: Sequence[Published]) -> Calibration:
    """Fit non-negative costs that minimise the sum of squared relative errors, and cross-validate them."""
    if len(networks) <= len(Features._fields) + 1:
        raise InputError(f"a calibration needs more than {len(Features._fields) + 1} networks, got {len(networks)}")
    work, measured = _work(networks), _measured(networks)
    overhead, *costs = (float(f"{value:.{_DIGITS}g}") for value in _fit(work, measured))
    return Calibration(overhead, dict(zip(Features._fields, costs, strict=True)), _accuracy(networks))


def predict_left_out(networks: Sequence[Published], group: Callable[[Published], object]) -> list[float]:
    """Predict each network, in milliseconds, by a fit to those of all other groups."""
    work, measured = _work(networks), _measured(networks)
    groups = [group(network) for network in networks]
    predicted = np.empty(len(networks))
    for name in dict.fromkeys(groups):
        inside = np.array([other == name for other in groups])
        predicted[inside] = work[inside] @ _fit(work[~inside], measured[~inside])
    return [float(ms) for ms in predicted]


def _accuracy(networks: Sequence[Published]) -> Accuracy:
    measured = _measured(networks)
    alone = np.array(predict_left_out(networks, lambda network: network.arch.key))
    family = np.array(predict_left_out(networks, lambda network: network.family))
    errors = np.abs(alone / measured - 1)
    return Accuracy(
        method="each left out of the fit in turn",
        networks=len(networks),
        mape=round(float(errors.mean()), 4),
        worst=round(float(errors.max()), 4),
        spearman=_spearman(alone, measured),
        family_mape=round(float(np.abs(family / measured - 1).mean()), 4),
        family_spearman=_spearman(family, measured),
    )


def _spearman(predicted: Array, measured: Array) -> float:
    return round(float(spearmanr(predicted, measured).statistic), 4)


def _fit(work: Array, measured: Array) -> Array:
    relative = work / measured[:, None]  # each row then aims at 1: a millisecond of a small network weighs more
    scale = relative.max(axis=0)  # costs differ by orders of magnitude; alike columns keep the solver exact
    costs, _ = nnls(relative / scale, np.ones(len(measured)))
    result: Array = costs / scale
    return result


def _measured(networks: Sequence[Published]) -> Array:
    return np.array([network.latency_ms for network in networks])


def _work(networks: Sequence[Published]) -> Array:
    return np.array([_network_work(network.arch) for network in networks])  # (networks, overhead and features)


def _network_work(arch: Arch) -> list[float]:
    """Give the multipliers of the overhead (ms) and of each cost (ns), in milliseconds per unit."""
    per_op = [features(op) for op in lower(arch)]
    return [1.0, *(sum(amounts) / 1e6 for amounts in zip(*per_op, strict=True))]
