"""The rewards against figures worked out by hand (Tan et al. 2019, section 3; Howard et al. 2019, section 4.1)."""

import pytest

from nas.rewards import absolute_reward, affine, hard_reward, known_rewards, make_reward, soft_reward
from search_spaces import InputError


def test_soft_reward_at_the_large_exponent_divides_by_a_small_power_of_the_excess():
    # 0.75 * (90 / 75) ** -0.07 = 0.75 * exp(-0.07 * 0.182322) = 0.75 * 0.987319
    assert soft_reward(0.75, 90, 75, alpha=-0.07, beta=-0.07) == pytest.approx(0.74049, abs=5e-6)


def test_soft_reward_at_the_small_exponent_punishes_more():
    # 0.75 * exp(-0.15 * 0.182322) = 0.75 * 0.973023
    assert soft_reward(0.75, 90, 75, alpha=-0.15, beta=-0.15) == pytest.approx(0.72977, abs=5e-6)


def test_soft_reward_uses_alpha_up_to_the_target_and_beta_beyond():
    assert soft_reward(0.5, 10, 10, alpha=0.0, beta=-1.0) == 0.5
    assert soft_reward(0.5, 20, 10, alpha=0.0, beta=-1.0) == 0.25
    assert soft_reward(0.5, 5, 10, alpha=-1.0, beta=0.0) == 1.0


def test_twice_the_latency_costs_five_percent_at_the_large_exponent():
    assert soft_reward(1.0, 150, 75) == pytest.approx(0.9526, abs=5e-5)  # 2 ** -0.07
    assert soft_reward(1.0, 150, 75, -0.15, -0.15) == pytest.approx(0.9013, abs=5e-5)  # 2 ** -0.15


def test_hard_reward_is_the_accuracy_within_the_target_and_falls_beyond():
    assert hard_reward(0.75, 60, 75) == 0.75
    assert hard_reward(0.75, 90, 75) == pytest.approx(0.625)  # 0.75 * 75 / 90


def test_absolute_reward_punishes_both_sides_alike():
    assert absolute_reward(0.75, 90, 75, beta=-0.1) == pytest.approx(0.73)  # 0.75 - 0.1 * 0.2
    assert absolute_reward(0.75, 60, 75, beta=-0.1) == pytest.approx(0.73)
    assert absolute_reward(0.75, 75, 75, beta=-0.1) == 0.75


def test_make_reward_gives_each_kind_its_own_default_strength():
    assert make_reward("soft", 75)(0.75, 90) == soft_reward(0.75, 90, 75, -0.07, -0.07)
    assert make_reward("soft", 75, -0.15)(0.75, 60) == soft_reward(0.75, 60, 75, -0.15, -0.15)
    assert make_reward("hard", 75)(0.75, 90) == hard_reward(0.75, 90, 75)
    assert make_reward("absolute", 75, -0.1)(0.75, 90) == absolute_reward(0.75, 90, 75, -0.1)


@pytest.mark.parametrize("w", [0.07, float("nan"), float("-inf")])
def test_make_reward_refuses_a_strength_that_rewards_slowness(w):
    with pytest.raises(InputError, match="w must be 0"):
        make_reward("soft", 75, w)


@pytest.mark.parametrize("target_ms", [0.0, -15.0, float("nan"), float("inf")])
def test_make_reward_refuses_a_target_that_is_no_latency(target_ms):
    with pytest.raises(InputError, match="positive number of milliseconds"):
        make_reward("soft", target_ms)


def test_make_reward_takes_flops_for_a_cost():
    assert make_reward("soft", 36_840_000, -0.07)(0.9, 73_680_000) == pytest.approx(0.9 * 2**-0.07)


def test_a_reward_is_a_line_in_the_accuracy_whose_slope_and_offset_the_latency_decides():
    assert affine(make_reward("soft", 10, -0.15), 20) == (pytest.approx(2**-0.15), 0.0)
    assert affine(make_reward("hard", 10), 20) == (0.5, 0.0)
    assert affine(make_reward("hard", 10), 5) == (1.0, 0.0)
    assert affine(make_reward("absolute", 10, -0.1), 12) == (pytest.approx(1.0), pytest.approx(-0.02))  # -0.1 * 0.2


def test_what_is_known_of_a_reward_is_its_line_at_the_latency_of_the_tokens():
    known = known_rewards(make_reward("absolute", 10, -0.1), lambda tokens: 10.0 + 2 * sum(tokens))
    assert known((0, 1)) == (pytest.approx(1.0), pytest.approx(-0.02))
    assert known((0, 0)) == (1.0, 0.0)
