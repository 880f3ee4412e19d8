"""Least squares of relative errors: costs that are never negative, and scales between sources."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from search_spaces import InputError

Array = npt.NDArray[np.float64]
_STEPS = 2000  # some fifty are usual; more where the other sources have many times the networks of source 0
_SETTLED = 1e-12  # relative change of a scale in one step


def fit_costs(work: Array, measured: Array) -> Array:
    """Fit the costs that are at least 0 and minimise the sum of (work @ costs / measured - 1)²."""
    relative = work / measured[:, None]  # each row then aims at 1: a millisecond of a small network weighs more
    scale = relative.max(axis=0)  # costs differ by orders of magnitude; alike columns keep the solver exact
    costs, _ = nnls(relative / scale, np.ones(len(measured)))
    result: Array = costs / scale
    return result


def fit_scale(predicted: Array, measured: Array) -> float:
    """Give the factor that minimises the sum of (factor * predicted / measured - 1)²; predictions are above 0."""
    relative = predicted / measured
    return float(relative.sum() / (relative @ relative))


def fit_costs_and_scales(work: Array, measured: Array, sources: Sequence[int]) -> tuple[Array, dict[int, float]]:
    """Fit costs to several sources of times, and how many times as long each source's are as source 0's.

    Minimises the sum of (scale[source] * work @ costs / measured - 1)² with scale[0] = 1, costs and scales in turn:
    each step has one best answer and none makes the sum larger. One source takes one step.
    """
    numbers = np.array(sources)
    scales = dict.fromkeys(sorted(set(sources)), 1.0)
    for _ in range(_STEPS):
        costs = fit_costs(work * np.array([[scales[source]] for source in sources]), measured)
        before, predicted = scales, work @ costs
        scales = {
            source: fit_scale(predicted[numbers == source], measured[numbers == source]) if source else 1.0
            for source in before
        }
        if all(abs(scales[source] / before[source] - 1) < _SETTLED for source in scales):
            return costs, scales
    count = int((numbers == 0).sum())
    raise InputError(
        f"the scales of sources do not settle: {count} of {len(sources)} networks are of the source that the costs are "
        "for; give it more, or the others fewer"
    )
