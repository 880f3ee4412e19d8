"""The reward model: kernels, posterior, drawn functions."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from controllers.functions import Encoding, Function, Ripples
from controllers.reward_model import LIKENESS, NOISE, REACH, SINGLE, SPREAD, USUAL, Fitted, RewardModel
from search_spaces import InputError

SIZES = (2, 3, 1, 2)
EVERY = np.array(list(itertools.product(*(range(size) for size in SIZES))))


def fitted(tokens: np.ndarray, rewards: np.ndarray) -> Fitted:
    model = RewardModel(Encoding(SIZES))
    model.add(tokens)
    return model.fit(rewards)[0]


def covariance(scales: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give that of two sets of networks, without noise."""
    single, differing = Encoding(SIZES).kernels(a, b)
    return scales[SINGLE] * single + scales[LIKENESS] * np.exp(-differing / (3 * scales[REACH]))  # 3 have a choice


def test_kernels_count_agreements() -> None:
    # Decisions that can agree: 0, 1 and 3. The two agree in 0 and 1 (1 each) and differ in 3 (of 2 choices: -1).
    single, differing = Encoding(SIZES).kernels(np.array([[0, 2, 0, 1]]), np.array([[0, 2, 0, 0]]))
    assert single[0, 0] == pytest.approx((1 + 1 - 1) / 3)
    assert differing[0, 0] == 1


def test_choices_other_than_the_same_of_three_count_minus_a_half() -> None:
    # Decision 1 has three choices: its centred one-hot columns have a cosine of -1/2. Then (1 - 1/2 + 1) / 3.
    single, _ = Encoding(SIZES).kernels(np.array([[0, 2, 0, 1]]), np.array([[0, 1, 0, 1]]))
    assert single[0, 0] == pytest.approx(0.5)


def test_the_kernel_of_choices_is_the_product_of_columns() -> None:
    encoding = Encoding(SIZES)
    columns = encoding.centred(encoding.hot(EVERY))
    assert encoding.kernels(EVERY, EVERY)[0] == pytest.approx(columns @ columns.T / 3, abs=1e-12)


def test_kernels_are_the_same_to_the_bit_however_many_are_asked_for() -> None:
    encoding = Encoding((3, 4, 2) * 9)
    tokens = np.stack([np.random.default_rng(0).integers(size, size=50) for size in encoding.sizes], axis=1)
    for whole, part in zip(encoding.kernels(tokens, tokens), encoding.kernels(tokens[7:8], tokens), strict=True):
        assert (whole[7] == part[0]).all()


def test_the_mean_follows_rewards_that_add_up_over_choices() -> None:
    effects = ((0.0, 1.0), (0.0, 0.5, -0.5), (0.0,), (0.3, 0.0))
    rewards = np.array([sum(effects[d][t] for d, t in enumerate(tokens)) for tokens in EVERY.tolist()])
    left = np.arange(len(EVERY)) == 6  # (1, 0, 0, 0): 1.0 + 0.0 + 0.3
    mean = fitted(EVERY[~left], rewards[~left]).mean()
    assert mean(EVERY[left]) == pytest.approx([1.3], abs=0.2)


def test_the_mean_follows_rewards_of_pairs() -> None:
    rewards = np.where(EVERY[:, 0] == EVERY[:, 3], 1.0, -1.0)
    assert fitted(EVERY, rewards).mean()(EVERY) == pytest.approx(rewards, abs=0.2)


def test_the_mean_follows_rewards_of_three_choices_together() -> None:
    generator = np.random.default_rng(6)
    tokens = np.stack([generator.integers(2, size=200) for _ in range(8)], axis=1)
    rewards = np.where(tokens[:, :3].sum(1) % 2 == 0, 1.0, -1.0)  # no choice counts by itself, nor with one other
    model = RewardModel(Encoding((2,) * 8))
    model.add(tokens[:150])
    guesses = model.fit(rewards[:150])[0].mean()(tokens[150:])
    assert np.corrcoef(guesses, rewards[150:])[0, 1] > 0.7


@pytest.mark.parametrize("network", [[0, 1, 0, 1], [1, 2, 0, 0]])
def test_after_changes_is_the_value_of_each_changed_network(network: list[int]) -> None:
    encoding, generator = Encoding(SIZES), np.random.default_rng(1)
    ripples = Ripples.drawn(encoding, 0.6, generator)
    hot = encoding.hot(EVERY[::2])
    function = Function(encoding, 0.5, generator.normal(size=8), hot, generator.normal(size=6), 0.7, ripples)
    changed = np.repeat([network], 8, axis=0)
    changed[np.arange(8), encoding.owners] = np.arange(8) - encoding.starts[encoding.owners]
    assert function.after_changes(np.array([network])) == pytest.approx(function(changed), abs=1e-5)


