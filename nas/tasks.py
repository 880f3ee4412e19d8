"""`Task`: what the one training loop (`nas.fitting`) asks of classification, detection and segmentation."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

Batch = tuple[Tensor, Any]
"""Images, floats in [0, 1], (batch, 3, height, width), channels last in memory; and targets as the task likes."""


class Task(Protocol):
    """Data with the network that learns from it: builds, feeds, scores and shows it."""

    @property
    def name(self) -> str:
        """``classification``, ``detection`` or ``segmentation``."""
        ...

    def build(self) -> nn.Module:
        """Give a network with fresh weights from torch's global generator; the normalisation is part of it."""
        ...

    @property
    def train(self) -> NDArray[np.int64]:
        """The training images' numbers."""
        ...

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Give these training images, augmented; all that is random comes from ``rng``."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Give the training loss of a batch that is on the model's device."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Score the network on the validation images, in fractions; the first entry is the figure of merit."""
        ...

    def pictures(self, model: nn.Module, count: int) -> list[Image.Image]:
        """Draw what the network says of some validation images, for the report; none where that shows nothing."""
        ...

    def describe(self) -> dict[str, Any]:
        """Give, as plain data, what it takes to use a checkpoint again: classes, resolution, architecture, options."""
        ...


@runtime_checkable
class Exporting(Protocol):
    """A task that can write its network as an ONNX file."""

    def export(self, model: nn.Module, path: Path) -> float:
        """Write the network, on the CPU and in evaluation mode, to one file that takes batches of any size.

        Give the largest absolute difference between what torch and ONNX Runtime make of some validation images;
        ``RuntimeError`` if they compute something else.
        """
        ...


def evenly(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose some of them, or all if there are no more, as far apart as they can be."""
    chosen: NDArray[np.int64] = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)]
    return chosen


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to a device: its images, and every tensor in the tuples, lists and dicts of its targets."""
    images, targets = batch
    return images.to(device, non_blocking=True), _moved(targets, device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, list):
        return [_moved(item, device) for item in value]
    if isinstance(value, tuple):
        return tuple(_moved(item, device) for item in value)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    return value
