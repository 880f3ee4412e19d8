"""What the other decisions of a network are worth, against numbers worked out by hand."""

import itertools

import numpy as np
import pytest

from controllers.baseline import NOISE, of_others

SIZES = (2, 3, 2)
EVERY = np.array(list(itertools.product(*(range(size) for size in SIZES))))


def test_the_baseline_of_a_decision_is_the_effect_of_the_others() -> None:
    # Scores 4 x0 + x2: over all networks the effects are found one by one, each shrunk by its own ridge. A column of a
    # decision of 2 has 12 networks, 6 with it: its centred square is 3, and the two columns mirror each other, so the
    # effect of one against the other is 2 * 3 / (2 * 3 + 0.9) of the real one.
    scores = 4.0 * EVERY[:, 0] + EVERY[:, 2] - 2.5
    others = of_others(SIZES, EVERY, scores, EVERY)
    kept = 6 / (6 + NOISE * 3)
    own = kept * np.stack([4 * (EVERY[:, 0] - 0.5), np.zeros(12), EVERY[:, 2] - 0.5], axis=1)
    assert others == pytest.approx(own.sum(1, keepdims=True) - own)


def test_a_decision_without_a_choice_has_no_effect_of_its_own() -> None:
    networks = np.array([[0, 0], [0, 1]])
    others = of_others((1, 2), networks, np.array([-1.0, 1.0]), networks)
    assert others[:, 1] == pytest.approx([0.0, 0.0])  # nothing beside the second decision
    assert others[0, 0] == pytest.approx(-others[1, 0])


def test_constant_scores_give_no_baseline() -> None:
    assert np.abs(of_others(SIZES, EVERY, np.full(12, 0.7), EVERY)).max() < 1e-12


def test_noise_of_the_others_is_taken_out_of_an_advantage() -> None:
    # The effect of one decision among 20: its advantages vary by what the others do, and far less without that.
    draw = np.random.default_rng(0)
    networks = draw.integers(2, size=(200, 20))
    effects = draw.normal(size=20)
    scores = (networks - 0.5) @ effects
    scores /= scores.std()
    left = scores[:, None] - of_others((2,) * 20, networks, scores, networks)
    assert left.var(0).max() < 0.25 * scores.var() + (effects**2).max() / (effects**2).sum()
