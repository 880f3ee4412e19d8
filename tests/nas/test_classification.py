"""`nas.classification`: what the training loop gets of packed images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas.classification import Classification, Options
from nas.data import ImageData
from search_spaces import Arch, Block, Head, InputError, Stem

ARCH = Arch("tiny", 8, 2, Stem(8, stride=1), (Block("mbconv", 8, 3, 2, expanded=16),), Head(16))


def grey(count: int = 20) -> ImageData:
    """Images of one grey each, image i being i of 255; the first half to train with."""
    images = np.repeat(np.arange(count, dtype=np.uint8), 8 * 8 * 3).reshape(count, 8, 8, 3)
    labels = np.arange(count) % 2
    indices = np.arange(count)
    half = count // 2
    return ImageData(images, labels, indices[:half], indices[half:], ("even", "odd"), "grey", fingerprint="0")


TASK = Classification(ARCH, grey(), Options(label_smoothing=0.0))


class Constant(nn.Module):
    """Says class 1 of every image, with logits (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.0, 1.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), 2)


def test_a_batch_is_the_images_asked_for_with_their_labels() -> None:
    images, labels = TASK.batch(np.array([3, 0, 6]), np.random.default_rng(0))
    assert images.shape == (3, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert [round(float(image.mean()) * 255) for image in images] == [3, 0, 6]
    assert labels.tolist() == [1, 0, 0]


def test_images_stored_with_borders_give_inceptions_views() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (20, 9, 9, 3), dtype=np.uint8)
    task = replace(TASK, stored=stored)
    images, labels = task.batch(np.array([3, 0]), np.random.default_rng(0))
    assert (images.shape, labels.tolist()) == ((2, 3, 8, 8), [1, 0])
    assert images.std() > 0.1  # of the stored noise, not of the greys
    assert task.describe()["views"] == "inception"


def test_the_loss_is_the_cross_entropy_and_smoothing_spreads_the_target() -> None:
    batch = (torch.zeros(1, 3, 8, 8), torch.tensor([1]))
    # -log softmax: log(1 + e) - 1 = 0.313262 for class 1, log(1 + e) = 1.313262 for class 0
    assert TASK.loss(Constant(), batch).item() == pytest.approx(0.313262, abs=1e-6)
    smooth = replace(TASK, options=Options(label_smoothing=0.2))
    assert smooth.loss(Constant(), batch).item() == pytest.approx(0.9 * 0.313262 + 0.1 * 1.313262, abs=1e-6)


def test_the_figure_of_merit_is_the_accuracy_on_the_validation_images() -> None:
    assert TASK.evaluate(Constant()) == {"accuracy": 0.5}  # every other image is odd


def test_the_network_has_the_training_images_normalisation() -> None:
    # greys 0 to 9 of 255: mean 4.5, variance (100 - 1) / 12
    normalise = TASK.build().normalise
    assert normalise.mean.flatten().tolist() == pytest.approx([4.5 / 255] * 3, rel=1e-4)
    assert normalise.std.flatten().tolist() == pytest.approx([(99 / 12) ** 0.5 / 255] * 3, rel=1e-4)


def test_pictures_are_of_validation_images_from_first_to_last() -> None:
    pictures = TASK.pictures(Constant(), 4)
    assert [picture.getpixel((80, 80)) for picture in pictures] == [(n, n, n) for n in (10, 13, 16, 19)]
    assert len(TASK.pictures(Constant(), 99)) == 10


def test_a_network_for_other_images_is_refused() -> None:
    with pytest.raises(InputError, match="is for 8 px and 3 classes, and the data have 8 px and 2 classes"):
        Classification(replace(ARCH, classes=3), grey())
