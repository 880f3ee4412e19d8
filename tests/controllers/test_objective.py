"""The policy gradient's mathematics against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from controllers.objective import (
    MovingAverage,
    advantages,
    change_of_policy,
    clipped_loss,
    entropy,
    importance_weights,
    policy_gradient_loss,
    rank_advantages,
    settled,
)

rewards = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def test_the_first_mean_is_that_of_the_first_batch() -> None:
    assert MovingAverage().updated([1.0, 2.0, 6.0], decay=0.95).mean == pytest.approx(3.0)


def test_later_batches_weigh_more_than_earlier_ones() -> None:
    # decay 0.5: after one value of 1 the weight is 0.5. A batch (3, 5) keeps 0.5**2 = 0.25 of that, 0.125, and gives
    # its mean, 4, the weight 0.75: (0.125 * 1 + 0.75 * 4) / 0.875 = 3.125 / 0.875 = 25 / 7.
    average = MovingAverage().updated([1.0], decay=0.5).updated([3.0, 5.0], decay=0.5)
    assert average.weight == pytest.approx(0.875)
    assert average.mean == pytest.approx(25 / 7)


def test_a_long_average_moves_by_the_share_that_is_not_kept() -> None:
    # weight 1 is an endless past: 0.95 * 0.6 + 0.05 * 0.8 = 0.61
    assert MovingAverage(mean=0.6, weight=1.0).updated([0.8], decay=0.95) == MovingAverage(
        mean=pytest.approx(0.61), weight=pytest.approx(1.0)
    )


def test_without_decay_only_the_last_batch_counts() -> None:
    assert MovingAverage().updated([9.0], decay=0.0).updated([1.0, 2.0], decay=0.0) == MovingAverage(1.5, 1.0)


@given(value=st.floats(-1e6, 1e6), counts=st.lists(st.integers(1, 8), min_size=1, max_size=10))
def test_equal_values_are_their_own_average(value: float, counts: list[int]) -> None:
    average = MovingAverage()
    for count in counts:
        average = average.updated([value] * count, decay=0.95)
    assert average.mean == pytest.approx(value, rel=1e-12)


@given(first=rewards, second=rewards)
def test_an_average_lies_between_its_values(first: list[float], second: list[float]) -> None:
    mean = MovingAverage().updated(first, decay=0.95).updated(second, decay=0.95).mean
    assert min(first + second) - 1e-6 <= mean <= max(first + second) + 1e-6


def test_advantages_are_distances_from_the_baseline_in_units_of_the_scale() -> None:
    # (0.75 - 0.5) / 0.125 = 2; (0.25 - 0.5) / 0.125 = -2
    assert advantages([0.75, 0.25], baseline=0.5, scale=0.125) == [2.0, -2.0]


def test_the_rounding_of_a_constant_reward_is_not_blown_up() -> None:
    # A difference of 1e-16 at a scale of 1e-16 would be an advantage of 1; the scale counts as 0.7e-6.
    (advantage,) = advantages([0.7 + 1e-16], baseline=0.7, scale=1e-16)
    assert abs(advantage) < 1e-9


def test_loss_is_minus_the_mean_weighted_product() -> None:
    # One decision a network: -(1 * 2 * -1 + 0.5 * -1 * -3) / 2 = -(-2 + 1.5) / 2 = 0.25
    chosen, advantages = torch.tensor([[-1.0], [-3.0]]), torch.tensor([[2.0], [-1.0]])
    loss = policy_gradient_loss(chosen, advantages, torch.tensor([1.0, 0.5]))
    assert loss.item() == pytest.approx(0.25)


def test_each_decision_of_a_network_has_its_own_advantage() -> None:
    # Two decisions of one network: -0.5 * (2 * -1 + -1 * -3) = -0.5
    loss = policy_gradient_loss(torch.tensor([[-1.0, -3.0]]), torch.tensor([[2.0, -1.0]]), torch.tensor([0.5]))
    assert loss.item() == pytest.approx(-0.5)


def test_loss_gradient_of_a_softmax_is_that_of_williams() -> None:
    # One softmax with logits 0, ln 3: probabilities 1/4, 3/4. Choice 0, advantage 2: d(-2 ln p0) / d logits
    # = -2 * (onehot - p) = -2 * (1 - 1/4, -3/4) = (-1.5, 1.5).
    logits = torch.tensor([0.0, math.log(3)], requires_grad=True)
    chosen = torch.log_softmax(logits, dim=-1)[None, :1]
    policy_gradient_loss(chosen, torch.tensor([[2.0]]), torch.tensor([1.0])).backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([-1.5, 1.5])


def test_no_gradient_flows_through_advantages_and_weights() -> None:
    chosen, advantage = (torch.ones((1, 1), requires_grad=True) for _ in range(2))
    weight = torch.ones(1, requires_grad=True)
    policy_gradient_loss(chosen, advantage, weight).backward()
    assert chosen.grad is not None
    assert (advantage.grad, weight.grad) == (None, None)


def test_entropy_of_known_distributions() -> None:
    # Uniform over 4: ln 4. (1/2, 1/4, 1/4, 0): 0.5 ln 2 + 2 * 0.25 ln 4 = 1.5 ln 2. A settled choice: 0.
    probabilities = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.25, 0.0], [0.0, 1.0, 0.0, 0.0]])
    expected = [math.log(4), 1.5 * math.log(2), 0.0]
    assert entropy(probabilities.log()).tolist() == pytest.approx(expected)


def test_importance_weights_are_ratios_of_probabilities_up_to_the_limit() -> None:
    # 0.3 / 0.4 = 0.75; 0.2 / 0.2 = 1; 0.8 / 0.1 = 8, cut to 2
    now, then = torch.tensor([0.3, 0.2, 0.8]).log(), torch.tensor([0.4, 0.2, 0.1]).log()
    assert importance_weights(now, then, limit=2.0).tolist() == pytest.approx([0.75, 1.0, 2.0])


def test_an_unknown_probability_counts_as_that_of_now() -> None:
    assert settled(torch.tensor([math.nan]), torch.tensor([-50.0])).tolist() == [-50.0]


def test_a_probability_that_only_rounding_moved_counts_as_that_of_now() -> None:
    assert settled(torch.tensor([-42.0001]), torch.tensor([-42.0])).tolist() == [-42.0]
    assert settled(torch.tensor([-43.0]), torch.tensor([-42.0])).tolist() == [-43.0]


@given(now=st.floats(-500, 0), then=st.floats(-500, 0), limit=st.floats(0.1, 10))
def test_importance_weights_are_never_negative_nor_above_the_limit(now: float, then: float, limit: float) -> None:
    weight = importance_weights(torch.tensor([now]), torch.tensor([then]), limit).item()
    assert 0 <= weight <= limit * (1 + 1e-6)


def test_rank_advantages_are_normal_scores_among_recent_rewards() -> None:
    # Of 1, 2, 3, 4 the reward 4 has rank 4, less a half: the quantile of 3.5 / 4 is 1.1503. Ties lie in their middle.
    assert rank_advantages([4.0, 1.0], [1.0, 2.0, 3.0, 4.0]) == pytest.approx([1.1503, -1.1503], abs=1e-4)
    assert rank_advantages([5.0, 5.0], [5.0, 5.0, 5.0]) == pytest.approx([0.0, 0.0])


def test_the_clipped_loss_stops_gaining_where_a_choice_has_moved_far() -> None:
    # Ratios e^0.5 = 1.65 and e^-0.5 = 0.61. The first is cut at 1.2, the second is not.
    now, before = torch.tensor([[-1.0, -1.5]]), torch.tensor([[-1.5, -1.0]])
    loss = clipped_loss(now, before, torch.ones(1, 2), torch.ones(1), clip=0.2)
    assert float(loss) == pytest.approx(-(1.2 + 0.6065), abs=1e-4)


def test_the_clipped_loss_stops_losing_where_a_bad_choice_has_moved_far() -> None:
    # With an advantage of -1 the ratio 0.61 is held at 0.8, and 1.65 is not cut: it may still come back.
    now, before = torch.tensor([[-1.0, -1.5]]), torch.tensor([[-1.5, -1.0]])
    loss = clipped_loss(now, before, -torch.ones(1, 2), torch.ones(1), clip=0.2)
    assert float(loss) == pytest.approx(1.6487 + 0.8, abs=1e-4)


def test_a_late_network_counts_by_its_weight_in_the_clipped_loss() -> None:
    chosen = torch.tensor([[-1.0], [-1.0]])
    loss = clipped_loss(chosen, chosen, torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 0.5]), clip=0.2)
    assert float(loss) == pytest.approx(-(1 + 0.5 * 3) / 2)


def test_the_clipped_loss_has_a_gradient_where_the_ratio_would_overflow() -> None:
    now = torch.tensor([[-1.0], [-2.0]], requires_grad=True)
    loss = clipped_loss(now, torch.tensor([[-200.0], [-2.0]]), torch.ones(2, 1), torch.ones(2), clip=0.2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert now.grad is not None
    assert now.grad.tolist() == [[0.0], [-0.5]]  # the first is far past the clip; the second has ratio 1


def test_the_change_of_a_policy_is_its_divergence_a_decision() -> None:
    # From even odds to 3 : 1: 0.5 ln(0.5 / 0.75) + 0.5 ln(0.5 / 0.25) = 0.1438 nats.
    before, after = torch.tensor([[[0.5, 0.5]]]).log(), torch.tensor([[[0.75, 0.25]]]).log()
    assert float(change_of_policy(before, after)) == pytest.approx(0.1438, abs=1e-4)
    assert float(change_of_policy(before, before)) == 0.0
