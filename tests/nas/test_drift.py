"""Where a search by the soft reward lies, against its target."""

import pytest

from nas.drift import drift_of, front_lines, front_near
from nas.search import Trial
from nas.target import Target

TARGET = Target(10.0, 0.02)


def trial(number, latency_ms, accuracy=0.5, reward=0.5, state="finished"):
    return Trial(number, (0,), f"key{number}", latency_ms, accuracy, reward, 1.0, state)


def test_drift_is_how_far_off_the_best_reward_and_the_last_twenty_proposals_are():
    far = [trial(number, 30.0) for number in range(10)]
    near = [trial(number, 12.0) for number in range(10, 29)]
    drift = drift_of([*far, *near, trial(29, 8.0, 0.6, 0.6)], TARGET, "soft", "reinforce")
    assert drift.best == pytest.approx(-0.2)
    assert drift.recent == pytest.approx(0.18)  # (19 * 12 + 8) / 20 = 11.8 ms
    assert str(drift) == (
        "the soft reward drifted: its best network lies 20.0 % below the target, the last 20 proposals 18.0 % above "
        "on average; --reward absolute lands on the target"
    )


def test_a_search_within_the_tolerance_has_not_drifted():
    assert drift_of([trial(0, 10.1), trial(1, 9.9)], TARGET, "soft", "reinforce") is None


def test_one_of_the_two_off_is_a_drift():
    assert "the last 2 proposals 5.0 % above" in str(
        drift_of([trial(0, 10.0, 0.6, 0.6), trial(1, 11.0)], TARGET, "soft", "reinforce")
    )
    assert drift_of([trial(0, 11.0, reward=0.6), trial(1, 9.0)], TARGET, "soft", "reinforce") is not None


def test_of_random_search_the_best_network_alone_counts():
    drift = drift_of([trial(0, 12.0, 0.6, 0.6), trial(1, 30.0)], TARGET, "soft", "random")
    assert str(drift) == (
        "the soft reward drifted: its best network lies 20.0 % above the target; --reward absolute lands on the target"
    )
    assert drift_of([trial(0, 10.0, 0.6, 0.6), trial(1, 30.0)], TARGET, "soft", "random") is None


def test_proposals_are_the_recent_ones_in_whatever_order_they_finished():
    late = [trial(number, 10.0) for number in range(20, 40)]
    early = [trial(number, 20.0, reward=0.1) for number in range(20)]
    assert drift_of([*late, *early], TARGET, "soft", "reinforce") is None


@pytest.mark.parametrize("reward", ["hard", "absolute"])
def test_only_the_soft_reward_drifts(reward):
    assert drift_of([trial(0, 5.0)], TARGET, reward, "reinforce") is None


def test_a_search_of_failures_has_no_drift():
    assert drift_of([trial(0, 5.0, None, 0.0, "failed")], TARGET, "soft", "reinforce") is None


FRONT = [trial(0, 8.4, 0.5), trial(1, 8.6, 0.6), trial(2, 9.0, 0.55), trial(3, 11.4, 0.7), trial(4, 11.6, 0.8)]


def test_front_near_the_target_is_that_of_the_whole_search_within_fifteen_percent():
    assert [t.trial for t in front_near(FRONT, TARGET)] == [1, 3]  # 8.5 to 11.5 ms; trial 2 is beaten by trial 1


def test_front_is_written_as_a_table():
    assert front_lines(front_near(FRONT, TARGET), TARGET) == [
        "the front within 15 % of the target:",
        "  trial        ms        off     accuracy",
        "      1      8.60    -14.0 %      60.00 %",
        "      3     11.40    +14.0 %      70.00 %",
    ]


def test_a_front_without_a_network_near_the_target_says_so():
    assert front_lines([], TARGET) == ["no network of the front lies within 15 % of the target"]
