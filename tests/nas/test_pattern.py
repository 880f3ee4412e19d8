"""Whether values follow from tokens: against an example worked out by hand, noise, and values that do."""

import math
import random

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from nas.pattern import REACH, SHARES, log_odds

SIZES = (3, 2, 4, 3, 2, 3, 3, 2, 4, 3)


def networks(count: int, seed: int) -> list[tuple[int, ...]]:
    rng = random.Random(seed)
    return [tuple(rng.randrange(size) for size in SIZES) for _ in range(count)]


def test_two_networks_of_one_decision_are_worked_out_by_hand() -> None:
    # Standardised values are -1 and 1. The kernel [[1, -1], [-1, 1]] has variance 2 along their difference, where the
    # values have the square 2, and 0 along their sum, where they have 0. With a share s of it that is 1 + s and 1 - s:
    # log odds of (2 - ln(1 + s) - 2 / (1 + s) - ln(1 - s)) / 2, whose powers are averaged over the shares.
    odds = [math.exp((2 - math.log(1 - s * s) - 2 / (1 + s)) / 2) for s in SHARES.tolist()]
    assert log_odds([(0,), (1,)], [0.3, 0.7], (2,)) == pytest.approx(math.log(sum(odds) / len(odds)))


def test_the_odds_are_those_of_normal_densities_where_columns_depend_on_each_other() -> None:
    tokens = np.array(networks(30, 4))
    tokens[:, 5] = tokens[:, 0]  # decisions that always went together
    values = norm.ppf((np.arange(30) + 0.5) / 30)
    values /= values.std()

    def density(kernel: np.ndarray) -> float:
        centred = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
        unit = centred * 30 / np.trace(centred)
        shares = [multivariate_normal.logpdf(values, cov=s * unit + (1 - s) * np.eye(30)) for s in SHARES]
        return float(logsumexp(shares) - math.log(len(SHARES)))

    agreeing = [np.equal.outer(tokens[:, d], tokens[:, d]) * (n / (n - 1)) for d, n in enumerate(SIZES)]
    alone = logsumexp([density(kernel) for kernel in agreeing]) - math.log(len(SIZES))
    differing = sum(1 - np.minimum(np.equal.outer(tokens[:, d], tokens[:, d]), 1) for d in range(len(SIZES)))
    alike = density(np.exp(-differing / (REACH * len(SIZES))))
    modelled = logsumexp([density(sum(agreeing)), alone, alike]) - math.log(3)
    noise = multivariate_normal.logpdf(values, cov=np.eye(30))
    assert log_odds(tokens.tolist(), range(30), SIZES) == pytest.approx(modelled - noise)


def test_only_the_order_of_values_counts() -> None:
    tokens = networks(50, 0)
    values = [sum(row) + random.Random(str(row)).random() for row in tokens]
    stretched = [math.exp(3 * value) - 100 for value in values]
    assert log_odds(tokens, stretched, SIZES) == pytest.approx(log_odds(tokens, values, SIZES))


def test_noise_has_no_pattern() -> None:
    rng = random.Random(1)
    odds = [log_odds(networks(60, seed), [rng.gauss(0, 1) for _ in range(60)], SIZES) for seed in range(20)]
    assert max(odds) < 1.5
    assert sorted(odds)[10] < 0


def test_many_decisions_together_are_a_pattern() -> None:
    tokens = networks(60, 2)
    assert log_odds(tokens, [sum(row) + random.Random(str(row)).gauss(0, 1) for row in tokens], SIZES) > 5


def test_one_decision_alone_is_a_pattern() -> None:
    tokens = networks(60, 3)
    assert log_odds(tokens, [row[2] + random.Random(str(row)).gauss(0, 0.7) for row in tokens], SIZES) > 5


def test_networks_that_are_all_the_same_show_nothing() -> None:
    assert log_odds([(0, 1)] * 4, [0.1, 0.2, 0.3, 0.4], (2, 2)) == 0.0
