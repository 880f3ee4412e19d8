"""Draws made ahead from the policy, of which a search takes the new ones."""

from collections import Counter

import pytest
import torch

from controllers.draws import DRAWS, Draws
from controllers.memory import Tokens
from controllers.policy import Policy

SIZES = (3, 3)


def drawn(strength: float = 0.0) -> Draws:
    """Draws from a policy whose first choices have so much more in their logits."""
    generator = torch.Generator().manual_seed(0)
    policy = Policy(SIZES, 8, generator)
    with torch.no_grad():
        policy.head_bias[:, 0] += strength
    return Draws(policy, generator)


class New:
    """Accepts each network once."""

    def __init__(self) -> None:
        self.asked: list[Tokens] = []
        self.seen: set[Tokens] = set()

    def __call__(self, tokens: Tokens) -> bool:
        self.asked.append(tokens)
        new = tokens not in self.seen
        self.seen.add(tokens)
        return new


def test_one_refill_serves_many_proposals() -> None:
    draws, asked = drawn(), []
    for _ in range(DRAWS):
        draws.take(1, lambda tokens: asked.append(tokens) is None)
    rows, _ = Policy(SIZES, 8, generator := torch.Generator().manual_seed(0)).sample(DRAWS, generator)
    assert asked == list(map(tuple, rows.tolist()))


def test_a_settled_policy_gives_what_lies_near_first() -> None:
    draws, new = drawn(strength=9.0), New()
    chosen = draws.take(4, new)
    assert chosen[0] == (0, 0)
    assert len(set(chosen)) == 4
    assert len(new.asked) > DRAWS  # the policy itself had one to give; the rest are of its evened out forms
    changed = [sum(token > 0 for token in tokens) for tokens in chosen[1:]]
    assert changed.count(1) >= 2  # of 4 networks one change away and 4 that are two


def test_fewer_are_given_where_nothing_new_is_left() -> None:
    draws, new = drawn(strength=2.0), New()
    chosen = [tokens for _ in range(5) for tokens in draws.take(3, new)]
    assert len(chosen) == len(set(chosen)) <= 9
    asked = len(new.asked)
    for _ in range(3):
        assert draws.take(3, lambda tokens: False) == []
    assert len(new.asked) == asked


def test_what_is_waiting_is_forgotten_when_the_policy_changes() -> None:
    draws = drawn()
    draws.take(1, lambda _: True)
    assert len(draws.state_dict()["waiting"]) == DRAWS - 1
    draws.clear()
    assert draws.state_dict() == {"waiting": [], "hot": False, "drawn": 0, "accepted": 0}


@pytest.mark.parametrize("strength", [0.0, 9.0])
def test_a_saved_state_goes_on_as_it_would_have(strength: float) -> None:
    first, second = drawn(strength), drawn(strength)
    before, again = New(), New()
    first.take(3, before), second.take(3, again)
    third = drawn(strength)
    third._generator.set_state(second._generator.get_state())
    third.load_state_dict(second.state_dict())
    assert first.take(4, before) == third.take(4, again)


def test_many_asked_for_at_once_are_drawn_at_once() -> None:
    counts = Counter(drawn().take(3000, lambda _: True))
    assert len(counts) == 9
