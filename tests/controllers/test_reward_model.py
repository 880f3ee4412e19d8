"""The reward model: kernels, posterior, drawn functions."""

import itertools

import numpy as np
import pytest

from controllers.reward_model import NOISE, Encoding, Fitted, Quadratic, RewardModel

SIZES = (2, 3, 1, 2)
EVERY = np.array(list(itertools.product(*(range(size) for size in SIZES))))


def fitted(tokens: np.ndarray, rewards: np.ndarray) -> Fitted:
    model = RewardModel(Encoding(SIZES))
    model.add(tokens)
    return model.fit(rewards)[0]


def test_kernels_count_agreements() -> None:
    # Decisions that can agree: 0, 1 and 3. The two agree in 0 and 1 (1 each) and differ in 3 (of 2 choices: -1).
    single, near, pairs = Encoding(SIZES).kernels(np.array([[0, 2, 0, 1]]), np.array([[0, 2, 0, 0]]))
    assert single[0, 0] == pytest.approx((1 + 1 - 1) / 3)
    # Products of pairs: 1 * 1, 1 * -1, 1 * -1; all are near here.
    assert near[0, 0] == pytest.approx(-1 / 3)
    assert pairs[0, 0] == pytest.approx(-1 / 3)


def test_choices_other_than_the_same_of_three_count_minus_a_half() -> None:
    # Decision 1 has three choices: its centred one-hot columns have a cosine of -1/2. Then (1 - 1/2 + 1) / 3.
    single, _, _ = Encoding(SIZES).kernels(np.array([[0, 2, 0, 1]]), np.array([[0, 1, 0, 1]]))
    assert single[0, 0] == pytest.approx(0.5)


def test_the_kernel_of_choices_is_the_product_of_columns() -> None:
    encoding = Encoding(SIZES)
    columns = encoding.columns(EVERY)
    assert encoding.kernels(EVERY, EVERY)[0] == pytest.approx(columns @ columns.T / 3, abs=1e-12)


def test_kernels_are_the_same_to_the_bit_however_many_are_asked_for() -> None:
    encoding = Encoding((3, 4, 2) * 9)
    tokens = np.stack([np.random.default_rng(0).integers(size, size=50) for size in encoding.sizes], axis=1)
    for whole, part in zip(encoding.kernels(tokens, tokens), encoding.kernels(tokens[7:8], tokens), strict=True):
        assert (whole[7] == part[0]).all()


def test_far_decisions_are_no_near_pairs() -> None:
    encoding = Encoding((2,) * 8)
    first, last = np.zeros((1, 8), dtype=int), np.array([[1, 0, 0, 0, 0, 0, 0, 1]])
    # Of 28 pairs 27 lie up to 6 apart; the pair (0, 7) alone does not. Pairs with exactly one of them give -1: 12,
    # the 15 among the six others give 1, (0, 7) gives 1.
    _, near, pairs = encoding.kernels(first, last)
    assert near[0, 0] == pytest.approx((15 - 12) / 27)
    assert pairs[0, 0] == pytest.approx((15 - 12 + 1) / 28)


def test_the_mean_follows_rewards_that_add_up_over_choices() -> None:
    effects = ((0.0, 1.0), (0.0, 0.5, -0.5), (0.0,), (0.3, 0.0))
    rewards = np.array([sum(effects[d][t] for d, t in enumerate(tokens)) for tokens in EVERY.tolist()])
    left = np.arange(len(EVERY)) == 6  # (1, 0, 0, 0): 1.0 + 0.0 + 0.3
    mean = fitted(EVERY[~left], rewards[~left]).mean()
    assert mean(EVERY[left]) == pytest.approx([1.3], abs=0.2)


def test_the_mean_follows_rewards_of_pairs() -> None:
    rewards = np.where(EVERY[:, 0] == EVERY[:, 3], 1.0, -1.0)
    assert fitted(EVERY, rewards).mean()(EVERY) == pytest.approx(rewards, abs=0.2)


