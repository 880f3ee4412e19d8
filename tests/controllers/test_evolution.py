"""Regularised evolution: who becomes a parent, what a child is, and who dies."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import Controller, Proposal, create

SIZES = (4, 2, 3)


def new(population: int, sample: int, sizes: tuple[int, ...] = SIZES, seed: int = 0) -> Controller:
    return create("evolution", sizes, seed, {"population": population, "sample": sample})


def tell(controller: Controller, *results: tuple[tuple[int, ...], float]) -> None:
    controller.tell([(Proposal(tokens), reward) for tokens, reward in results])


def differences(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def test_a_child_is_the_winner_of_the_sample_with_one_decision_changed() -> None:
    controller = new(population=3, sample=100)  # of 100 draws out of 3, one is the best but for (2/3)**100
    tell(controller, ((0, 0, 0), 0.1), ((3, 1, 2), 0.9), ((1, 1, 1), 0.2))
    assert {differences(child.tokens, (3, 1, 2)) for child in controller.ask(50)} == {1}


def test_all_single_changes_of_the_parent_are_children() -> None:
    controller = new(population=1, sample=1)
    tell(controller, ((3, 1, 2), 0.9))
    children = {proposal.tokens for proposal in controller.ask(500)}
    assert children == {(0, 1, 2), (1, 1, 2), (2, 1, 2), (3, 0, 2), (3, 1, 0), (3, 1, 1)}


def test_each_decision_is_changed_equally_often() -> None:
    controller = new(population=1, sample=1)
    tell(controller, ((3, 1, 2), 0.9))
    changed = [child.tokens[1] == 0 for child in controller.ask(3000)]
    assert statistics.fmean(changed) == pytest.approx(1 / 3, abs=0.03)


def test_the_oldest_dies_however_good_it_was() -> None:
    controller = new(population=2, sample=100)
    tell(controller, ((3, 1, 2), 0.9), ((0, 0, 0), 0.1), ((1, 1, 1), 0.5))
    # Left are the last two, of which (1, 1, 1) wins; one change of it keeps two of its tokens.
    assert {differences(child.tokens, (1, 1, 1)) for child in controller.ask(50)} == {1}


def test_a_sample_of_one_makes_every_member_a_parent_whatever_its_reward() -> None:
    controller = new(population=2, sample=1, sizes=(2,) * 9)
    tell(controller, ((0,) * 9, 0.0), ((1,) * 9, 1.0))
    of_the_worse = [sum(child.tokens) == 1 for child in controller.ask(2000)]
    assert statistics.fmean(of_the_worse) == pytest.approx(0.5, abs=0.05)


def test_the_worse_of_two_wins_a_sample_of_two_in_a_quarter_of_the_cases() -> None:
    # Both draws must be the worse one: 1/2 * 1/2.
    controller = new(population=2, sample=2, sizes=(2,) * 9)
    tell(controller, ((0,) * 9, 0.0), ((1,) * 9, 1.0))
    of_the_worse = [sum(child.tokens) == 1 for child in controller.ask(2000)]
    assert statistics.fmean(of_the_worse) == pytest.approx(0.25, abs=0.04)


def test_equal_rewards_make_equally_likely_parents() -> None:
    controller = new(population=2, sample=5, sizes=(2,) * 9)
    tell(controller, ((0,) * 9, 0.7), ((1,) * 9, 0.7))
    of_the_first = [sum(child.tokens) == 1 for child in controller.ask(2000)]
    assert statistics.fmean(of_the_first) == pytest.approx(0.5, abs=0.05)


def test_the_first_proposals_are_random_even_where_results_are_there() -> None:
    controller = new(population=20, sample=20, sizes=(9,) * 9)
    first = controller.ask(10)
    tell(controller, *((proposal.tokens, 0.5) for proposal in first))
    second = controller.ask(10)
    assert all(proposal.log_probability == pytest.approx(-9 * math.log(9)) for proposal in first + second)
    # Of 9 tokens with 9 choices two random tuples share 1 on average; a child shares 8 with its parent.
    assert min(differences(a.tokens, b.tokens) for a in second for b in first) > 1


def test_proposals_are_random_while_no_result_is_there_to_be_a_parent() -> None:
    controller = new(population=5, sample=2)
    assert all(proposal.log_probability is not None for proposal in controller.ask(50))
    tell(controller, ((0, 0, 0), 0.5))
    assert differences(controller.ask(1)[0].tokens, (0, 0, 0)) == 1


def test_results_that_were_never_asked_for_are_parents_as_well() -> None:
    controller = new(population=2, sample=5)
    tell(controller, ((0, 0, 0), 0.5), ((0, 0, 0), 0.5))
    assert {differences(child.tokens, (0, 0, 0)) for child in controller.ask(20)} == {1}


def test_the_probability_of_a_child_is_not_known() -> None:
    controller = new(population=1, sample=1)
    tell(controller, ((0, 0, 0), 0.5))
    assert [child.log_probability for child in controller.ask(3)] == [None, None, None]


def test_a_decision_without_a_choice_is_never_changed() -> None:
    controller = new(population=1, sample=1, sizes=(1, 2, 1))
    tell(controller, ((0, 0, 0), 0.5))
    assert {child.tokens for child in controller.ask(20)} == {(0, 1, 0)}


def test_entropy_is_that_of_the_population() -> None:
    controller = new(population=4, sample=2, sizes=(2, 4))
    tell(controller, ((0, 0), 0.5), ((0, 1), 0.5), ((1, 2), 0.5), ((0, 3), 0.5))
    # Shares 3/4 and 1/4: 0.562335 nats; four times 1/4: ln 4 = 1.386294. Together 1.948629 of ln 2 + ln 4 = 2.079442.
    diagnostics = controller.diagnostics()
    assert diagnostics["entropy"] == pytest.approx(1.948629 / 2, abs=1e-6)
    assert diagnostics["entropy_share"] == pytest.approx(0.937093, abs=1e-6)
    assert diagnostics["population"] == 4.0


def test_members_still_to_come_count_as_uniform() -> None:
    controller = new(population=4, sample=2, sizes=(2,))
    tell(controller, ((0,), 0.5), ((0,), 0.5))
    # Shares (2 + 1) / 4 and (0 + 1) / 4: 0.562335 nats of ln 2 = 0.693147.
    assert controller.diagnostics()["entropy_share"] == pytest.approx(0.811278, abs=1e-6)


def test_a_population_of_one_kind_has_no_entropy_left() -> None:
    controller = new(population=2, sample=2)
    tell(controller, ((1, 1, 1), 0.5), ((1, 1, 1), 0.5))
    assert controller.diagnostics()["entropy_share"] == 0.0


@given(
    rewards=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    population=st.integers(1, 12),
    sample=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_every_child_is_one_change_away_from_a_living_result(
    rewards: list[float], population: int, sample: int, seed: int
) -> None:
    controller = new(population, sample, sizes=(5,) * 12, seed=seed)
    told = [proposal.tokens for proposal in controller.ask(max(len(rewards), population))][: len(rewards)]
    tell(controller, *zip(told, rewards, strict=True))
    for child in controller.ask(5):
        assert min(differences(child.tokens, parent) for parent in told[-population:]) == 1


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_best_of_a_separable_reward(seed: int) -> None:
    controller = new(population=20, sample=5, sizes=(4, 2, 2, 3, 3, 3), seed=seed)
    best = 0
    for _ in range(60):
        results = [(proposal, float(sum(proposal.tokens))) for proposal in controller.ask(5)]
        controller.tell(results)
        best = max(best, *(int(reward) for _, reward in results))
    assert best == 3 + 1 + 1 + 2 + 2 + 2
