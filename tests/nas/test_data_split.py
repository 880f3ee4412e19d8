"""The split is stratified, fixed by its seed, and nested when limited."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.split import split
from search_spaces import InputError


def labels_of(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def class_counts(labels, indices):
    return np.bincount(labels[indices], minlength=labels.max() + 1).tolist()


def test_each_class_gives_its_rounded_share():
    labels = labels_of(10, 7, 2)
    train, validation = split(labels, "abc", seed=0, validation_share=0.2)
    # 10 * 0.2 = 2; 7 * 0.2 = 1.4, rounded 1; 2 * 0.2 = 0.4, rounded 0, but at least 1.
    assert class_counts(labels, validation) == [2, 1, 1]
    assert class_counts(labels, train) == [8, 6, 1]


def test_each_class_keeps_one_to_train_with():
    labels = labels_of(3, 2)
    train, validation = split(labels, "ab", seed=0, validation_share=0.99)
    assert class_counts(labels, train) == [1, 1]
    assert class_counts(labels, validation) == [2, 1]


def test_limit_takes_of_each_class_in_proportion():
    labels = labels_of(50, 25)
    train, validation = split(
        labels, "ab", seed=0, validation_share=0.2, train_images=30, validation_images=6
    )  # to train 40 and 20, to validate 10 and 5: two of the first to one of the second
    assert class_counts(labels, train) == [20, 10]
    assert class_counts(labels, validation) == [4, 2]


def test_limit_leaves_no_class_out():
    labels = labels_of(1000, 2)
    train, _ = split(labels, "ab", seed=0, validation_share=0.2, train_images=2)
    assert class_counts(labels, train) == [1, 1]


def test_limit_above_what_there_is_takes_all():
    labels = labels_of(5, 5)
    train, validation = split(labels, "ab", seed=0, validation_share=0.2, train_images=100, validation_images=100)
    assert (len(train), len(validation)) == (8, 2)


def test_seeds_differ():
    labels = labels_of(50, 50)
    first, second = (split(labels, "ab", seed=seed, validation_share=0.2)[1].tolist() for seed in (0, 1))
    assert first != second


def test_split_of_a_seed_stays_what_it_was():
    # Recorded: a run is resumed on the images it began with, so this must never change.
    _, validation = split(labels_of(10, 10), "ab", seed=3, validation_share=0.2)
    assert validation.tolist() == [6, 9, 11, 14]


counts = st.lists(st.integers(2, 30), min_size=2, max_size=6)


@given(counts, st.integers(0, 2**32), st.floats(0.01, 0.99))
def test_every_image_is_on_one_side_and_every_class_on_both(counts, seed, share):
    labels = labels_of(*counts)
    train, validation = split(labels, [str(i) for i in counts], seed=seed, validation_share=share)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert min(class_counts(labels, train)) >= 1
    assert min(class_counts(labels, validation)) >= 1


@given(counts, st.integers(6, 60), st.integers(6, 60))
def test_smaller_limit_is_within_the_larger(counts, one, other):
    labels = labels_of(*counts)
    smaller, larger = sorted((one, other))
    sides = [
        split(labels, list(counts), seed=0, validation_share=0.3, train_images=limit, validation_images=limit)
        for limit in (smaller, larger, None)
    ]
    for less, more in pairwise(sides):
        assert set(less[0]) <= set(more[0])
        assert set(less[1]) <= set(more[1])
        assert len(less[0]) <= larger


def test_adding_a_class_leaves_the_split_of_the_others():
    before = split(labels_of(10, 20), "ab", seed=1, validation_share=0.2)[1].tolist()
    after = split(labels_of(10, 20, 30), "abc", seed=1, validation_share=0.2)[1].tolist()
    assert after[: len(before)] == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": -1}, "the seed must be 0 or more, got -1"),
        ({"validation_share": 0.0}, "must be between 0 and 1, got 0.0"),
        ({"validation_share": 1.0}, "must be between 0 and 1, got 1.0"),
        ({"validation_share": float("nan")}, "must be between 0 and 1, got nan"),
        ({"train_images": 1}, "1 training images are too few for 2 classes"),
        ({"validation_images": 0}, "0 validation images are too few for 2 classes"),
    ],
)
def test_bad_setting_is_one_line(changed, message):
    settings = {"seed": 0, "validation_share": 0.2} | changed
    with pytest.raises(InputError, match=message):
        split(labels_of(5, 5), "ab", **settings)


def test_class_with_one_image_is_named():
    with pytest.raises(InputError, match=r"^1 of 3 classes have fewer than 2 usable images \('b'\); each class needs"):
        split(labels_of(5, 1, 5), "abc", seed=0, validation_share=0.2)
