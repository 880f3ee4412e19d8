"""The reward model's choice of proposals."""

import itertools
import random

import numpy as np
import pytest

from controllers import Proposal, create
from controllers.functions import Encoding, Function
from controllers.judges import KnownJudge, RewardJudge, nearest_new
from controllers.memory import Memory
from controllers.screening import Screen, normal_scores, without_outliers

ENCODING = Encoding((2, 3, 2))
RNG = random.Random(0)


def linear(*weights: float) -> Function:
    return Function(ENCODING, 0.0, np.array(weights), np.zeros((0, 7), dtype=np.float32), np.zeros(0), 0.5)


# Worth of the choices, by column: decision 0: 0, 1; decision 1: 0, 2, 1; decision 2: 0, 3.
JUDGE = RewardJudge(linear(0, 1, 0, 2, 1, 0, 3))


def test_climbing_makes_the_best_changes_first_each_of_another_decision() -> None:
    # One-hot columns are scaled by 1/sqrt(1 - 1/2) = 1.41 or 1/sqrt(1 - 1/3) = 1.22: gains of 1.4, 2.4 and 4.2.
    assert JUDGE.better((0, 0, 0), 1, RNG) == (0, 0, 1)
    assert JUDGE.better((0, 0, 0), 2, RNG) == (0, 1, 1)
    assert JUDGE.better((0, 0, 0), 9, RNG) == (1, 1, 1)


def test_climbing_leaves_the_best_network_where_it_is_told_to_change_something() -> None:
    assert JUDGE.better((1, 1, 1), 1, RNG) == (1, 2, 1)  # the least loss: 1 * 1.22


def test_a_network_that_was_proposed_gives_way_to_its_best_change_that_was_not() -> None:
    memory = Memory((2, 3, 2))
    assert nearest_new(JUDGE, ENCODING, (1, 1, 1), memory) == (1, 1, 1)
    memory.note((1, 1, 1))
    memory.note((1, 2, 1))
    assert nearest_new(JUDGE, ENCODING, (1, 1, 1), memory) == (0, 1, 1)


def test_no_network_is_chosen_where_all_about_it_were_proposed() -> None:
    memory = Memory((2, 3, 2))
    for tokens in itertools.product(range(2), range(3), range(2)):
        memory.note(tokens)
    assert nearest_new(JUDGE, ENCODING, (1, 1, 1), memory) is None


def test_what_is_known_of_rewards_goes_into_the_judgement() -> None:
    judge = KnownJudge(JUDGE.function, lambda tokens: (0.5, -10.0 if tokens[2] else 0.0))
    plain = JUDGE.values(np.array([[0, 0, 1]]))[0]
    assert judge.values(np.array([[0, 0, 1]]))[0] == pytest.approx(0.5 * plain - 10)


def test_where_latency_is_known_two_decisions_change_at_once() -> None:
    # Only networks whose tokens sum to 1 are allowed; no single change of (0, 1, 0) leads to another of them.
    judge = KnownJudge(JUDGE.function, lambda tokens: (1.0, -10.0 * abs(sum(tokens) - 1)))
    assert judge.better((0, 1, 0), 1, RNG) == (0, 0, 1)


def test_normal_scores_are_quantiles_of_ranks() -> None:
    # Quantiles of 1/6, 1/2 and 5/6.
    assert normal_scores(np.array([0.1, 99.0, 0.2])) == pytest.approx([-0.9674, 0.9674, 0.0], abs=1e-4)
    assert normal_scores(np.array([5.0, 5.0])) == pytest.approx([0.0, 0.0])


def test_outliers_below_are_cut_and_those_above_are_not() -> None:
    # Quartiles 0.2, 0.3, 0.4: the lowest allowed is 0.3 - 3 * 0.2.
    assert without_outliers(np.array([-9.0, 0.2, 0.3, 0.4, 9.0])).tolist() == pytest.approx([-0.3, 0.2, 0.3, 0.4, 9.0])


def distance_reward(tokens: tuple[int, ...]) -> tuple[float, float]:
    """Give slope and offset of an absolute reward whose latency adds up over tokens; the target is 9 of 0 to 24."""
    return 1.0, -0.5 * abs(sum(tokens) - 9)


def test_a_latency_that_is_handed_over_is_met_sooner_than_one_that_is_learnt() -> None:
    best = {}
    for known in (distance_reward, None):
        found = []
        for seed in range(3):
            controller = create("reinforce", (3,) * 12, seed, known=known)
            rewards: list[float] = []
            for _ in range(6):
                results = []
                for proposal in controller.ask(5):
                    slope, offset = distance_reward(proposal.tokens)
                    results.append((proposal, slope * proposal.tokens[0] + offset))
                controller.tell(results)
                rewards += [reward for _, reward in results]
            found.append(float(np.mean(rewards[10:])))
        best[known] = np.mean(found)
    assert best[distance_reward] > best[None]


def test_old_and_poor_networks_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.screening.CAPACITY", 20)
    screen, memory = Screen((10, 10), 0.25, 5, 3.0, None), Memory((10, 10))
    for number in range(40):
        reward = 1.0 if number == 3 else float(number % 7) / 10
        screen.learn(memory.add([(Proposal((number // 10, number % 10)), reward)]), memory)
    rows = {tuple(row) for row in screen.state_dict()["rows"]}
    assert len(rows) <= 20
    assert (0, 3) in rows  # the best of all, though early
    assert (3, 9) in rows  # the latest