def test_a_function_adds_effects_of_choices_and_pulls_of_the_networks_seen() -> None:
    encoding = Encoding((2, 2))
    linear = np.array([0.0, 3.0, 0.0, 0.0])  # of choice 1 of decision 0: centred and scaled by sqrt(2)
    function = Function(encoding, 0.5, linear, encoding.hot(np.array([[0, 0]])), np.array([8.0]), 0.25)
    half = 3.0 * 0.5 * 2**0.5
    assert function(np.array([[0, 0], [0, 1], [1, 1]])) == pytest.approx(
        [0.5 - half + 8, 0.5 - half + 8 / 4, 0.5 + half + 8 / 16]
    )


def test_the_covariance_of_ripples_falls_by_the_factor_with_each_decision_that_differs() -> None:
    encoding, generator = Encoding((2, 3, 3, 2)), np.random.default_rng(7)
    hot = encoding.hot(np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [1, 2, 1, 1]]))
    draws = np.array([Ripples.drawn(encoding, 0.6, generator)(hot) for _ in range(4000)])
    assert (draws.T @ draws / 4000)[0] == pytest.approx([1, 0.6, 0.6**2, 0.6**4], abs=0.06)


def test_drawn_functions_scatter_about_the_mean_by_their_boldness() -> None:
    generator = np.random.default_rng(2)
    posterior = fitted(EVERY[::2], generator.normal(size=6))
    draws = {b: np.array([posterior.draw(generator, b)(EVERY) for _ in range(400)]) for b in (1.0, 0.25)}
    assert draws[1.0].mean(0) == pytest.approx(posterior.mean()(EVERY), abs=0.25)
    assert draws[0.25].std(0).mean() == pytest.approx(draws[1.0].std(0).mean() / 4, rel=0.1)
    assert posterior.draw(generator, 0.0)(EVERY) == pytest.approx(posterior.mean()(EVERY))


def test_the_scatter_of_drawn_functions_is_the_posteriors_deviation() -> None:
    generator = np.random.default_rng(3)
    # Two effects of choices and little else: not much is left to likeness.
    posterior = fitted(EVERY[::2], EVERY[::2, 0] - EVERY[::2, 1] + 0.1 * generator.normal(size=6))
    assert posterior.scales[LIKENESS] < 0.5
    prior = covariance(posterior.scales, EVERY, EVERY)
    across = covariance(posterior.scales, EVERY, EVERY[::2])
    seen = across[::2] + posterior.scales[NOISE] * np.eye(6)
    variances = np.diag(prior - across @ np.linalg.solve(seen, across.T)) * posterior.spread**2
    draws = np.array([posterior.draw(generator, 1.0)(EVERY) for _ in range(2000)])
    assert draws.std(0) == pytest.approx(np.sqrt(variances), rel=0.1)


def test_left_out_guesses_are_those_of_a_model_without_that_reward() -> None:
    rewards = np.random.default_rng(4).normal(size=12)
    posterior = fitted(EVERY, rewards)
    rest = np.arange(12) != 5
    values = (rewards - rewards.mean()) / rewards.std()
    among = covariance(posterior.scales, EVERY, EVERY) + posterior.scales[NOISE] * np.eye(12)
    guess = among[5, rest] @ np.linalg.solve(among[np.ix_(rest, rest)], values[rest])
    assert posterior.left_out()[5] == pytest.approx(rewards.mean() + rewards.std() * guess)


def test_evidence_tells_a_pattern_from_noise() -> None:
    generator = np.random.default_rng(5)
    tokens = np.stack([generator.integers(3, size=80) for _ in range(4)], axis=1)
    model, noisy = RewardModel(Encoding((3,) * 4)), RewardModel(Encoding((3,) * 4))
    model.add(tokens)
    noisy.add(tokens)
    assert model.fit(tokens.sum(1) + generator.normal(size=80))[0].evidence > 10
    assert noisy.fit(generator.normal(size=80))[0].evidence < 2


def test_the_scales_are_where_marginal_likelihood_times_prior_is_highest() -> None:
    generator = np.random.default_rng(8)
    tokens = np.stack([generator.integers(size, size=60) for size in SIZES], axis=1)
    rewards = tokens[:, 0] + np.where(tokens[:, 1] == tokens[:, 3], 1.0, 0.0) + 0.5 * generator.normal(size=60)
    found = np.log(fitted(tokens, rewards).scales)
    values = (rewards - rewards.mean()) / rewards.std()

    def height(log_scales: np.ndarray) -> float:
        among = covariance(np.exp(log_scales), tokens, tokens) + np.exp(log_scales[NOISE]) * np.eye(60)
        prior = norm.logpdf(log_scales, USUAL, SPREAD).sum()
        return float(multivariate_normal.logpdf(values, cov=among) + prior)

    for step in 0.1 * np.eye(4):
        assert height(found) > max(height(found + step), height(found - step))


def test_a_state_of_another_model_is_refused() -> None:
    state = RewardModel(Encoding(SIZES)).state_dict()
    with pytest.raises(InputError, match="lacks scales"):
        RewardModel(Encoding(SIZES)).load_state_dict({"log_scales": state["scales"], "fitted_at": 0})


def test_equal_rewards_teach_nothing() -> None:
    posterior = fitted(EVERY, np.full(12, 0.7))
    assert posterior.mean()(EVERY) == pytest.approx(np.full(12, 0.7))
