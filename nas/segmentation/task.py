"""Segmentation as a task: images with masks, a network's logits for every pixel, mean intersection over union."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from nas.export import check_onnx
from nas.pixels import normalisation, to_floats
from nas.segmentation.augment import IGNORED, training_view
from nas.segmentation.data import SegmentationData
from nas.segmentation.export import export_segmenter
from nas.segmentation.metrics import confusion, metrics
from nas.segmentation.model import SegmentationNetwork, build_segmenter
from nas.segmentation.pictures import class_colours, side_by_side
from nas.tasks import Batch, evenly
from search_spaces import InputError, arch_to_dict
from search_spaces.segmentation import Segmenter

_EVALUATION_BATCH = 8
_CHECKED_IMAGES = 8
_SEGMENTER_FIELDS = ("head", "filters", "output_stride", "reduced", "variant")


@dataclass(frozen=True, slots=True)
class Options:
    """What a segmentation's training can vary beside its schedule.

    ``dropout``: before R-ASPP's classifier. ``scales``: between which images are scaled. ``crop``: the share of the
    images' height and width that a training view has.
    """

    dropout: float = 0.1
    scales: tuple[float, float] = (0.5, 2.0)
    crop: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise InputError(f"the crop must be above 0 and at most 1, the images' own sides, got {self.crop:g}")


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A `nas.tasks.Task`: ``segmenter`` has the size and the classes of ``data``."""

    segmenter: Segmenter
    data: SegmentationData
    options: Options = Options()

    name: ClassVar[str] = "segmentation"

    def __post_init__(self) -> None:
        wanted = (*self.data.size, len(self.data.classes))
        given = (self.segmenter.height, self.segmenter.width, self.segmenter.classes)
        if wanted != given:
            raise InputError(
                f"the segmenter is for {given[0]}x{given[1]} pixels and {given[2]} classes, and the data have "
                f"{wanted[0]}x{wanted[1]} pixels and {wanted[2]} classes; give it theirs"
            )

    @property
    def crop(self) -> tuple[int, int]:
        """The height and width of a training view, in pixels."""
        least = 2 * self.segmenter.output_stride
        height, width = (max(least, round(side * self.options.crop)) for side in self.data.size)
        return height, width

    def build(self) -> SegmentationNetwork:
        """Give a network with fresh weights and the training images' mean and deviation."""
        model = build_segmenter(self.segmenter, dropout=self.options.dropout)
        model.normalise.load_state_dict(normalisation(self.data.images, self.data.train))
        return model

    @property
    def train(self) -> NDArray[np.int64]:
        """The training images' numbers."""
        return self.data.train

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Give training images and masks: scaled, cropped and mirrored."""
        fill = self.data.images[self.data.train[0]].mean((0, 1)).astype(np.uint8)  # near what normalises to 0
        pairs = zip(self.data.images[chosen], self.data.masks(chosen), strict=True)
        views = [training_view(image, mask, self.crop, self.options.scales, fill, rng) for image, mask in pairs]
        images, masks = (np.stack(part) for part in zip(*views, strict=True))
        return to_floats(images, torch.device("cpu")), torch.from_numpy(masks.astype(np.int64))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Give the cross-entropy, averaged over the pixels that have a label."""
        images, masks = batch
        total = F.cross_entropy(model(images), masks, ignore_index=IGNORED, reduction="sum")
        labelled = (masks != IGNORED).sum().clamp(min=1)  # a view may have no labelled pixel
        loss: Tensor = total / labelled
        return loss

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation images at full size, all pixels together."""
        classes = self.data.classes
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        for part in np.array_split(self.data.validation, -(-len(self.data.validation) // _EVALUATION_BATCH)):
            matrix += confusion(self.data.masks(part), predict(model, self.data.images[part]), len(classes))
        return metrics(matrix, classes)

    def pictures(self, model: nn.Module, count: int) -> list[Image.Image]:
        """Draw validation images, evenly chosen: the image, its mask, the predicted mask."""
        colours = class_colours(len(self.data.classes))
        drawn = []
        for index in evenly(self.data.validation, count):
            images = self.data.images[[index]]
            drawn.append(side_by_side(images[0], self.data.masks(index), predict(model, images)[0], colours))
        return drawn

    def describe(self) -> dict[str, Any]:
        """Give what it takes to build the network again."""
        segmenter = {name: getattr(self.segmenter, name) for name in _SEGMENTER_FIELDS}
        return {
            "arch": arch_to_dict(self.segmenter.backbone),
            "classes": list(self.data.classes),
            "resolution": list(self.data.size),
            "segmenter": segmenter,
            "data": self.data.name,
            "options": asdict(self.options),
        }

    def export(self, model: nn.Module, path: Path) -> float:
        """Write the network as ONNX; give the largest difference of a logit on validation images."""
        assert isinstance(model, SegmentationNetwork)  # build gave it
        export_segmenter(model, path)
        return check_onnx(model, path, self.data.images[self.data.validation[:_CHECKED_IMAGES]])


def predict(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the most likely class of every pixel of images, (count, height, width, 3)."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        taken: NDArray[np.uint8] = model.eval()(to_floats(images, device)).argmax(1).to(torch.uint8).cpu().numpy()
    return taken
