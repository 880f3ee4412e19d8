"""What a controller remembers of its proposals and their rewards."""

import random

from controllers import Proposal
from controllers.memory import Memory


def told(*results: tuple[tuple[int, ...], float]) -> Memory:
    memory = Memory((2, 2))
    memory.add([(Proposal(tokens), reward) for tokens, reward in results])
    return memory


def test_a_network_told_twice_has_the_mean_of_its_rewards() -> None:
    memory = told(((0, 0), 1.0), ((0, 1), 2.5), ((0, 0), 3.0))
    assert memory.latest(2) == ([(0, 0), (0, 1)], [2.0, 2.5])
    assert memory.recent(2) == [2.5, 3.0]


def test_the_best_come_first_and_of_equals_the_earlier() -> None:
    assert told(((0, 0), 1.0), ((0, 1), 2.0), ((1, 0), 2.0)).best(2) == [(0, 1), (1, 0)]


def test_only_networks_without_a_reward_are_new() -> None:
    memory = told(((0, 0), 1.0))
    assert memory.add([(Proposal((0, 0)), 1.0), (Proposal((1, 1)), 0.5)]) == [(1, 1)]


def test_what_is_left_is_found_however_little_it_is() -> None:
    memory = Memory((10, 10, 10))
    for number in range(1000):
        if number != 437:
            memory.note((number // 100, number // 10 % 10, number % 10))
    assert memory.unproposed(random.Random(0)) == (4, 3, 7)
    assert not memory.exhausted


def test_an_exhausted_space_gives_any_network() -> None:
    memory = Memory((1, 2))
    memory.note((0, 0))
    memory.note((0, 1))
    assert memory.exhausted
    assert memory.unproposed(random.Random(0)) in {(0, 0), (0, 1)}


def test_a_saved_memory_is_the_same() -> None:
    memory, other = told(((0, 0), 1.0), ((0, 1), 2.0), ((0, 0), 2.0)), Memory((2, 2))
    memory.note((1, 1))
    other.load_state_dict(memory.state_dict())
    assert [(1, 1) in other, (1, 0) in other, len(other)] == [True, False, 2]
    assert (other.best(2), other.rewards, other.recent(3)) == ([(0, 1), (0, 0)], [1.5, 2.0], [1.0, 2.0, 2.0])
    assert other.latest(1) == ([(0, 1)], [2.0])
    assert (1, 1) in other
    assert other.rewards == [1.5, 2.0]


def test_the_mean_of_equal_rewards_is_that_reward() -> None:
    memory = told(*[((0, 0), 0.7)] * 7, *[((0, 1), 0.7)] * 3)
    assert memory.rewards == [0.7, 0.7]
    assert not memory.varied
