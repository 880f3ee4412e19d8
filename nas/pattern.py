"""Whether values follow from tokens at all: a regression against noise alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm, rankdata

from controllers.functions import Array, Encoding

SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])  # of the variance that choices may explain, all alike
JITTER = 1e-9  # of a kernel's diagonal, which is singular where a network comes twice
REACH = 0.2  # share of the decisions in which networks may differ until their likeness has fallen to 1/e


def log_odds(tokens: Sequence[Sequence[int]], values: Sequence[float], sizes: Sequence[int]) -> float:
    """Give the logarithm of how much more likely the values' order is where choices matter than where none does.

    A Bayes factor of Gaussian processes (Rasmussen and Williams 2006, equation 2.30) on normal scores. A third of the
    weight is on all decisions together, the kernel counting agreeing choices, a third on a single one, whichever, and
    a third on a likeness that falls by a factor with each decision that differs: among networks that a search has come
    to prefer, choices may matter little by themselves. Of noise it stays near or below 0, whoever chose the networks.
    The values must not all be the same.
    """
    scores = norm.ppf((rankdata(values) - 0.5) / len(values))
    scores = (scores - scores.mean()) / scores.std()
    columns = list(_columns(np.array(tokens), sizes))
    if not columns:
        return 0.0
    alone = [_log_odds(own, scores) for own in columns]
    together = _log_odds(np.concatenate(columns, axis=1), scores)
    alike = _log_odds(_likeness_columns(np.array(tokens), Encoding(tuple(sizes))), scores)
    patterns = [together, logsumexp(alone) - np.log(len(alone)), alike]
    return float(logsumexp(patterns) - np.log(len(patterns)))


def _columns(tokens: NDArray[np.int64], sizes: Sequence[int]) -> Iterator[Array]:
    """Yield one-hot columns for each decision in which the networks differ, (networks, choices).

    Their products are 1 where two networks agree and -1 / (size - 1) where not, but for a level that all share, which
    is no pattern and is taken out.
    """
    for column, size in zip(tokens.T, sizes, strict=True):
        hot = (column[:, None] == np.arange(size)) * np.sqrt(size / max(size - 1, 1))
        if len(set(column.tolist())) > 1:
            yield hot - hot.mean(0)


def _likeness_columns(tokens: NDArray[np.int64], encoding: Encoding) -> Array:
    """Give columns whose products are the likeness of networks (count, decisions), the level taken out."""
    _, differing = encoding.kernels(tokens, tokens)
    likeness = np.exp(-differing / (REACH * len(encoding.open)))
    factor = np.linalg.cholesky(likeness + JITTER * np.eye(len(tokens)))
    columns: Array = factor - factor.mean(0)
    return columns


def _log_odds(columns: Array, scores: Array) -> float:
    """Compare a linear function of columns with noise.

    By the columns' products (Rasmussen and Williams 2006, equations A.9 and A.10): with the unit matrix they have a
    solution whatever the columns, while the search for singular values need not end where columns depend on each other.
    """
    scale = len(columns) / np.square(columns).sum()  # the kernel's diagonal is 1 on average
    products, slopes = scale * (columns.T @ columns), np.sqrt(scale) * (columns.T @ scores)
    noise, ratios, square = 1 - SHARES, SHARES / (1 - SHARES), float(scores @ scores)
    systems = np.eye(len(products)) + ratios[:, None, None] * products  # (shares, columns, columns)
    explained = ratios * (np.linalg.solve(systems, slopes[:, None])[..., 0] @ slopes)
    log_determinants = len(scores) * np.log(noise) + np.linalg.slogdet(systems).logabsdet
    gains = 0.5 * (square - log_determinants - (square - explained) / noise)
    return float(logsumexp(gains) - np.log(len(SHARES)))
