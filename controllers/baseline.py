"""A baseline for each decision: what the network's other decisions are worth.

The advantage of a network moves all its decisions alike, and to each of them the effects of the others are noise. A
baseline that counts those out, by what the other decisions chose, leaves a decision its own effect (Wu et al. 2018,
action-dependent factorised baselines). It adds no bias where decisions are drawn independently; those of a recurrent
policy depend on the ones before, if little, and with them the baseline of an early decision.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NOISE = 0.3  # share of the scores' variance that single decisions are not expected to explain

Array = NDArray[np.float64]


def of_others(sizes: Sequence[int], networks: NDArray[np.int64], scores: Array, asked: NDArray[np.int64]) -> Array:
    """Give the baseline of each decision of the asked networks, (asked, decisions), in units of the scores.

    networks: (n, decisions), with their scores (n,), of mean about 0 and size about 1. Additive effects of choices are
    fitted to them by ridge regression, as if decisions shared the variance but for NOISE evenly.
    """
    first = np.cumsum([0, *sizes[:-1]])
    chosen = np.zeros((len(networks), sum(sizes)))
    np.put_along_axis(chosen, networks + first, 1.0, axis=1)
    usual = chosen.mean(0)
    centred = chosen - usual
    penalty = NOISE * len(sizes) * np.eye(len(usual))
    effects = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (scores - scores.mean()))
    of_usual = np.add.reduceat(usual * effects, first)  # (decisions,)
    own = effects[asked + first] - of_usual
    others: Array = own.sum(1, keepdims=True) - own
    return others
