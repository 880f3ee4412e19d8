"""A Bayesian regression of rewards on tokens: what each choice adds, and what each pair of choices adds beyond.

A Gaussian process whose kernel counts agreements (Rasmussen and Williams 2006, chapters 2 and 5). It is the same model
as a linear one over one-hot tokens and their products, so that a function drawn from its posterior is a vector and a
matrix, and the best single change of a network one product with them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]

NEAR = 6  # decisions apart at which a pair still counts as near; MnasNet has six decisions a block
MOST_COLUMNS = 700  # of one-hot tokens; with more of them pairs are left out, of which hardly one is ever seen
SINGLE, NEAR_PAIRS, PAIRS, NOISE = range(4)
USUAL = np.log([0.6, 0.2, 0.2, 0.1])  # shares of the variance before anything is seen
SPREAD = 1.5  # of their logarithms about that
LOWEST, HIGHEST = -9.0, 3.0  # bounds of those logarithms
SCALE_ROWS = 300  # networks that the scales are found on; with more they hardly change, and the time grows cubically


@dataclass(frozen=True)
class Encoding:
    """Turns tokens into centred one-hot columns, scaled so that agreeing in a decision counts 1."""

    sizes: tuple[int, ...]

    @cached_property
    def open(self) -> tuple[int, ...]:
        """The decisions that have a choice at all."""
        return tuple(index for index, size in enumerate(self.sizes) if size > 1)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first column of each decision."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The decision of each column."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def scales(self) -> Array:
        """What a column is multiplied by; a decision without a choice has none."""
        sizes = np.array(self.sizes, dtype=np.float64)[self.owners]
        return np.where(sizes > 1, 1 / np.sqrt(1 - 1 / np.maximum(sizes, 1.5)), 0.0)

    @cached_property
    def means(self) -> Array:
        return 1 / np.array(self.sizes, dtype=np.float64)[self.owners]

    def columns(self, tokens: Tokens) -> Array:
        """Encode tokens (n, decisions) as columns (n, sum of sizes)."""
        hot = np.zeros((len(tokens), len(self.owners)))
        np.put_along_axis(hot, tokens + self.starts, 1.0, axis=1)
        return (hot - self.means) * self.scales

    @cached_property
    def pair_counts(self) -> tuple[float, float]:
        """How many near pairs and how many pairs of open decisions there are."""
        near = sum(b - a <= NEAR for i, a in enumerate(self.open) for b in self.open[i + 1 :])
        return float(max(near, 1)), float(max(len(self.open) * (len(self.open) - 1) / 2, 1))

    @property
    def has_pairs(self) -> bool:
        return len(self.owners) <= MOST_COLUMNS

    def kernels(self, a: Tokens, b: Tokens) -> tuple[Array, Array, Array]:
        """Give the kernels of choices, near pairs and pairs between two sets, each (len(a), len(b)), 1 on a diagonal.

        Entry by entry, decision by decision: the same figures to the bit, however many are asked for at once.
        """
        single, squares, near = (np.zeros((len(a), len(b))) for _ in range(3))
        recent: list[tuple[int, Array]] = []
        for index in self.open:
            agree = np.where(a[:, index][:, None] == b[:, index][None, :], 1.0, -1 / (self.sizes[index] - 1))
            single += agree
            if self.has_pairs:
                squares += agree * agree
                recent = [(other, values) for other, values in recent if index - other <= NEAR]
                for _, values in recent:
                    near += agree * values
                recent.append((index, agree))
        near_count, pair_count = self.pair_counts
        pairs = (single * single - squares) / 2 if self.has_pairs else squares
        return single / max(len(self.open), 1), near / near_count, pairs / pair_count

    @cached_property
    def pair_variances(self) -> tuple[Array, Array]:
        """Which products of columns are near pairs and pairs, each once, over their number: (columns, columns)."""
        first, second = self.owners[:, None], self.owners[None, :]
        later = (second > first) & self.has_pairs
        near_count, pair_count = self.pair_counts
        return (later & (second - first <= NEAR)) / near_count, later / pair_count


@dataclass(frozen=True)
class Quadratic:
    """A function of tokens that is a sum over choices and pairs of choices."""

    encoding: Encoding
    constant: float
    linear: Array  # (columns,)
    products: Array | None  # (columns, columns), each pair once; None without pairs

    def __call__(self, tokens: Tokens) -> Array:
        """Give the values of tokens (n, decisions), (n,)."""
        columns = self.encoding.columns(tokens)
        return self.constant + _quadratic(columns, self.linear, self.products)

    @cached_property
    def _symmetric(self) -> Array | None:
        return None if self.products is None else self.products + self.products.T

    def changes(self, tokens: Tokens) -> Array:
        """Give what changing one decision to each choice would add: (n, columns); 0 for the choice it has."""
        columns = self.encoding.columns(tokens)
        bent = np.zeros_like(columns) if self._symmetric is None else columns @ self._symmetric
        slopes = (self.linear + bent) * self.encoding.scales
        present = np.take_along_axis(slopes, tokens + self.encoding.starts, axis=1)
        changes: Array = slopes - present[:, self.encoding.owners]
        return changes


@dataclass(frozen=True)
class Fitted:
    """The posterior after some rewards, for which `scales` were found."""

    encoding: Encoding
    columns: Array  # (n, columns)
    factor: tuple[Array, bool]  # Cholesky's, of the rewards' covariance
    values: Array  # (n,) standardised rewards
    weights: Array  # (n,) covariance^-1 values
    scales: Array  # variances: of choices, near pairs, pairs, noise
    centre: float
    spread: float
    evidence: float  # log marginal likelihood less that of noise alone, in nats

    def mean(self) -> Quadratic:
        """Give the posterior's mean function."""
        return self._function(self.weights, None, 0.0)

    def left_out(self) -> Array:
        """Give what the other rewards say of each, in units of reward (Rasmussen and Williams 2006, equation 5.12)."""
        precisions = np.diag(cho_solve(self.factor, np.eye(len(self.values))))
        guesses: Array = self.centre + self.spread * (self.values - self.weights / precisions)
        return guesses

    def draw(self, generator: np.random.Generator, boldness: float) -> Quadratic:
        """Draw a function: the mean and ``boldness`` times a deviation from it (Wilson et al. 2020, eq. 13)."""
        prior = self._prior(generator)
        seen = _quadratic(self.columns, *prior)
        seen += np.sqrt(self.scales[NOISE]) * generator.standard_normal(len(seen))
        weights: Array = cho_solve(self.factor, self.values - boldness * seen)
        return self._function(weights, prior, boldness)

    def _prior(self, generator: np.random.Generator) -> tuple[Array, Array | None]:
        count = self.columns.shape[1]
        linear = np.sqrt(self._single_variance) * generator.standard_normal(count)
        if not self.encoding.has_pairs:
            return linear, None
        return linear, self._pair_deviations * generator.standard_normal((count, count))

    @cached_property
    def _single_variance(self) -> float:
        return float(self.scales[SINGLE]) / max(len(self.encoding.open), 1)

    @cached_property
    def _pair_variances(self) -> Array:
        near, pairs = self.encoding.pair_variances
        variances: Array = self.scales[NEAR_PAIRS] * near + self.scales[PAIRS] * pairs
        return variances

    @cached_property
    def _pair_deviations(self) -> Array:
        deviations: Array = np.sqrt(self._pair_variances)
        return deviations

    def _function(self, weights: Array, prior: tuple[Array, Array | None] | None, boldness: float) -> Quadratic:
        linear, products = self._single_variance * (self.columns.T @ weights), None
        if self.encoding.has_pairs:
            products = self._pair_variances * (self.columns.T @ (weights[:, None] * self.columns))
        if prior is not None:
            linear = linear + boldness * prior[0]
            products = None if products is None or prior[1] is None else products + boldness * prior[1]
        return Quadratic(self.encoding, self.centre, self.spread * linear, _scaled(self.spread, products))


