"""From what was timed of single Ops to their times inside a network, by a regression on networks timed whole.

An Op alone in a loop finds its weights and its input in the cache and pays for layout changes at both ends; inside a
large network the caches are cold. How much that matters in the networks of a space is learned: a network's time is a
weighted sum of its Ops' times alone, of their times inside other networks where the runtime tells them, and of the
memory that they write and read. More terms (a kind's own weights, the number of Ops) predict no better, and make two
tables of one device disagree about single Ops. The weights start from "as timed" and move as far as the networks say
(ridge regression towards that prior).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latency.source import Chain
from search_spaces import Op

Array = npt.NDArray[np.float64]
_FLOOR = 0.2  # of an Op's time alone: less is no Op's time, whatever a line through other Ops says
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_AS_GOOD = 1.05  # times the least error: of what predicts so well, the nearest to "as timed" repeats best
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What was timed of an Op, in milliseconds: by itself and, where the runtime tells, inside networks.

    The call's own cost is taken off.
    """

    alone_ms: float
    inside_ms: float | None = None


def terms(op: Op, known: Known) -> dict[str, float]:
    """Give what an Op's time inside a network is made of."""
    timed = {"warm": known.alone_ms}
    if known.inside_ms is not None:
        timed = {"alone": known.alone_ms, "inside": known.inside_ms}
    return timed | {
        "output": op.out_height * op.out_width * op.out_channels / 1e6,
        "weights": sum(conv.weights for conv in op.convolutions()) / 1e6,
    }


@dataclass(frozen=True, slots=True)
class Correction:
    """The fitted weights of `terms`."""

    weights: dict[str, float]

    def op_ms(self, op: Op, known: Known) -> float:
        """Give an Op's time inside a network."""
        fitted = sum(self.weights.get(name, _prior(name)) * amount for name, amount in terms(op, known).items())
        return max(fitted, _FLOOR * known.alone_ms)


def fit(networks: Sequence[Chain], measured_ms: Sequence[float], known: dict[Op, Known]) -> Correction:
    """Fit to networks and their times, the call's own cost taken off; the penalty is chosen by cross-validation.

    It is the largest that predicts about as well as the best one. With hardly a network there is nothing to choose by,
    and the largest of all is taken.
    """
    if len(networks) < 2 * FOLDS:
        return _fit(networks, measured_ms, known, PENALTIES[-1])
    errors = {penalty: _cross_validated(networks, measured_ms, known, penalty) for penalty in PENALTIES}
    chosen = max(penalty for penalty, error in errors.items() if error <= _AS_GOOD * min(errors.values()))
    return _fit(networks, measured_ms, known, chosen)


def left_out(networks: Sequence[Chain], measured_ms: Sequence[float], known: dict[Op, Known]) -> list[float]:
    """Predict each network by a fit to those of the other folds, in milliseconds."""
    return _left_out(networks, measured_ms, known, lambda chains, times: fit(chains, times, known))


def predict(chain: Chain, known: dict[Op, Known], correction: Correction) -> float:
    return sum(correction.op_ms(op, known[op]) for op in chain)


def _cross_validated(
    networks: Sequence[Chain], measured_ms: Sequence[float], known: dict[Op, Known], penalty: float
) -> float:
    predicted = _left_out(networks, measured_ms, known, lambda chains, times: _fit(chains, times, known, penalty))
    return float(np.mean(np.abs(np.array(predicted) / np.array(measured_ms) - 1)))


def _left_out(
    networks: Sequence[Chain],
    measured_ms: Sequence[float],
    known: dict[Op, Known],
    fitted: Callable[[Sequence[Chain], Sequence[float]], Correction],
) -> list[float]:
    predicted = [0.0] * len(networks)
    for fold in range(FOLDS):
        kept = [index for index in range(len(networks)) if index % FOLDS != fold]
        correction = fitted([networks[index] for index in kept], [measured_ms[index] for index in kept])
        for index in range(fold, len(networks), FOLDS):
            predicted[index] = predict(networks[index], known, correction)
    return predicted


def _fit(networks: Sequence[Chain], measured_ms: Sequence[float], known: dict[Op, Known], penalty: float) -> Correction:
    sums = [_sum_of_terms(chain, known) for chain in networks]
    names = sorted({name for one in sums for name in one})
    measured = np.array(measured_ms)
    work = np.array([[one.get(name, 0.0) for name in names] for one in sums]) / measured[:, None]  # each row aims at 1
    prior = np.array([_prior(name) for name in names])
    scale = np.sqrt(np.mean(work**2, axis=0)) + 1e-12  # so that the penalty is on shares of the time
    scaled = work / scale
    rest = 1 - work @ prior
    gram = scaled.T @ scaled + penalty * len(networks) * np.eye(len(names))
    found = np.linalg.solve(gram, scaled.T @ rest) / scale + prior
    return Correction({name: float(f"{weight:.6g}") for name, weight in zip(names, found, strict=True)})


def _prior(name: str) -> float:
    return {"warm": 1.0, "alone": 0.5, "inside": 0.5}.get(name, 0.0)


def _sum_of_terms(chain: Chain, known: dict[Op, Known]) -> dict[str, float]:
    total: dict[str, float] = {}
    for op in chain:
        for name, amount in terms(op, known[op]).items():
            total[name] = total.get(name, 0.0) + amount
    return total
