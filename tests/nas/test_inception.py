"""Inception's views: where they lie in the image, and that a generator decides on all of it."""

import numpy as np
import pytest
import torch

from nas.inception import Pixels, centre, inception_views, stored_side


def ramps(count: int, side: int = 40) -> Pixels:
    """Images whose red grows by 6 a pixel to the right and whose green does so downward; blue is 128."""
    images = np.full((count, side, side, 3), 128, np.uint8)
    images[..., 0] = 6 * np.arange(side)
    images[..., 1] = 6 * np.arange(side)[:, None]
    return images


def test_images_are_stored_larger_as_256_is_to_224_and_judged_by_their_middle() -> None:
    assert [stored_side(side) for side in (224, 96, 32)] == [256, 110, 37]
    images = ramps(2)
    middle = centre(images, 32)
    assert middle.shape == (2, 32, 32, 3)
    assert middle[0, 0, 0].tolist() == [24, 24, 128]  # from pixel 4 on
    assert np.shares_memory(middle, images)
    assert centre(images, 40).shape == images.shape


def test_a_view_is_a_batch_of_floats_laid_out_channels_last() -> None:
    views = inception_views(ramps(5), 16, 0.08, True, np.random.default_rng(0))
    assert (views.shape, views.dtype) == ((5, 3, 16, 16), torch.float32)
    assert views.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= views.min() < views.max() <= 1


def test_a_generator_decides_on_all_and_torchs_own_is_left_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (inception_views(ramps(4), 16, 0.08, True, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def slopes(views: torch.Tensor, channel: int, dim: int) -> torch.Tensor:
    """The mean change of a channel from one end of a view to the other."""
    ends = views[:, channel].select(dim, -1) - views[:, channel].select(dim, 0)
    return ends.mean(1)


def test_half_of_the_views_are_mirrored_and_none_upside_down() -> None:
    views = inception_views(ramps(300), 16, 0.5, True, np.random.default_rng(0))
    mirrored = (slopes(views, 0, 2) < 0).float().mean().item()
    assert mirrored == pytest.approx(0.5, abs=0.1)
    assert (slopes(views, 1, 1) > 0).all()
    assert (slopes(inception_views(ramps(50), 16, 0.5, False, np.random.default_rng(0)), 0, 2) > 0).all()


def test_views_show_at_least_the_area_asked_for() -> None:
    one = slopes(inception_views(ramps(200), 16, 0.9, False, np.random.default_rng(0)), 0, 2)
    small = slopes(inception_views(ramps(200), 16, 0.08, False, np.random.default_rng(0)), 0, 2)
    # a whole side is 39 * 6 / 255 = 0.92; nine tenths of the area, at 3 to 4, still show 0.82 of a side. The light
    # changes slopes by at most 1.125 * 1.5 * 1.5 = 2.5 either way
    assert one.min() > 0.92 * 0.82 / 2.6
    assert small.min() < one.min() / 2


def test_the_light_changes_from_view_to_view() -> None:
    flat = np.full((50, 8, 8, 3), 100, np.uint8)
    levels = inception_views(flat, 8, 0.08, False, np.random.default_rng(0)).mean((1, 2, 3)) * 255
    assert levels.std() > 2
    assert 100 * (1 - 32 / 255) - 1 <= levels.min() < levels.max() <= 100 * (1 + 32 / 255) + 1
