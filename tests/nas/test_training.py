"""`nas.training` and `nas.recipe`: children learn, repeatably, and say so when they diverge."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas.data import ImageData
from nas.pixels import normalisation
from nas.recipe import FINAL, PROXY, Recipe, recipe_for
from nas.training import DivergedError, accuracy, augment, fit, train
from search_spaces import Arch, Block, Head, InputError, Stem

QUICK = Recipe(epochs=4, batch_size=8, learning_rate=0.1, flip=False, crop_padding=1)


def tiny_arch(resolution: int = 8, classes: int = 2) -> Arch:
    blocks = (Block("mbconv", 8, 3, 2, expanded=16), Block("mbconv", 8, 3, 1, expanded=16, skip="identity"))
    return Arch("tiny", resolution, classes, Stem(8, stride=1), blocks, Head(16))


def image_data(images: np.ndarray, labels: np.ndarray, train_count: int) -> ImageData:
    indices = np.arange(len(images))
    return ImageData(
        images, labels, indices[:train_count], indices[train_count:], ("dark", "bright"), "bars", fingerprint="0"
    )


def bars(count: int = 96, seed: int = 0) -> ImageData:
    """Noise with a bright left half (class 0) or upper half (class 1)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 120, (count, 8, 8, 3)).astype(np.uint8)
    images[labels == 0, :, :4] += 120
    images[labels == 1, :4] += 120
    images.flags.writeable = False  # as a memory map is
    return image_data(images, labels, 64)


def test_a_child_learns_what_can_be_learnt() -> None:
    trained = train(tiny_arch(), bars(), QUICK, seed=0, threads=1)
    assert trained.accuracy >= 0.9  # chance is 0.5
    assert trained.loss < 0.5  # log(2) = 0.69 at the start
    assert trained.seconds > 0
    assert trained.images_per_second > 0


def test_the_same_arguments_give_the_same_network_bit_for_bit() -> None:
    recipe = replace(QUICK, epochs=2, dropout=0.2, flip=True)
    first, second = (train(tiny_arch(), bars(), recipe, seed=5, threads=1) for _ in range(2))
    assert (first.accuracy, first.loss) == (second.accuracy, second.loss)
    other = second.model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in first.model.state_dict().items())


def test_another_seed_gives_another_network() -> None:
    first, second = (train(tiny_arch(), bars(), replace(QUICK, epochs=1), seed=seed, threads=1) for seed in (1, 2))
    assert first.loss != second.loss


