"""A Bayesian regression of rewards on tokens: what each choice adds, and how alike the rewards of like networks are.

A Gaussian process (Rasmussen and Williams 2006, chapters 2 and 5) with two kernels: one counts the choices that two
networks share, the other falls by a factor with each decision in which they differ, and so holds effects of pairs,
triples and all further combinations, each order with less variance than the one before.
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

from controllers.contract import check_state
from controllers.functions import Array, Encoding, Function, Ripples, Tokens

SINGLE, LIKENESS, NOISE, REACH = range(4)
USUAL = np.log([0.5, 0.5, 0.1, 0.4])  # before anything is seen: shares of the variance, and of the decisions
SPREAD = np.array([1.5, 1.5, 1.5, 0.7])  # of their logarithms about that
LOWEST, HIGHEST = (-9.0, -9.0, -9.0, -3.0), 3.0  # bounds of those logarithms
SCALE_ROWS = 300  # networks that the scales are found on; with more they hardly change, and the time grows cubically


@dataclass(frozen=True)
class Fitted:
    """The posterior after some rewards, for which `scales` were found."""

    encoding: Encoding
    hot: NDArray[np.float32]  # (n, columns)
    factor: tuple[Array, bool]  # Cholesky's, of the rewards' covariance
    values: Array  # (n,) standardised rewards
    weights: Array  # (n,) covariance^-1 values
    scales: Array  # variances of choices, of likeness, of noise; its reach as a share of the decisions
    centre: float
    spread: float
    evidence: float  # log marginal likelihood less that of noise alone, in nats

    def mean(self) -> Function:
        """Give the posterior's mean function."""
        return self._function(self.weights)

    def left_out(self) -> Array:
        """Give what the other rewards say of each, in units of reward (Rasmussen and Williams 2006, equation 5.12)."""
        precisions = np.diag(cho_solve(self.factor, np.eye(len(self.values))))
        guesses: Array = self.centre + self.spread * (self.values - self.weights / precisions)
        return guesses

    def draw(self, generator: np.random.Generator, boldness: float) -> Function:
        """Draw a function: the mean and ``boldness`` times a deviation from it (Wilson et al. 2020, eq. 13)."""
        linear = np.sqrt(self._single_variance) * generator.standard_normal(self.hot.shape[1])
        ripples = Ripples.drawn(self.encoding, self._kept, generator).scaled(float(np.sqrt(self.scales[LIKENESS])))
        seen = self._columns @ linear + ripples(self.hot)
        seen += np.sqrt(self.scales[NOISE]) * generator.standard_normal(len(seen))
        weights: Array = cho_solve(self.factor, self.values - boldness * seen)
        return self._function(weights, boldness * linear, ripples.scaled(boldness * self.spread))

    @cached_property
    def _columns(self) -> Array:
        return self.encoding.centred(self.hot)

    @cached_property
    def _single_variance(self) -> float:
        return float(self.scales[SINGLE]) / max(len(self.encoding.open), 1)

    @cached_property
    def _kept(self) -> float:
        """The factor by which likeness falls with a decision."""
        return math.exp(-1 / _decisions_within(self.encoding, self.scales))

    def _function(self, weights: Array, linear: Array | float = 0.0, ripples: Ripples | None = None) -> Function:
        linear = self.spread * (self._single_variance * (self._columns.T @ weights) + linear)
        pulls = self.spread * self.scales[LIKENESS] * weights
        return Function(self.encoding, self.centre, linear, self.hot, pulls, self._kept, ripples)


class RewardModel:
    """Learns how rewards follow from tokens; how much choices, likeness and noise each count comes from the rewards."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self._tokens = np.zeros((0, len(encoding.sizes)), dtype=np.int64)
        self._kernels: tuple[Array, ...] = tuple(np.zeros((0, 0)) for _ in range(2))
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
        factor = cho_factor(_covariance(scales, *_parts(scales, self._kernels, self.encoding)), lower=True)
        weights = cho_solve(factor, values)
        noise_alone = -0.5 * float(values @ values) - len(values) / 2 * math.log(2 * math.pi)
        evidence = _log_likelihood(factor[0], weights, values) - noise_alone
        hot = self.encoding.hot(self._tokens)
        return Fitted(self.encoding, hot, factor, values, weights, scales, centre, spread, evidence), refitted

    def state_dict(self) -> dict[str, Any]:
        """Give what was found out about the scales; the networks are the caller's."""
        return {"scales": self._log_scales.tolist(), "fitted_at": self._fitted_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with scales that were found before."""
        check_state(state, {}, ["scales", "fitted_at"])
        self._log_scales = np.array(state["scales"])
        self._fitted_at = state["fitted_at"]

    def _find_scales(self, values: Array, kernels: tuple[Array, ...]) -> None:
        """Maximise the marginal likelihood times a wide prior (Rasmussen and Williams 2006, equations 5.8 and 5.9)."""

        def loss(log_scales: Array) -> tuple[float, Array]:
            scales = np.exp(log_scales)
            single, likeness = parts = _parts(scales, kernels, self.encoding)
            factor = cho_factor(_covariance(scales, *parts), lower=True)
            inverse = cho_solve(factor, np.eye(len(values)))
            weights = inverse @ values
            curvature = np.outer(weights, weights) - inverse
            farther = likeness * kernels[1] / _decisions_within(self.encoding, scales)
            parts_and_noise = [np.vdot(curvature, single), np.vdot(curvature, likeness), np.trace(curvature)]
            slopes = [*(scales[:REACH] * parts_and_noise), scales[LIKENESS] * np.vdot(curvature, farther)]
            away = (log_scales - USUAL) / SPREAD
            penalty = 0.5 * float(away @ away)
            return penalty - _log_likelihood(factor[0], weights, values), away / SPREAD - 0.5 * np.array(slopes)

        bounds = [(low, HIGHEST) for low in LOWEST]
        found = minimize(loss, self._log_scales, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 25})
        self._log_scales = found.x


def _decisions_within(encoding: Encoding, scales: Array) -> float:
    """Give in how many decisions networks may differ until their likeness has fallen to 1/e."""
    return float(scales[REACH]) * max(len(encoding.open), 1)


def _parts(scales: Array, kernels: tuple[Array, ...], encoding: Encoding) -> tuple[Array, Array]:
    """Give the kernels of choices and of likeness."""
    single, differing = kernels
    return single, np.exp(-differing / _decisions_within(encoding, scales))


def _covariance(scales: Array, single: Array, likeness: Array) -> Array:
    covariance: Array = scales[SINGLE] * single + scales[LIKENESS] * likeness
    covariance[np.diag_indices_from(covariance)] += scales[NOISE]
    return covariance


def _log_likelihood(factor: Array, weights: Array, values: Array) -> float:
    """Give the log density of values under a covariance with this Cholesky factor; weights are covariance^-1 values."""
    half_determinant = float(np.log(np.diag(factor)).sum())
    return -0.5 * float(values @ weights) - half_determinant - len(values) / 2 * math.log(2 * math.pi)
