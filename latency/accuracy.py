"""How well a table predicts whole networks, and the peers that it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import spearmanr

from latency.source import Chain
from latency.table import Accuracy
from search_spaces import Op
from search_spaces.count import count_op

Array = npt.NDArray[np.float64]


def accuracy(
    method: str, predicted_ms: Sequence[float], measured_ms: Sequence[float], noise_floor: float | None = None
) -> Accuracy:
    """Compare predictions with measurements; ``method`` says how the networks were kept out of what predicts them."""
    predicted, measured = np.array(predicted_ms), np.array(measured_ms)
    errors = predicted / measured - 1
    return Accuracy(
        method=method,
        networks=len(errors),
        mape=_rounded(np.abs(errors).mean()),
        worst=_rounded(np.abs(errors).max()),
        spearman=_rounded(spearmanr(predicted, measured).statistic),
        bias=_rounded(errors.mean()),
        within_5_percent=_rounded((np.abs(errors) <= 0.05).mean()),
        within_10_percent=_rounded((np.abs(errors) <= 0.10).mean()),
        noise_floor=None if noise_floor is None else _rounded(noise_floor),
    )


def _rounded(value: float) -> float:
    return round(float(value), 4)


@dataclass(frozen=True, slots=True)
class Taught:
    """Networks with their times, from which a simple predictor is fitted."""

    networks: Sequence[Chain]
    measured_ms: Sequence[float]


def macs_fit(taught: Taught) -> Callable[[Chain], float]:
    """Fit a line through multiply-accumulates: the predictor of those who have no table."""
    return _fitted(taught, lambda chain: [1.0, sum(count_op(op).macs for op in chain) / 1e6])


def class_fit(taught: Taught) -> Callable[[Chain], float]:
    """Fit a cost per multiply-accumulate for each kind of convolution, and one for each kind's number."""
    names = sorted({name for chain in taught.networks for op in chain for name in _work_by_class(op)})
    return _fitted(taught, lambda chain: [1.0, *_class_work(chain, names)])


def _class_work(chain: Chain, names: Sequence[str]) -> list[float]:
    work = [_work_by_class(op) for op in chain]
    return [sum(one.get(name, 0.0) for one in work) for name in names]


def _work_by_class(op: Op) -> dict[str, float]:
    work: dict[str, float] = {}
    for conv in op.convolutions():
        work[conv.role] = work.get(conv.role, 0.0) + conv.macs / 1e6
        work[f"number of {conv.role}"] = work.get(f"number of {conv.role}", 0.0) + 1
    return work


def _fitted(taught: Taught, work: Callable[[Chain], Sequence[float]]) -> Callable[[Chain], float]:
    measured = np.array(taught.measured_ms)
    relative = np.array([work(chain) for chain in taught.networks]) / measured[:, None]  # each row aims at 1
    scale = relative.max(axis=0) + 1e-12
    costs: Array = nnls(relative / scale, np.ones(len(measured)))[0] / scale
    return lambda chain: float(np.array(work(chain)) @ costs)