def test_training_leaves_torchs_global_state_as_it_was() -> None:
    threads = 2 if torch.get_num_threads() == 1 else 1  # other than now
    state, before = torch.get_rng_state(), torch.get_num_threads()
    train(tiny_arch(), bars(), replace(QUICK, epochs=1), seed=0, threads=threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == before


def test_a_loss_that_leaves_the_numbers_is_an_error_that_says_when() -> None:
    hopeless = replace(QUICK, learning_rate=1e30, clip_norm=1e30, warm_up=0.0)
    with pytest.raises(DivergedError, match=r"the loss is not finite in epoch 1, step \d") as caught:
        train(tiny_arch(), bars(), hopeless, seed=0, threads=1)
    copy = pickle.loads(pickle.dumps(caught.value))  # it comes back from another process
    assert (copy.epoch, copy.step, str(copy)) == (1, caught.value.step, str(caught.value))


def test_progress_is_told_once_an_epoch_with_the_mean_loss() -> None:
    told: list[tuple[int, float]] = []
    trained = train(tiny_arch(), bars(), replace(QUICK, epochs=3), 0, threads=1, on_epoch=lambda *now: told.append(now))
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert told[-1][1] == trained.loss


def test_data_smaller_than_a_batch_is_trained_as_one_batch() -> None:
    trained = train(tiny_arch(), bars(), replace(QUICK, batch_size=500, epochs=2), seed=0, threads=1)
    assert np.isfinite(trained.loss)


def test_fit_goes_on_from_the_weights_that_are_there() -> None:
    first = train(tiny_arch(), bars(), QUICK, seed=0, threads=1)
    still = replace(QUICK, epochs=1, learning_rate=1e-9, crop_padding=0)
    assert fit(first.model, bars(), still, seed=1, threads=1).loss < 0.5


def test_accuracy_is_the_share_of_right_answers_among_the_images_asked_for() -> None:
    class Brightness(nn.Module):
        """Class 1 where the first pixel is over a half."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first = images[:, 0, 0, 0]
            return torch.stack([0.5 - first, first - 0.5], 1)

    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[2:, 0, 0] = 255
    data = image_data(images, np.array([0, 1, 1, 1]), 2)  # answers: 0, 0, 1, 1
    assert accuracy(Brightness(), data, [0, 1, 2, 3]) == 0.75
    assert accuracy(Brightness(), data, np.array([1])) == 0.0
    assert accuracy(Brightness(), data, data.validation) == 1.0


def test_normalisation_is_measured_on_the_training_images_alone() -> None:
    images = np.zeros((3, 1, 1, 3), np.uint8)
    images[1] = [255, 51, 0]
    images[2] = 77
    data = image_data(images, np.zeros(3, np.int64), 2)
    measured = normalisation(data.images, data.train)
    # red 0 and 1: mean 1/2, deviation 1/2; green 0 and 0.2: 0.1 and 0.1; blue: 0, with the floor of 1e-3
    assert measured["mean"].flatten().tolist() == pytest.approx([0.5, 0.1, 0.0])
    assert measured["std"].flatten().tolist() == pytest.approx([0.5, 0.1, 0.001], rel=1e-4)


def test_training_puts_the_normalisation_into_the_model() -> None:
    model = train(tiny_arch(), bars(), replace(QUICK, epochs=1), seed=0, threads=1).model
    assert torch.equal(model.normalise.mean, normalisation(bars().images, bars().train)["mean"])


def test_without_padding_and_flip_images_stay_as_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    assert np.array_equal(augment(images, 0, False, np.random.default_rng(1)), images)


def test_flipping_mirrors_about_half_of_the_images_left_to_right() -> None:
    images = np.tile(np.array([1, 2, 3], np.uint8)[None, None, :, None], (200, 2, 1, 3))
    rows = augment(images, 0, True, np.random.default_rng(0))[:, 0, :, 0]
    mirrored = (rows == [3, 2, 1]).all(1)
    assert ((rows == [1, 2, 3]).all(1) | mirrored).all()
    assert 70 <= mirrored.sum() <= 130  # 100 +- 4 standard deviations of 7


def test_shifts_reach_the_padding_in_every_direction_and_repeat_the_edge() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    images = np.tile(image, (200, 1, 1, 3))
    moved = {tuple(one[..., 0].flatten().tolist()) for one in augment(images, 1, False, np.random.default_rng(0))}
    assert len(moved) == 9  # -1, 0, 1 down times -1, 0, 1 across
    assert (4, 5, 5, 7, 8, 8, 7, 8, 8) in moved  # up and left by one


def test_the_schedule_climbs_to_its_peak_and_falls_to_zero() -> None:
    recipe = Recipe(epochs=1, learning_rate=0.4, warm_up=0.2)
    rates = [recipe.learning_rate_at(progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0])  # half-way down at the middle of the cosine


def test_small_data_get_more_epochs_until_there_are_enough_steps() -> None:
    recipe = Recipe(epochs=3, batch_size=32, least_steps=100)
    # 320 images: 10 steps an epoch, so 10 epochs; 3,200: 100 steps an epoch; 31: one batch, so 100 epochs
    assert [recipe.epochs_for(images) for images in (320, 3200, 31)] == [10, 3, 100]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "recipe: epochs must be at least 1, got 0"),
        ({"learning_rate": float("nan")}, "recipe: learning_rate must be a positive number, got nan"),
        ({"dropout": 1.0}, "recipe: dropout must be at least 0 and below 1, got 1.0"),
        ({"batch_norm_momentum": 0.0}, "recipe: batch_norm_momentum must be above 0 and at most 1, got 0.0"),
        ({"crop_padding": -1}, "recipe: crop_padding must be 0 or more, got -1"),
    ],
)
def test_a_recipe_refuses_numbers_that_make_no_sense(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(PROXY, **change)  # type: ignore[arg-type]  # that is the point
    assert str(caught.value) == message


def test_digits_are_not_mirrored_and_other_images_are() -> None:
    assert not recipe_for(FINAL, "digits").flip
    assert recipe_for(FINAL, "flowers").flip
