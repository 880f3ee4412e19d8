"""Classification as a task: packed images, a network's logits, top-1 accuracy."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional as F

from nas.data import ImageData
from nas.export import check_onnx, export_onnx
from nas.inception import inception_views
from nas.network import Network, build
from nas.pixels import normalisation, to_floats
from nas.tasks import Batch, evenly
from nas.training import accuracy, augment
from search_spaces import Arch, InputError, arch_to_dict

_PICTURE_SIDE, _CAPTION_HEIGHT = 160, 18  # pixels
_RIGHT, _WRONG = "#17457c", "#c2410c"
_CHECKED_IMAGES = 32


@dataclass(frozen=True, slots=True)
class Options:
    """What a classification's training can vary beside its schedule.

    ``crop_padding``: images are shifted by up to so many pixels. ``flip``: half of them are mirrored. ``least_area``:
    of a task with ``stored`` images, which are not shifted.
    """

    label_smoothing: float = 0.1
    dropout: float = 0.0
    crop_padding: int = 4
    flip: bool = True
    least_area: float = 0.08


@dataclass(frozen=True, slots=True)
class Classification:
    """A `nas.tasks.Task`: ``arch`` has the resolution and the classes of ``data``.

    ``stored``, (count, side, side, 3): the images with their borders, for Inception's views (`nas.inception`); ``data``
    then has their middle.
    """

    arch: Arch
    data: ImageData
    options: Options = Options()
    stored: NDArray[np.uint8] | None = None

    name: ClassVar[str] = "classification"

    def __post_init__(self) -> None:
        wanted, given = (self.data.resolution, len(self.data.classes)), (self.arch.resolution, self.arch.classes)
        if wanted != given:
            raise InputError(
                f"network {self.arch.name!r} is for {given[0]} px and {given[1]} classes, and the data have "
                f"{wanted[0]} px and {wanted[1]} classes; adapt it with proxy_arch"
            )

    def build(self) -> Network:
        """Give a network with fresh weights and the training images' mean and deviation."""
        model = build(self.arch, dropout=self.options.dropout)
        model.normalise.load_state_dict(normalisation(self.data.images, self.data.train))
        return model

    @property
    def train(self) -> NDArray[np.int64]:
        """The training images' numbers."""
        return self.data.train

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Give views of training images, and their labels."""
        labels = self.data.labels[chosen]
        if self.stored is not None:
            side, area = self.data.resolution, self.options.least_area
            return inception_views(self.stored[chosen], side, area, self.options.flip, rng), torch.from_numpy(labels)
        images = augment(self.data.images[chosen], self.options.crop_padding, self.options.flip, rng)
        return to_floats(images, torch.device("cpu")), torch.from_numpy(labels)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Give the mean cross-entropy, with label smoothing (Szegedy et al. 2016, section 7)."""
        images, labels = batch
        return F.cross_entropy(model(images), labels, label_smoothing=self.options.label_smoothing)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Give the share of the validation images that is classified correctly."""
        return {"accuracy": accuracy(model, self.data, self.data.validation)}

    def pictures(self, model: nn.Module, count: int) -> list[Image.Image]:
        """Draw validation images, evenly chosen, each with what it is taken for and what it is."""
        chosen = evenly(self.data.validation, count)
        device = next(model.parameters()).device
        with torch.inference_mode():
            taken_for = model.eval()(to_floats(self.data.images[chosen], device)).argmax(1)
        return [
            self._picture(self.data.images[index], int(guess), int(label))
            for index, guess, label in zip(chosen, taken_for, self.data.labels[chosen], strict=True)
        ]

    def _picture(self, pixels: np.ndarray[Any, np.dtype[np.uint8]], guess: int, label: int) -> Image.Image:
        picture = Image.new("RGB", (_PICTURE_SIDE, _PICTURE_SIDE + _CAPTION_HEIGHT), "white")
        picture.paste(Image.fromarray(pixels).resize((_PICTURE_SIDE, _PICTURE_SIDE)))
        classes, right = self.data.classes, guess == label
        caption = classes[guess] if right else f"{classes[guess]}, is {classes[label]}"
        ImageDraw.Draw(picture).text((2, _PICTURE_SIDE + 3), caption, fill=_RIGHT if right else _WRONG)
        return picture

    def describe(self) -> dict[str, Any]:
        """Give what it takes to build the network again, and which data it was trained on."""
        return {
            "arch": arch_to_dict(self.arch),
            "classes": list(self.data.classes),
            "resolution": self.data.resolution,
            "data": self.data.name,
            "fingerprint": self.data.fingerprint,
            "options": asdict(self.options),
            "views": "shift" if self.stored is None else "inception",
        }

    def export(self, model: nn.Module, path: Path) -> float:
        """Write the network as ONNX; give the largest difference of a logit on validation images."""
        assert isinstance(model, Network)  # build gave it
        export_onnx(model, path)
        return check_onnx(model, path, self.data.images[self.data.validation[:_CHECKED_IMAGES]])
