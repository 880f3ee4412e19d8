"""Views of an image: the boxes go where the pixels go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.detection.augment import Views, cut, flipped, view

SIDE = 100


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_are_cut_at_the_window_and_kept_where_their_middle_is_inside() -> None:
    window = np.array([0.5, 0.0, 1.0, 0.5], np.float32)
    inside, across, outside = (0.6, 0.1, 0.7, 0.3), (0.4, 0.4, 0.8, 0.6), (0.1, 0.1, 0.6, 0.4)
    found, kept = cut(boxes(inside, across, outside), window)
    assert kept.tolist() == [0, 1]
    # twice as large, seen from the window's corner; the second has its middle on the window's lower edge
    assert found.tolist() == [pytest.approx([0.2, 0.2, 0.4, 0.6]), pytest.approx([0, 0.8, 0.6, 1])]


def test_the_mirror_image_swaps_left_and_right() -> None:
    assert flipped(boxes((0.1, 0.2, 0.4, 0.6))).tolist() == [pytest.approx([0.6, 0.2, 0.9, 0.6])]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_box_stays_on_what_it_marks(seed: int) -> None:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[20:50, 60:90] = 255
    rng = np.random.default_rng(seed)
    shown, found, kept = view(image, boxes((0.6, 0.2, 0.9, 0.5)), Views(crop=1.0, jitter=0.0), rng)
    left, top, right, bottom = np.rint(found[0] * SIDE).astype(int)
    assert kept.tolist() == [0]
    assert shown[top + 2 : bottom - 2, left + 2 : right - 2].min() > 200
    inside = np.zeros((SIDE, SIDE), bool)
    inside[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = True
    assert shown[~inside].max(initial=0) < 55


def test_views_without_any_change_are_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    shown, found, kept = view(image, boxes((0, 0, 1, 1)), Views(0, 0.5, 0, 0), np.random.default_rng(0))
    assert np.abs(shown.astype(int) - image).max() <= 1  # fractions are cut off
    assert found.tolist() == [[0, 0, 1, 1]]
    assert kept.tolist() == [0]


def test_other_light_keeps_the_shape_and_changes_the_pixels() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    shown, _, _ = view(image, boxes(), Views(0, 0.5, 0, 0.3), np.random.default_rng(1))
    assert shown.shape == image.shape
    assert shown.min() >= 70
    assert shown.max() <= 130
    assert not np.array_equal(shown, image)


def test_images_without_boxes_have_views_too() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    _, found, kept = view(image, boxes(), Views(crop=1.0), np.random.default_rng(0))
    assert (found.shape, kept.tolist()) == ((0, 4), [])
