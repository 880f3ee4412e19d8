"""Detection as a task: a `Detector`, images with boxes, mean average precision."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from nas.detection.anchors import fitted_min_scale
from nas.detection.augment import Views, view
from nas.detection.data import DetectionData, Note, load_detection
from nas.detection.evaluation import mean_average_precision
from nas.detection.export import check_detector, export_detector
from nas.detection.losses import detection_loss
from nas.detection.model import DetectionNetwork, build_detector
from nas.detection.pictures import side_by_side
from nas.detection.suppression import Found, detections
from nas.pixels import normalisation, to_floats
from nas.tasks import Batch, evenly
from search_spaces import Arch, InputError, arch_to_dict
from search_spaces.detection import Detector, ssdlite

_EVALUATION_BATCH = 16
_CHECKED_IMAGES = 8
_SHOWN_SCORE = 0.3  # in pictures; the scores count every box
_LEAST_BATCH = 2  # a batch norm learns nothing from the last map's one pixel of one image


@dataclass(frozen=True, slots=True)
class Detection:
    """A `nas.tasks.Task`: the detector has the resolution and the classes of ``data``."""

    detector: Detector
    data: DetectionData
    views: Views = field(default_factory=Views)

    name: ClassVar[str] = "detection"

    def __post_init__(self) -> None:
        wanted = self.data.resolution, len(self.data.classes)
        given = self.detector.backbone.resolution, self.detector.classes
        if wanted != given:
            raise InputError(
                f"the detector is for {given[0]} px and {given[1]} classes, and the data have {wanted[0]} px and "
                f"{wanted[1]} classes; make it for those"
            )

    def build(self) -> DetectionNetwork:
        """Give a network with fresh weights and the training images' mean and deviation."""
        model = build_detector(self.detector)
        model.normalise.load_state_dict(normalisation(self.data.images, self.data.train))
        return model

    @property
    def train(self) -> NDArray[np.int64]:
        """The training images' numbers."""
        return self.data.train

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Give views of training images, a list of their boxes and one of their labels."""
        if len(chosen) < _LEAST_BATCH:
            raise InputError(
                f"a detector trains on {_LEAST_BATCH} images or more at a time, got {len(chosen)}; raise --batch-size, "
                "or lower --accumulate or --workers"
            )
        images, boxes, labels = [], [], []
        for index in chosen:
            pixels, found, kept = view(self.data.images[index], self.data.boxes[index], self.views, rng)
            images.append(pixels)
            boxes.append(torch.from_numpy(found))
            labels.append(torch.from_numpy(self.data.labels[index][kept]))
        return to_floats(np.stack(images), torch.device("cpu")), (boxes, labels)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Give focal and box loss of a batch."""
        images, (boxes, labels) = batch
        logits, codes = model(images)
        return detection_loss(logits, codes, boxes, labels, _detection_network(model).anchors)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Give mAP at an overlap of 0.5, mAP over 0.5 to 0.95, and AP at 0.5 of each class, on validation images."""
        return mean_average_precision(self.data, self.data.validation, self._found(model, self.data.validation))

    def pictures(self, model: nn.Module, count: int) -> list[Image.Image]:
        """Draw validation images, evenly chosen, with true boxes and with those found."""
        chosen = evenly(self.data.validation, count)
        return [self._picture(index, found) for index, found in zip(chosen, self._found(model, chosen), strict=True)]

    def _picture(self, index: int, found: Found) -> Image.Image:
        sure = found.scores >= _SHOWN_SCORE
        shown = (found.boxes[sure].cpu().numpy(), found.labels[sure].cpu().numpy(), found.scores[sure].cpu().numpy())
        truth = self.data.boxes[index], self.data.labels[index]
        return side_by_side(self.data.images[index], self.data.classes, truth, shown)

    def _found(self, model: nn.Module, indices: NDArray[np.int64]) -> list[Found]:
        network = _detection_network(model.eval())
        found: list[Found] = []
        with torch.inference_mode():
            for start in range(0, len(indices), _EVALUATION_BATCH):
                images = self.data.images[indices[start : start + _EVALUATION_BATCH]]
                found += detections(*network.predict(to_floats(images, network.anchors.device)))
        return found

    def describe(self) -> dict[str, Any]:
        """Give what it takes to build the network again, and which data it was trained on."""
        detector = {name: value for name, value in asdict(self.detector).items() if name not in ("backbone", "classes")}
        return {
            "arch": arch_to_dict(self.detector.backbone),
            "classes": list(self.data.classes),
            "resolution": self.data.resolution,
            "data": self.data.name,
            "detector": {**detector, "extras": list(self.detector.extras)},
            "options": asdict(self.views),
        }

    def export(self, model: nn.Module, path: Path) -> float:
        """Write the network as ONNX; give the largest difference of a logit or a box on validation images."""
        network = _detection_network(model)
        export_detector(network, path)
        chosen = self.data.images[self.data.validation[:_CHECKED_IMAGES]]
        return check_detector(network, path, to_floats(chosen, torch.device("cpu")))


def open_detection(
    arch: Arch,
    path: Path,
    *,
    min_scale: float | Literal["auto"] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    note: Note | None = None,
) -> Detection:
    """Load a folder or zip in Pascal VOC's layout, and put an SSDLite head for its classes behind a network.

    ``min_scale``: the smallest anchors', by default the published one; ``auto`` fits it to the training boxes. The
    network's strides are checked before the images are read. ``seed``: of the split, where the data have none.
    """
    checked = ssdlite(arch, classes=1)
    if isinstance(min_scale, float):
        replace(checked, min_scale=min_scale)
    data = load_detection(path, arch.resolution, seed=seed, skip_bad=skip_bad, on_progress=on_progress, note=note)
    detector = ssdlite(replace(arch, classes=len(data.classes)), len(data.classes))
    if min_scale == "auto":
        min_scale = fitted_min_scale(detector, _training_boxes(data))
        if note is not None:
            note(f"the smallest anchors' scale that fits the training boxes best: {min_scale:g}")
    return Detection(detector if min_scale is None else replace(detector, min_scale=min_scale), data)


def _training_boxes(data: DetectionData) -> list[Tensor]:
    """Give the boxes of each class, (n, 4) by corners."""
    boxes = np.concatenate([data.boxes[index] for index in data.train])
    labels = np.concatenate([data.labels[index] for index in data.train])
    return [torch.from_numpy(boxes[labels == label]) for label in range(len(data.classes))]


def _detection_network(model: nn.Module) -> DetectionNetwork:
    assert isinstance(model, DetectionNetwork)  # build gave it
    return model
