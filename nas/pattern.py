"""Whether values follow from tokens at all: a regression against noise alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm, rankdata

Array = NDArray[np.float64]

SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])  # of the variance that choices may explain, all alike


def log_odds(tokens: Sequence[Sequence[int]], values: Sequence[float], sizes: Sequence[int]) -> float:
    """Give the logarithm of how much more likely the values' order is where choices matter than where none does.

    A Bayes factor of Gaussian processes (Rasmussen and Williams 2006, equation 2.30) on normal scores, whose kernels
    count agreeing choices: half of the weight is on all decisions together, half on a single one, whichever. Of noise
    it stays near or below 0, whoever chose the networks. The values must not all be the same.
    """
    scores = norm.ppf((rankdata(values) - 0.5) / len(values))
    scores = (scores - scores.mean()) / scores.std()
    parts = list(_agreements(np.array(tokens), sizes))
    if not parts:
        return 0.0
    alone = [_log_odds(part, scores) for part in parts]
    together = _log_odds(sum(parts[1:], parts[0]), scores)
    return float(np.logaddexp(together, logsumexp(alone) - np.log(len(alone))) - np.log(2))


def _agreements(tokens: NDArray[np.int64], sizes: Sequence[int]) -> Iterator[Array]:
    """Yield a kernel for each decision in which the networks differ."""
    for column, size in zip(tokens.T, sizes, strict=True):
        if len(set(column.tolist())) > 1:
            yield np.where(column[:, None] == column[None, :], 1.0, -1 / (size - 1))


def _log_odds(kernel: Array, scores: Array) -> float:
    """Compare one kernel with noise; a level that all share is no pattern, so it is taken out."""
    centred = kernel - kernel.mean(0)
    centred -= centred.mean(1)[:, None]
    variances, axes = np.linalg.eigh(centred * len(centred) / np.trace(centred))
    squares = (axes.T @ scores) ** 2
    modelled = np.maximum(SHARES[:, None] * variances + (1 - SHARES[:, None]), 1e-9)  # (shares, values)
    gains = 0.5 * (squares - np.log(modelled) - squares / modelled).sum(1)
    return float(logsumexp(gains) - np.log(len(SHARES)))
