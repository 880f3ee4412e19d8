"""Segmentation as a task: metrics by hand, batches, the loss, and learning to tell colours apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.segmentation import IGNORED, Options, Segmentation, SegmentationData, open_segmentation
from nas.segmentation.metrics import class_iou, confusion, metrics
from nas.segmentation.pictures import class_colours
from nas.tasks import Exporting
from search_spaces import InputError, reference
from search_spaces.segmentation import Segmenter, SegmenterError


def coloured(count: int = 8, size: tuple[int, int] = (32, 48)) -> SegmentationData:
    """Make images whose left part is red and whose right is blue, with a border of the unlabelled between them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (count, *size, 3)).astype(np.uint8)
    masks = np.zeros((count, *size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        border = int(rng.integers(12, 36))
        image[:, :border, 0] += 150
        image[:, border:, 2] += 150
        mask[:, border:] = 1
        mask[:, border - 1 : border + 1] = IGNORED
    return SegmentationData(
        images, masks, np.arange(count - 2), np.arange(count - 2, count), ("red", "blue"), "colours"
    )


def task(data: SegmentationData | None = None, **choices: Any) -> Segmentation:
    data = data or coloured()
    backbone = reference("mobilenet_v3_small", 0.35)
    return Segmentation(Segmenter(backbone, 2, *data.size, filters=16, **choices), data)


def test_iou_of_a_worked_example() -> None:
    truth = np.array([[0, 0, 0, 1], [1, 1, 2, IGNORED]])
    predicted = np.array([[0, 0, 1, 1], [1, 0, 1, 2]])
    matrix = confusion(truth, predicted, 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    # class 0: 2 of 3 + 3 - 2; class 1: 2 of 3 + 4 - 2; class 2: none of 1; class 3 is nowhere
    np.testing.assert_allclose(class_iou(matrix), [2 / 4, 2 / 5, 0, np.nan])
    scores = metrics(matrix, ["a", "b", "c", "d"])
    assert scores == {"mIOU": pytest.approx(0.3), "pixel accuracy": 4 / 7, "IOU a": 0.5, "IOU b": 0.4, "IOU c": 0.0}
    assert next(iter(scores)) == "mIOU"


def test_nothing_to_score_gives_nought() -> None:
    assert metrics(confusion(np.full((2, 2), IGNORED), np.zeros((2, 2)), 2), "ab") == {"mIOU": 0, "pixel accuracy": 0}


def test_a_batch_is_of_floats_and_labels() -> None:
    images, masks = task().batch(np.arange(4), np.random.default_rng(0))
    assert (images.shape, masks.shape, masks.dtype) == ((4, 3, 32, 48), (4, 32, 48), torch.int64)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= images.min() < images.max() <= 1


def test_batches_depend_on_the_generator_alone() -> None:
    one, same, other = (task().batch(np.arange(4), np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_loss_is_that_of_labelled_pixels_alone() -> None:
    class Constant(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([2.0, 0.0]).reshape(1, 2, 1, 1).expand(len(images), -1, *images.shape[2:])

    masks = torch.full((1, 32, 48), IGNORED)
    masks[0, 0, 0] = 1
    # log(1 + e^2) of the only labelled pixel
    assert task().loss(Constant(), (torch.zeros(1, 3, 32, 48), masks)).item() == pytest.approx(2.126928, abs=1e-5)
    masks[:] = IGNORED
    assert task().loss(Constant(), (torch.zeros(1, 3, 32, 48), masks)).item() == 0


@pytest.mark.parametrize(
    ("head", "epochs", "least"), [("lraspp", 20, 0.8), ("raspp", 120, 0.6)]
)  # the latter sees 2x3 places
def test_a_short_training_learns_to_tell_colours_apart(head: str, epochs: int, least: float, tmp_path: Path) -> None:
    wanted = task(head=head)
    torch.manual_seed(0)
    model = wanted.build()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.2
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        optimizer.zero_grad()
        wanted.loss(model.train(), wanted.batch(rng.permutation(wanted.train), rng)).backward()
        optimizer.step()
    scores = wanted.evaluate(model)
    assert scores["mIOU"] > least
    assert list(scores) == ["mIOU", "pixel accuracy", "IOU red", "IOU blue"]
    assert wanted.export(model.eval(), tmp_path / "net.onnx") < 1e-4


def test_the_normalisation_is_that_of_the_training_images() -> None:
    wanted = task()
    training = wanted.data.images[wanted.data.train].reshape(-1, 3) / 255
    model = wanted.build()
    np.testing.assert_allclose(model.normalise.mean.flatten(), training.mean(0), rtol=1e-4)
    np.testing.assert_allclose(model.normalise.std.flatten(), training.std(0), rtol=1e-4)


def test_pictures_show_image_truth_and_prediction_in_the_colours_of_the_classes() -> None:
    wanted = task()
    (picture,) = wanted.pictures(wanted.build(), 1)
    assert picture.size == (3 * 48 + 2 * 4, 32)
    pixels, index = np.asarray(picture), wanted.data.validation[0]
    assert (pixels[:, :48] == wanted.data.images[index]).all()
    assert (pixels[:, 52:100] == class_colours(2)[wanted.data.masks(index)]).all()
    assert len(wanted.pictures(wanted.build(), 5)) == 2


def test_colours_of_classes_differ() -> None:
    colours = class_colours(20)[:20].astype(int)
    distances = [np.abs(one - other).sum() for i, one in enumerate(colours) for other in colours[:i]]
    assert min(distances) > 30


def test_what_describes_a_task_builds_its_network_again() -> None:
    from search_spaces import arch_from_dict

    wanted = task(output_stride=16)
    told = wanted.describe()
    again = Segmenter(arch_from_dict(told["arch"]), len(told["classes"]), *told["resolution"], **told["segmenter"])
    assert again == wanted.segmenter
    assert told["classes"] == ["red", "blue"]


def test_a_segmenter_for_other_data_is_refused() -> None:
    data = coloured()
    with pytest.raises(
        InputError, match="is for 64x48 pixels and 3 classes, and the data have 32x48 pixels and 2 classes"
    ):
        Segmentation(Segmenter(reference("mobilenet_v3_small"), 3, 64, 48), data)


def test_the_task_exports() -> None:
    assert isinstance(task(), Exporting)


def written(data: SegmentationData, root: Path) -> Path:
    for folder, arrays in (("images", data.images), ("masks", data.labels)):
        (root / folder).mkdir(parents=True)
        for index, pixels in enumerate(arrays):
            Image.fromarray(pixels).save(root / folder / f"{index}.png")
    return root


def test_a_folder_is_opened_at_the_networks_resolution(tmp_path: Path) -> None:
    arch = reference("mobilenet_v3_small", 0.35, 64)
    opened = open_segmentation(arch, written(coloured(), tmp_path), "raspp", options=Options(crop=0.5))
    assert (opened.segmenter.height, opened.segmenter.width, opened.segmenter.head) == (64, 96, "raspp")
    assert opened.crop == (32, 48)
    assert opened.data.classes == ("class 0", "class 1")


def test_a_resolution_too_small_for_the_strides_is_refused(tmp_path: Path) -> None:
    arch = reference("mobilenet_v3_small", 0.35, 31)
    with pytest.raises(SegmenterError, match="images of 31x46 pixels leave less than 2x2"):
        open_segmentation(arch, written(coloured(), tmp_path))
    with pytest.raises(SegmenterError, match="the head must be one of lraspp, raspp, got 'fcn'"):
        open_segmentation(reference("mobilenet_v3_small", 0.35, 32), tmp_path, "fcn")
