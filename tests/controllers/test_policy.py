"""The recurrent policy: a proper distribution, the same whether sampled or evaluated."""

import itertools

import pytest
import torch
from torch import Tensor

from controllers.policy import Policy, of_tokens


def new(sizes: tuple[int, ...], hidden: int = 8, seed: int = 0) -> Policy:
    return Policy(sizes, hidden, torch.Generator().manual_seed(seed))


def every_tuple(sizes: tuple[int, ...]) -> Tensor:
    return torch.tensor(list(itertools.product(*(range(size) for size in sizes))))


def test_probabilities_of_all_tuples_sum_to_one() -> None:
    policy, tokens = new((2, 1, 4, 3)), every_tuple((2, 1, 4, 3))
    assert of_tokens(policy(tokens), tokens).exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_sampling_and_evaluating_give_the_same_log_probabilities() -> None:
    policy = new((4, 2, 2, 3) * 5)
    tokens, log_probabilities = policy.sample(6, torch.Generator().manual_seed(1))
    torch.testing.assert_close(policy(tokens).detach(), log_probabilities, rtol=1e-5, atol=1e-5)


def test_a_choice_depends_on_the_tokens_before_it_and_on_none_after() -> None:
    policy = new((3, 3, 3))
    base, other = policy(torch.tensor([[0, 0, 0], [0, 2, 0]])).detach()
    assert torch.equal(base[:2], other[:2])
    assert not torch.allclose(base[2], other[2])


def test_frequencies_are_the_probabilities() -> None:
    # The head of the first decision is set to probabilities 0.7, 0.2, 0.1. Of 20,000 draws the standard error is
    # at most 0.0033, so 0.015 is more than four of them.
    policy = new((3, 2))
    with torch.no_grad():
        policy.head_weight.zero_()
        policy.head_bias[0] = torch.tensor([0.7, 0.2, 0.1]).log()
    tokens, _ = policy.sample(20_000, torch.Generator().manual_seed(2))
    frequencies = torch.bincount(tokens[:, 0], minlength=3) / 20_000
    assert frequencies.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.015)


def test_all_weights_start_uniform_within_a_tenth() -> None:
    # Of a uniform distribution on +-0.1 the standard deviation is 0.1 / sqrt(3) = 0.05774.
    weights = torch.cat([parameter.flatten() for parameter in new((4, 3) * 20, hidden=100).parameters()]).detach()
    assert weights.abs().max().item() <= 0.1
    assert weights.std().item() == pytest.approx(0.05774, abs=5e-4)
    assert weights.mean().item() == pytest.approx(0.0, abs=5e-4)


def test_the_lstm_has_one_layer_of_the_units_asked_for() -> None:
    policy = new((2, 3), hidden=100)
    assert (policy.lstm.num_layers, policy.lstm.hidden_size) == (1, 100)


def test_gradients_are_finite_where_decisions_differ_in_size() -> None:
    policy, tokens = new((1, 7, 2)), torch.tensor([[0, 6, 1]])
    of_tokens(policy(tokens), tokens).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in policy.parameters() if p.grad is not None)
