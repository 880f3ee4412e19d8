"""Costs per operator class, fitted to published whole-network latencies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import spearmanr

from latency.features import Features, features
from latency.fit import Array, fit_costs_and_scales, fit_scale
from latency.published import Published
from latency.table import Accuracy
from search_spaces import Arch, InputError, lower

_DIGITS = 6  # of a cost; rounded before it prices anything, so that a table's header reproduces its rows


@dataclass(frozen=True, slots=True)
class Calibration:
    """Prices in nanoseconds for each field of `Features`, and what every network pays once.

    ``scales``: how many times as long another source's times are as those that the prices are for.
    """

    overhead_ms: float
    costs_ns: dict[str, float]
    scales: dict[str, float]
    accuracy: Accuracy


def calibrate(networks: Sequence[Published], base: Sequence[Published] = ()) -> Calibration:
    """Fit non-negative costs that minimise the sum of squared relative errors, and cross-validate them.

    The costs are for the source of the first network; each other source gets a scale of its own. With ``base``, the
    latencies of a like device with more of them, the costs are those of ``base`` times one fitted scale: too few
    networks cannot tell costs apart.
    """
    _check(networks, base)
    prices, scales = _fit(networks, base, networks[0].source)
    overhead, *costs = (float(f"{value:.{_DIGITS}g}") for value in prices)
    costs_ns = dict(zip(Features._fields, costs, strict=True))
    return Calibration(overhead, costs_ns, scales, _accuracy(networks, base))


def predict_left_out(
    networks: Sequence[Published], group: Callable[[Published], object], base: Sequence[Published] = ()
) -> list[float]:
    """Predict each network of the first one's source, in milliseconds, by a fit to those of all other groups.

    A group is left out wherever it stands: in every source, and in ``base``.
    """
    source = networks[0].source
    prices = {}
    for left_out in dict.fromkeys(group(network) for network in _of(source, networks)):
        kept, kept_base = ([network for network in each if group(network) != left_out] for each in (networks, base))
        prices[left_out], _ = _fit(kept, kept_base, source)
    return [float(_network_work(network.arch) @ prices[group(network)]) for network in _of(source, networks)]


def _check(networks: Sequence[Published], base: Sequence[Published]) -> None:
    unknowns = len(Features._fields) + 1
    needed = 2 if base else unknowns  # one scale, and a network left out still leaves it two to go by
    given = _of(networks[0].source, networks) if networks else []
    if len(given) <= needed:
        raise InputError(f"a calibration needs more than {needed} networks, got {len(given)}")
    if base and len(base) <= unknowns:
        raise InputError(f"the costs to scale need more than {unknowns} networks, got {len(base)}")
    sources = {network.source for network in networks}
    if base and (len(sources) > 1 or len({network.source for network in base}) > 1):
        raise InputError(f"a scale is from one source to one other, got networks of {', '.join(sorted(sources))}")
    if len({network.family for network in given}) == 1:
        raise InputError(f"a calibration needs networks of two families or more, got only {given[0].family}")


def _of(source: str, networks: Sequence[Published]) -> list[Published]:
    return [network for network in networks if network.source == source]


def _fit(networks: Sequence[Published], base: Sequence[Published], source: str) -> tuple[Array, dict[str, float]]:
    """Give the overhead (ms) and the costs (ns), and the scales of the sources other than ``source``."""
    if base:
        costs, _ = _fit(base, (), base[0].source)
        return costs * fit_scale(_work(networks) @ costs, _measured(networks)), {}
    names = list(dict.fromkeys([source, *(network.source for network in networks)]))
    numbers = [names.index(network.source) for network in networks]
    costs, scales = fit_costs_and_scales(_work(networks), _measured(networks), numbers)
    return costs, {names[number]: scale for number, scale in scales.items() if number}


def _accuracy(networks: Sequence[Published], base: Sequence[Published]) -> Accuracy:
    measured = _measured(_of(networks[0].source, networks))
    alone = np.array(predict_left_out(networks, lambda network: network.arch.key, base))
    family = np.array(predict_left_out(networks, lambda network: network.family, base))
    errors = np.abs(alone / measured - 1)
    return Accuracy(
        method="each left out of both fits, costs and scale, in turn" if base else "each left out of the fit in turn",
        networks=len(measured),
        mape=round(float(errors.mean()), 4),
        worst=round(float(errors.max()), 4),
        spearman=_spearman(alone, measured),
        family_mape=round(float(np.abs(family / measured - 1).mean()), 4),
        family_spearman=_spearman(family, measured),
    )


def _spearman(predicted: Array, measured: Array) -> float:
    return round(float(spearmanr(predicted, measured).statistic), 4)


def _measured(networks: Sequence[Published]) -> Array:
    return np.array([network.latency_ms for network in networks])


def _work(networks: Sequence[Published]) -> Array:
    return np.array([_network_work(network.arch) for network in networks])  # (networks, overhead and features)


@lru_cache(maxsize=1000)  # a fit for each group left out asks for the same networks again
def _network_work(arch: Arch) -> Array:
    """Give the multipliers of the overhead (ms) and of each cost (ns), in milliseconds per unit."""
    per_op = [features(op) for op in lower(arch)]
    return np.array([1.0, *(sum(amounts) / 1e6 for amounts in zip(*per_op, strict=True))])
