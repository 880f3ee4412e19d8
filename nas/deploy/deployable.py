"""What exporting asks of a trained network of each task: its Ops, its images, its files, its outputs and its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.classification import Classification
from nas.deploy.intervals import Interval, bootstrap, wilson
from nas.deploy.tflite import export_tflite
from nas.detection.evaluation import mean_average_precision
from nas.detection.export import BOXES, DECODING, export_detector
from nas.detection.model import DetectionNetwork
from nas.detection.suppression import Found, detections
from nas.detection.task import Detection
from nas.export import export_onnx
from nas.network import Network
from nas.pixels import to_floats
from nas.segmentation.export import export_segmenter
from nas.segmentation.metrics import confusion, metrics
from nas.segmentation.model import SegmentationNetwork
from nas.segmentation.task import Segmentation, predict
from nas.tasks import Task, evenly
from search_spaces import Op
from search_spaces.detection import detection_ops
from search_spaces.segmentation import segmentation_ops

_BATCH = 16  # images of detection that are scored at once


class Images(Protocol):
    """The images of a task, as its network sees them, (count, height, width, 3), and which of them are for what."""

    @property
    def images(self) -> NDArray[np.uint8]: ...

    @property
    def train(self) -> NDArray[np.int64]: ...

    @property
    def validation(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics in fractions, the figure of merit first, and that one's 95 % interval where it is known."""

    metrics: dict[str, float]
    interval: Interval | None


class Deployable(Protocol):
    """A trained network, on the CPU and in evaluation mode, with the task that it was trained for."""

    @property
    def task(self) -> Task: ...

    @property
    def model(self) -> nn.Module: ...

    @property
    def data(self) -> Images: ...

    def ops(self) -> list[Op]:
        """Give the whole network as Ops."""
        ...

    def write_onnx(self, path: Path, quantisable: bool) -> None:
        """Write the network as ONNX, float32; ``quantisable`` as in `nas.export`."""
        ...

    def stays_float(self, node: str) -> bool:
        """Tell whether an int8 copy computes a node of that file in float."""
        ...

    def outputs(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Give by torch what the files give; ``pixels``: floats in [0, 1], (batch, 3, height, width)."""
        ...

    def scores(self, module: nn.Module) -> Scores:
        """Score the network, or one of its files as a module, on the validation images."""
        ...


@runtime_checkable
class WritesTflite(Protocol):
    """A network that can be written as TFLite."""

    def write_tflite(self, path: Path) -> None:
        """Write the network as TFLite, float32; ``InputError`` if ai-edge-litert is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class DeployableClassifier:
    """A classifier; the interval of its accuracy is Wilson's."""

    task: Classification
    model: Network

    @property
    def data(self) -> Images:
        return self.task.data

    def ops(self) -> list[Op]:
        return self.model.ops

    def write_onnx(self, path: Path, quantisable: bool) -> None:
        export_onnx(self.model, path, quantisable)

    def write_tflite(self, path: Path) -> None:
        export_tflite(self.model, path)

    def stays_float(self, node: str) -> bool:
        return False

    def outputs(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return (self.model(pixels),)

    def scores(self, module: nn.Module) -> Scores:
        found = self.task.evaluate(module)
        return Scores(found, wilson(found["accuracy"], len(self.data.validation)))


@dataclass(frozen=True, slots=True)
class DeployableDetector:
    """A detector; drawing images anew would cost an evaluation each time, so its precision has no interval."""

    task: Detection
    model: DetectionNetwork

    @property
    def data(self) -> Images:
        return self.task.data

    def ops(self) -> list[Op]:
        return detection_ops(self.task.detector)

    def write_onnx(self, path: Path, quantisable: bool) -> None:
        export_detector(self.model, path, quantisable)

    def stays_float(self, node: str) -> bool:
        return node == BOXES or node.startswith(DECODING)  # 256 steps would blur where a box is

    def outputs(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self.model.predict(pixels)

    def scores(self, module: nn.Module) -> Scores:
        if module is self.model:
            return Scores(self.task.evaluate(module), None)
        found, indices = list[Found](), self.data.validation
        for start in range(0, len(indices), _BATCH):
            found += detections(*module(pixels_of(self.data.images[indices[start : start + _BATCH]])))
        return Scores(mean_average_precision(self.task.data, indices, found), None)


@dataclass(frozen=True, slots=True)
class DeployableSegmenter:
    """A segmentation network; the interval of its mIOU is from drawing the images anew."""

    task: Segmentation
    model: SegmentationNetwork

    @property
    def data(self) -> Images:
        return self.task.data

    def ops(self) -> list[Op]:
        return segmentation_ops(self.task.segmenter)

    def write_onnx(self, path: Path, quantisable: bool) -> None:
        export_segmenter(self.model, path, quantisable)

    def stays_float(self, node: str) -> bool:
        return False

    def outputs(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return (self.model(pixels),)

    def scores(self, module: nn.Module) -> Scores:
        data, classes = self.task.data, self.task.data.classes
        matrices = np.stack(
            [
                confusion(data.masks(index), predict(module, data.images[[index]])[0], len(classes))
                for index in data.validation
            ]
        )
        interval = bootstrap(matrices, lambda matrix: metrics(matrix, classes)["mIOU"])
        return Scores(self.task.evaluate(module), interval)


def deployable(task: Task, model: nn.Module) -> Deployable:
    """Join a task and its trained network."""
    match task, model:
        case Classification(), Network():
            return DeployableClassifier(task, model)
        case Detection(), DetectionNetwork():
            return DeployableDetector(task, model)
        case Segmentation(), SegmentationNetwork():
            return DeployableSegmenter(task, model)
    raise TypeError(f"a {type(task).__name__} task has no {type(model).__name__} to export")


def spread(data: Images, indices: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Give at most so many of these images, evenly chosen."""
    chosen: NDArray[np.uint8] = data.images[evenly(np.asarray(indices), count)]
    return chosen


def pixels_of(images: NDArray[np.uint8]) -> Tensor:
    """Turn bytes, (count, height, width, 3), into floats in [0, 1], (count, 3, height, width)."""
    return to_floats(images, torch.device("cpu")).contiguous()