def test_a_change_is_what_the_function_gains_by_it() -> None:
    encoding, generator = Encoding(SIZES), np.random.default_rng(1)
    products = np.triu(generator.normal(size=(8, 8)), 1) * (encoding.owners[:, None] != encoding.owners[None, :])
    function = Quadratic(encoding, 0.5, generator.normal(size=8), products)
    changes = function.changes(np.array([[0, 1, 0, 1]]))[0]
    gained = function(np.array([[0, 2, 0, 1]])) - function(np.array([[0, 1, 0, 1]]))
    assert changes[4] == pytest.approx(gained[0])  # columns: 0-1, 2-4, 5, 6-7; the last choice of decision 1
    assert changes[3] == 0.0


def test_drawn_functions_scatter_about_the_mean_by_their_boldness() -> None:
    generator = np.random.default_rng(2)
    posterior = fitted(EVERY[::2], generator.normal(size=6))
    draws = {b: np.array([posterior.draw(generator, b)(EVERY) for _ in range(400)]) for b in (1.0, 0.25)}
    assert draws[1.0].mean(0) == pytest.approx(posterior.mean()(EVERY), abs=0.25)
    assert draws[0.25].std(0).mean() == pytest.approx(draws[1.0].std(0).mean() / 4, rel=0.1)
    assert posterior.draw(generator, 0.0)(EVERY) == pytest.approx(posterior.mean()(EVERY))


def test_the_scatter_of_drawn_functions_is_the_posteriors_deviation() -> None:
    generator = np.random.default_rng(3)
    posterior = fitted(EVERY[::2], generator.normal(size=6))
    encoding, scales = Encoding(SIZES), posterior.scales[:NOISE]
    prior = sum(s * k for s, k in zip(scales, encoding.kernels(EVERY, EVERY), strict=True))
    across = sum(s * k for s, k in zip(scales, encoding.kernels(EVERY, EVERY[::2]), strict=True))
    seen = across[::2] + posterior.scales[NOISE] * np.eye(6)
    variances = np.diag(prior - across @ np.linalg.solve(seen, across.T)) * posterior.spread**2
    draws = np.array([posterior.draw(generator, 1.0)(EVERY) for _ in range(2000)])
    assert draws.std(0) == pytest.approx(np.sqrt(variances), rel=0.1)


def test_left_out_guesses_are_those_of_a_model_without_that_reward() -> None:
    rewards = np.random.default_rng(4).normal(size=12)
    posterior = fitted(EVERY, rewards)
    rest = np.arange(12) != 5
    values = (rewards - rewards.mean()) / rewards.std()
    covariance = sum(s * k for s, k in zip(posterior.scales, Encoding(SIZES).kernels(EVERY, EVERY), strict=False))
    covariance = covariance + posterior.scales[NOISE] * np.eye(12)
    guess = covariance[5, rest] @ np.linalg.solve(covariance[np.ix_(rest, rest)], values[rest])
    assert posterior.left_out()[5] == pytest.approx(rewards.mean() + rewards.std() * guess)


def test_evidence_tells_a_pattern_from_noise() -> None:
    generator = np.random.default_rng(5)
    tokens = np.stack([generator.integers(3, size=80) for _ in range(4)], axis=1)
    model, noisy = RewardModel(Encoding((3,) * 4)), RewardModel(Encoding((3,) * 4))
    model.add(tokens)
    noisy.add(tokens)
    assert model.fit(tokens.sum(1) + generator.normal(size=80))[0].evidence > 10
    assert noisy.fit(generator.normal(size=80))[0].evidence < 2


def test_equal_rewards_teach_nothing() -> None:
    posterior = fitted(EVERY, np.full(12, 0.7))
    assert posterior.mean()(EVERY) == pytest.approx(np.full(12, 0.7))
