"""Detection as a task: scores by hand, and a tiny detector that learns where a square is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.detection import Detection, DetectionData, Found
from nas.detection.augment import Views
from nas.detection.evaluation import mean_average_precision
from nas.detection.task import open_detection
from nas.tasks import Exporting
from search_spaces import Arch, Block, Head, InputError, Stem, reference
from search_spaces.detection import DetectorError, ssdlite

LEFT, RIGHT = (0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9)


def data_of(*images: list[tuple[int, tuple[float, float, float, float], bool]], side: int = 64) -> DetectionData:
    """Images, each with (label, box, difficult) of what is in it, of classes a and b; the last one validates."""
    pixels = np.zeros((len(images), side, side, 3), np.uint8)
    for index, objects in enumerate(images):
        for label, box, _ in objects:
            xmin, ymin, xmax, ymax = (round(side * value) for value in box)
            pixels[index, ymin:ymax, xmin:xmax, label] = 255
    return DetectionData(
        images=pixels,
        boxes=tuple(np.array([box for _, box, _ in of], np.float32).reshape(-1, 4) for of in images),
        labels=tuple(np.array([label for label, _, _ in of], np.int64) for of in images),
        difficult=tuple(np.array([hard for _, _, hard in of], np.bool_) for of in images),
        train=np.arange(len(images) - 1),
        validation=np.array([len(images) - 1]),
        classes=("a", "b"),
        name="squares",
    )


def found(*rows: tuple[int, tuple[float, float, float, float], float]) -> Found:
    return Found(
        torch.tensor([box for _, box, _ in rows]).reshape(-1, 4),
        torch.tensor([score for _, _, score in rows]),
        torch.tensor([label for label, _, _ in rows], dtype=torch.int64),
    )


def scores(data: DetectionData, detection: Found) -> dict[str, float]:
    return mean_average_precision(data, [0], [detection])


def test_what_is_found_exactly_scores_one() -> None:
    data = data_of([(0, LEFT, False), (1, RIGHT, False)])
    exact = scores(data, found((0, LEFT, 0.9), (1, RIGHT, 0.3)))
    assert exact == pytest.approx({"mAP@0.5": 1, "mAP@[.5:.95]": 1, "AP@0.5 a": 1, "AP@0.5 b": 1})
    assert next(iter(exact)) == "mAP@0.5"


def test_the_mean_is_over_classes_and_a_missed_one_scores_zero() -> None:
    data = data_of([(0, LEFT, False), (1, RIGHT, False)])
    values = scores(data, found((0, LEFT, 0.9), (0, RIGHT, 0.8)))
    assert (values["mAP@0.5"], values["AP@0.5 a"], values["AP@0.5 b"]) == pytest.approx((0.5, 1.0, 0.0))


def test_a_surer_mistake_halves_the_precision() -> None:
    data = data_of([(0, LEFT, False)])
    assert scores(data, found((0, RIGHT, 0.9), (0, LEFT, 0.8)))["mAP@0.5"] == pytest.approx(0.5)
    assert scores(data, found((0, RIGHT, 0.7), (0, LEFT, 0.8)))["mAP@0.5"] == pytest.approx(1.0)


def test_a_box_that_is_off_counts_at_the_overlaps_that_it_reaches() -> None:
    data = data_of([(0, (0.0, 0.0, 0.5, 0.5), False)])
    values = scores(
        data, found((0, (0.0, 0.0, 0.5, 0.36), 0.9))
    )  # an overlap of 0.72: 0.5, 0.55, 0.6, 0.65, 0.7 of ten
    assert (values["mAP@0.5"], values["mAP@[.5:.95]"]) == pytest.approx((1.0, 0.5))


def test_classes_that_do_not_occur_and_difficult_boxes_are_not_scored() -> None:
    data = data_of([(0, LEFT, False), (0, RIGHT, True)])
    assert scores(data, found((0, LEFT, 0.9))) == pytest.approx({"mAP@0.5": 1, "mAP@[.5:.95]": 1, "AP@0.5 a": 1})


def test_nothing_found_scores_zero() -> None:
    assert scores(data_of([(0, LEFT, False)]), found())["mAP@0.5"] == 0


def squares() -> Detection:
    """A task of red and green squares of two sizes in several places."""
    places = [(0.1, 0.2), (0.5, 0.1), (0.4, 0.6), (0.2, 0.5), (0.6, 0.4), (0.3, 0.3), (0.15, 0.6), (0.5, 0.35)]
    images = [[(index % 2, (x, y, x + 0.3, y + 0.3), False)] for index, (x, y) in enumerate([*places, (0.35, 0.55)])]
    blocks = tuple(Block("conv", channels, 3, 2) for channels in (16, 24, 32, 40))
    arch = Arch("plain", 64, 2, Stem(8), blocks, Head(64))
    return Detection(ssdlite(arch, 2, width=0.25), data_of(*images), Views(0, 0.5, 0.0, 0.1))


def test_a_detector_learns_where_squares_are_and_of_which_colour() -> None:
    task = squares()
    torch.manual_seed(0)
    model = task.build()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    for batch in (task.batch(task.train, rng) for _ in range(60)):
        optimizer.zero_grad()
        task.loss(model.train(), batch).backward()
        optimizer.step()
    seen = replace(task, data=replace(task.data, validation=task.data.train))
    assert seen.evaluate(model)["mAP@0.5"] == pytest.approx(1.0)


def test_a_batch_holds_augmented_images_with_their_boxes_and_repeats_with_the_generator() -> None:
    task = squares()
    first, second = (task.batch(task.train[:4], np.random.default_rng(3)) for _ in range(2))
    images, (of_images, labels) = first
    assert (images.shape, images.dtype, len(of_images), len(labels)) == ((4, 3, 64, 64), torch.float32, 4, 4)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.equal(images, second[0])


def test_a_batch_of_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="a detector trains on 2 images or more at a time, got 1; raise --batch-size"):
        squares().batch(np.array([3]), np.random.default_rng(0))


def test_the_network_is_normalised_by_the_training_images() -> None:
    task = squares()
    pixels = task.data.images[task.data.train].reshape(-1, 3) / 255
    model = task.build()
    assert model.normalise.mean.flatten().tolist() == pytest.approx(pixels.mean(0).tolist(), abs=1e-4)
    assert model.normalise.std.flatten()[:2].tolist() == pytest.approx(pixels.std(0)[:2].tolist(), abs=1e-4)


def test_pictures_show_truth_and_detections_side_by_side() -> None:
    task = squares()
    (picture,) = task.pictures(task.build(), 5)  # there is one validation image
    assert picture.size == (2 * 64 + 4, 64)
    left, top = round(0.35 * 64), round(0.55 * 64)
    blank, drawn = picture.getpixel((left + 68, top + 10)), picture.getpixel((left, top + 10))
    assert blank == (255, 0, 0)
    assert drawn != blank  # the true box's edge


def test_the_task_exports_its_network(tmp_path: Path) -> None:
    task = squares()
    assert isinstance(task, Exporting)
    assert task.export(task.build(), tmp_path / "net.onnx") < 1e-4


def test_a_description_says_what_it_takes_to_build_the_network_again() -> None:
    about = squares().describe()
    assert (about["classes"], about["resolution"], about["detector"]["tap"]) == (["a", "b"], 64, 3)
    assert about["arch"]["blocks"][3]["stride"] == 2


def test_a_detector_for_other_data_is_refused() -> None:
    task = squares()
    with pytest.raises(
        InputError, match="the detector is for 64 px and 3 classes, and the data have 64 px and 2 classes"
    ):
        Detection(ssdlite(task.detector.backbone, 3), task.data)


def test_a_network_that_does_not_fit_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="images of 32 pixels a side are too small"):
        open_detection(reference("mobilenet_v3_small", resolution=32), tmp_path / "none")
