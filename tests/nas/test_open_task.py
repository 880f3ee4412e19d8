"""`nas.open_task`: what a configuration asks for is what the task has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.detection import Detection
from nas.detection.anchors import fitted_min_scale
from nas.open_task import open_task
from nas.schedule import preset
from nas.segmentation import Segmentation
from nas.train_config import TrainConfig, train_config
from search_spaces import InputError, reference
from search_spaces.detection import DetectorError, ssdlite

BOX = """<annotation><size><width>64</width><height>64</height></size><object><name>dot</name><bndbox>
<xmin>{0}</xmin><ymin>{0}</ymin><xmax>{1}</xmax><ymax>{1}</ymax></bndbox></object></annotation>"""


def config(task: str, data: Path, **values: Any) -> TrainConfig:
    arch = reference("mobilenet_v3_small", 0.35, 64)
    fixed = {"arch": arch, "data": str(data), "task": task, "schedule": preset("small"), "threads": 1, "device": "cpu"}
    return train_config(fixed | values, "test")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Four images whose left half is of class 0 and right half of class 1."""
    labels = np.repeat(np.arange(2, dtype=np.uint8), 32)[None].repeat(64, 0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in "abcd":
            pixels = Image.fromarray(labels if folder == "masks" else labels * 200)
            pixels.save(tmp_path / folder / f"{name}.png")
    return tmp_path


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Four images with one box each, 8 of 64 pixels a side."""
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate("abcd"):
        Image.new("RGB", (64, 64), "grey").save(tmp_path / "JPEGImages" / f"{name}.jpg")
        (tmp_path / "Annotations" / f"{name}.xml").write_text(BOX.format(8 * index + 8, 8 * index + 16))
    return tmp_path


def test_a_segmentation_takes_its_options(masks: Path) -> None:
    task = open_task(config("segmentation", masks, head="raspp", filters=32, output_stride=32, crop=0.99))
    assert isinstance(task, Segmentation)
    assert (task.segmenter.head, task.segmenter.filters, task.segmenter.output_stride) == ("raspp", 32, 32)
    assert task.crop == (64, 64)  # 63 pixels would leave less than 2x2 at output stride 32
    usual = open_task(config("segmentation", masks))
    assert isinstance(usual, Segmentation)
    assert (usual.segmenter.head, usual.segmenter.filters, usual.segmenter.output_stride) == ("lraspp", 128, 16)


def test_a_detectors_smallest_anchors_are_those_asked_for_or_fit_the_boxes(boxes: Path) -> None:
    said: list[str] = []
    scales = []
    for wanted in (None, 0.3, "auto"):
        task = open_task(config("detection", boxes, min_scale=wanted), note=said.append)
        assert isinstance(task, Detection)
        scales.append(task.detector.min_scale)
    assert scales[:2] == [0.2, 0.3]
    assert scales[2] == 0.4  # boxes half-way between the 4 x 4 cells overlap large anchors only
    assert said == [f"the smallest anchors' scale that fits the training boxes best: {scales[2]:g}"]


def test_the_fitted_scale_makes_an_anchor_of_a_box_in_the_middle_of_a_cell() -> None:
    detector = ssdlite(reference("mobilenet_v3_small", 0.35, 320), 2)
    side = 0.08  # of the image, around the middle of the first map's cell at (10, 10) of 20 x 20
    middle = 10.5 / 20
    box = torch.tensor([[middle - side / 2, middle - side / 2, middle + side / 2, middle + side / 2]])
    assert fitted_min_scale(detector, [box, torch.zeros(0, 4)]) == 0.16  # its square anchor has half of that
    other = torch.tensor([[middle - 0.05, middle - 0.05, middle + 0.05, middle + 0.05]])
    assert fitted_min_scale(detector, [torch.cat([box] * 9), other, other]) == 0.2  # two classes against one


def test_scales_that_do_not_rise_are_refused_before_the_images_are_read(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"the anchors' scales must rise .* got 0.96 to 0.95"):
        open_task(config("detection", tmp_path / "none", min_scale=0.96))


def test_a_crop_of_more_than_the_image_is_refused(masks: Path) -> None:
    with pytest.raises(InputError, match="crop: input should be less than or equal to 1, got 2"):
        config("segmentation", masks, crop=2)


def test_options_of_other_tasks_are_refused(masks: Path) -> None:
    with pytest.raises(InputError, match="--crop is for --task segmentation; leave it away for detection"):
        config("detection", masks, crop=0.5)
    with pytest.raises(InputError, match="digits have no boxes and no masks; give --data PATH for detection"):
        config("detection", Path("digits"))