def _scaled(scale: float, products: Array | None) -> Array | None:
    return None if products is None else scale * products


def _quadratic(columns: Array, linear: Array, products: Array | None) -> Array:
    values: Array = columns @ linear
    return values if products is None else values + ((columns @ products) * columns).sum(1)


class RewardModel:
    """Learns how rewards follow from tokens; how much choices, pairs and noise each count comes from the rewards."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self._tokens = np.zeros((0, len(encoding.sizes)), dtype=np.int64)
        self._kernels: tuple[Array, ...] = tuple(np.zeros((0, 0)) for _ in range(3))
        self._log_scales = USUAL.copy()
        self._fitted_at = 0  # how many rewards there were when the scales were found

    def add(self, tokens: Tokens) -> None:
        """Take networks in, in the order in which `fit` gets their rewards."""
        across = self.encoding.kernels(self._tokens, tokens)
        among = self.encoding.kernels(tokens, tokens)
        self._kernels = tuple(
            np.block([[old, side], [side.T, own]]) for old, side, own in zip(self._kernels, across, among, strict=True)
        )
        self._tokens = np.concatenate([self._tokens, tokens])

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Forget all networks but these."""
        self._tokens = self._tokens[rows]
        self._kernels = tuple(kernel[np.ix_(rows, rows)] for kernel in self._kernels)

    def fit(self, rewards: Array) -> tuple[Fitted, bool]:
        """Give the posterior after one reward for each network, and whether its scales were found anew.

        They are as the number of rewards grows by a fifth.
        """
        centre, spread = float(rewards.mean()), float(rewards.std())
        values = (rewards - centre) / spread if spread > 0 else np.zeros(len(rewards))
        refitted = len(rewards) >= 1.2 * self._fitted_at + 4
        if refitted:
            rows = np.unique(np.linspace(0, len(values) - 1, SCALE_ROWS).round().astype(np.int64))
            self._find_scales(values[rows], tuple(kernel[np.ix_(rows, rows)] for kernel in self._kernels))
            self._fitted_at = len(rewards)
        scales = np.exp(self._log_scales)
        factor = cho_factor(_covariance(scales, self._kernels), lower=True)
        weights = cho_solve(factor, values)
        noise_alone = -0.5 * float(values @ values) - len(values) / 2 * math.log(2 * math.pi)
        evidence = _log_likelihood(factor[0], weights, values) - noise_alone
        columns = self.encoding.columns(self._tokens)
        return Fitted(self.encoding, columns, factor, values, weights, scales, centre, spread, evidence), refitted

    def state_dict(self) -> dict[str, Any]:
        """Give what was found out about the scales; the networks are the caller's."""
        return {"log_scales": self._log_scales.tolist(), "fitted_at": self._fitted_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with scales that were found before."""
        self._log_scales = np.array(state["log_scales"])
        self._fitted_at = state["fitted_at"]

    def _find_scales(self, values: Array, kernels: tuple[Array, ...]) -> None:
        """Maximise the marginal likelihood times a wide prior (Rasmussen and Williams 2006, equations 5.8 and 5.9)."""

        def loss(log_scales: Array) -> tuple[float, Array]:
            scales = np.exp(log_scales)
            factor = cho_factor(_covariance(scales, kernels), lower=True)
            inverse = cho_solve(factor, np.eye(len(values)))
            weights = inverse @ values
            curvature = np.outer(weights, weights) - inverse
            slopes = [*(np.vdot(curvature, kernel) for kernel in kernels), np.trace(curvature)]
            away = (log_scales - USUAL) / SPREAD
            penalty = 0.5 * float(away @ away)
            return penalty - _log_likelihood(factor[0], weights, values), away / SPREAD - 0.5 * scales * slopes

        bounds = [(LOWEST, HIGHEST)] * len(USUAL)
        found = minimize(loss, self._log_scales, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 25})
        self._log_scales = found.x


def _covariance(scales: Array, kernels: tuple[Array, ...]) -> Array:
    covariance = np.zeros_like(kernels[0])
    for scale, kernel in zip(scales[:NOISE], kernels, strict=True):
        covariance += scale * kernel
    covariance[np.diag_indices_from(covariance)] += scales[NOISE]
    return covariance


def _log_likelihood(factor: Array, weights: Array, values: Array) -> float:
    """Give the log density of values under a covariance with this Cholesky factor; weights are covariance^-1 values."""
    half_determinant = float(np.log(np.diag(factor)).sum())
    return -0.5 * float(values @ weights) - half_determinant - len(values) / 2 * math.log(2 * math.pi)
