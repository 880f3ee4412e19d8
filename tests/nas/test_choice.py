"""Which network of a search becomes the seed."""

import pytest

from nas.choice import choose_seed
from nas.search import Trial
from nas.target import Target

LIMIT = Target(15.0, 0.02)  # 15.3 ms at most
SPOT = Target(15.0, 0.02, both_sides=True)  # 14.7 to 15.3 ms


def trial(number, latency_ms, accuracy, reward, state="finished"):
    return Trial(number, (0,), f"key{number}", latency_ms, accuracy, reward, 1.0, state)


def test_seed_is_the_most_accurate_network_that_is_at_most_the_tolerance_above_the_target():
    trials = [trial(0, 14.0, 0.80, 0.90), trial(1, 15.2, 0.85, 0.85), trial(2, 15.4, 0.95, 0.95)]
    assert choose_seed(trials, LIMIT).trial.trial == 1
    assert choose_seed(trials, LIMIT).instead == ""


def test_a_much_faster_network_counts_where_the_target_is_a_limit_and_misses_it_where_it_is_a_spot():
    trials = [trial(0, 10.0, 0.85, 0.82), trial(1, 14.8, 0.80, 0.80)]
    assert choose_seed(trials, LIMIT).trial.trial == 0
    assert choose_seed(trials, SPOT).trial.trial == 1


def test_without_a_network_on_the_spot_the_best_reward_below_it_is_taken_and_said():
    choice = choose_seed([trial(0, 10.0, 0.85, 0.80), trial(1, 14.0, 0.80, 0.81), trial(2, 16.0, 0.9, 0.9)], SPOT)
    assert choice.trial.trial == 1
    assert choice.instead == (
        "no network lies within 2 % of the target: the seed has the best reward of those below it"
    )


@pytest.mark.parametrize("target", [LIMIT, SPOT])
def test_without_a_network_that_is_fast_enough_the_best_reward_of_all_is_taken_and_said(target):
    choice = choose_seed([trial(0, 20.0, 0.80, 0.80), trial(1, 30.0, 0.85, 0.78)], target)
    assert choice.trial.trial == 0
    assert choice.instead == "every network is more than 2 % above the target: the seed has the best reward of all"


def test_seed_is_the_earlier_of_two_equal_trials_and_never_a_failed_one():
    trials = [trial(0, 14.0, None, 0.0, "failed"), trial(1, 14.0, 0.8, 0.8), trial(2, 14.0, 0.8, 0.8)]
    assert choose_seed(trials, LIMIT).trial.trial == 1
    assert choose_seed([trial(0, 14.0, None, 0.0, "failed")], LIMIT) is None


def test_of_two_equally_accurate_networks_the_better_reward_is_taken():
    assert choose_seed([trial(0, 15.0, 0.8, 0.80), trial(1, 12.0, 0.8, 0.83)], LIMIT).trial.trial == 1
