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
    columns = list(_columns(np.array(tokens), sizes))
    if not columns:
        return 0.0
    alone = [_log_odds(own, scores) for own in columns]
    together = _log_odds(np.concatenate(columns, axis=1), scores)
    return float(np.logaddexp(together, logsumexp(alone) - np.log(len(alone))) - np.log(2))


def _columns(tokens: NDArray[np.int64], sizes: Sequence[int]) -> Iterator[Array]:
    """Yield one-hot columns for each decision in which the networks differ, (networks, choices).

    Their products are 1 where two networks agree and -1 / (size - 1) where not, but for a level that all share, which
    is no pattern and is taken out.
    """
    for column, size in zip(tokens.T, sizes, strict=True):
        hot = (column[:, None] == np.arange(size)) * np.sqrt(size / max(size - 1, 1))
        if len(set(column.tolist())) > 1:
            yield hot - hot.mean(0)


def _log_odds(columns: Array, scores: Array) -> float:
    """Compare a linear function of columns with noise; along the axes that no column reaches there is noise alone."""
    axes, singular, _ = np.linalg.svd(columns, full_matrices=False)
    variances = singular**2 * len(columns) / (singular**2).sum()  # 1 on average over all axes
    squares = (axes.T @ scores) ** 2
    count, beyond = len(scores) - len(variances), float(scores @ scores - squares.sum())
    noise = 1 - SHARES
    modelled = SHARES[:, None] * variances + noise[:, None]  # (shares, axes)
    gains = 0.5 * (squares - np.log(modelled) - squares / modelled).sum(1)
    gains += 0.5 * (beyond - count * np.log(noise) - beyond / noise)
    return float(logsumexp(gains) - np.log(len(SHARES)))
