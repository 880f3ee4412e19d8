"""Images with a mask each, as arrays of one size."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nas.data.decode import BadImageError
from nas.data.sources import Source, SourceFile, open_source
from nas.segmentation.augment import IGNORED
from nas.segmentation.layout import Layout, find_layout
from search_spaces import InputError

_LABEL_MODES = ("1", "L", "P")  # what has a label of 8 bits a pixel
_UNSCORED_NAMES = ("ignore", "unlabeled", "unlabelled", "void")  # in classes.txt
_FRAME = 128  # grey around an image of another shape


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationData:
    """Hold one data set at one size. Mask pixels are indices into ``classes``, or ``IGNORED``."""

    images: NDArray[np.uint8]  # (count, height, width, 3)
    masks: NDArray[np.uint8]  # (count, height, width)
    train: NDArray[np.int64]  # indices into images, ascending
    validation: NDArray[np.int64]  # indices into images, ascending; no index is in both
    classes: tuple[str, ...]
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Give the height and width of the images in pixels."""
        return int(self.images.shape[1]), int(self.images.shape[2])


def load_segmentation(
    path: Path,
    resolution: int,
    *,
    ignored: Sequence[int] = (),
    seed: int = 0,
    validation_share: float = 0.2,
    on_progress: Callable[[int, int], None] | None = None,
) -> SegmentationData:
    """Load images and masks whose shorter side becomes ``resolution`` pixels, split as the set says or by ``seed``.

    The first image gives the shape; others are fitted into it. Labels in ``ignored``, 255, and those that
    ``classes.txt`` calls void are neither learned nor scored; the rest are numbered anew without gaps.
    """
    with open_source(path) as source:
        layout = find_layout(source)
        size = _size(source, layout.images[0], resolution)
        images = np.empty((len(layout.names), *size, 3), np.uint8)
        masks = np.empty((len(layout.names), *size), np.uint8)
        for index, (image, mask) in enumerate(zip(layout.images, layout.masks, strict=True)):
            images[index], masks[index] = _pair(source, image, mask, size)
            if on_progress is not None:
                on_progress(index + 1, len(layout.names))
        train, validation = _split(layout, seed, validation_share)
        labels = _scored_labels(masks[train], layout.classes, ignored, path)
        masks = _renumbered(masks, labels, ignored, layout, path)
    names = layout.classes or [f"class {label}" for label in range(256)]
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return SegmentationData(images, masks, train, validation, tuple(names[label] for label in labels), name)


def _pair(
    source: Source, image: SourceFile, mask: SourceFile, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    picture, labels = _opened(source, image).convert("RGB"), _opened(source, mask)
    if picture.size != labels.size:
        told = [f"{width}x{height}" for width, height in (labels.size, picture.size)]
        raise InputError(
            f"mask {mask.key!r} has {told[0]} pixels, and its image has {told[1]}; they must be of one size"
        )
    if labels.mode not in _LABEL_MODES:
        raise InputError(
            f"mask {mask.key!r} has pixels of mode {labels.mode}; a mask has one label a pixel, from 0 to 255: "
            "save it as grey levels or with a palette"
        )
    return _fitted(picture, size, _FRAME), _fitted(labels, size, IGNORED)


def _fitted(image: Image.Image, size: tuple[int, int], frame: int) -> NDArray[np.uint8]:
    """Scale an image into (height, width); what its shape leaves over at the right and below is framed."""
    scale = min(size[0] / image.height, size[1] / image.width)
    inside = (min(size[1], round(image.width * scale)), min(size[0], round(image.height * scale)))
    how = Image.Resampling.BILINEAR if image.mode == "RGB" else Image.Resampling.NEAREST
    pixels = np.asarray(image.resize(inside, how), np.uint8)
    result = np.full((*size, *pixels.shape[2:]), frame, np.uint8)
    result[: pixels.shape[0], : pixels.shape[1]] = pixels
    return result


def _size(source: Source, first: SourceFile, resolution: int) -> tuple[int, int]:
    """Give the height and width that all images get."""
    if resolution < 1:
        raise InputError(f"the resolution must be at least 1 pixel, got {resolution}")
    image = _opened(source, first)
    scale = resolution / min(image.size)
    return round(image.height * scale), round(image.width * scale)


def _opened(source: Source, file: SourceFile) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd files that it reads nevertheless
            image = Image.open(io.BytesIO(source.read(file)))
            image.load()
    except UnidentifiedImageError as error:
        raise InputError(f"{file.key!r} in {source.path} is not an image in a known format; replace it") from error
    except (BadImageError, OSError, SyntaxError, ValueError) as error:  # Pillow's for damaged files
        reason = " ".join(str(error).split())
        raise InputError(f"{file.key!r} in {source.path} cannot be decoded: {reason}; replace it") from error
    return image


def _split(layout: Layout, seed: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the indices of both parts: those that the set lists, else some drawn by the seed."""
    if layout.train is not None and layout.validation is not None:
        places = {name: index for index, name in enumerate(layout.names)}
        listed = [sorted({places[name] for name in part}) for part in (layout.train, layout.validation)]
        return np.array(listed[0], np.int64), np.array(listed[1], np.int64)
    if not 0 < share < 1:
        raise InputError(f"the share of validation images must be between 0 and 1, got {share}")
    count = len(layout.names)
    if count < 2:
        raise InputError("one image is too few: at least one to train with and one to validate with are needed")
    held_out = min(max(round(count * share), 1), count - 1)
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _scored_labels(
    masks: NDArray[np.uint8], classes: Sequence[str] | None, ignored: Sequence[int], path: Path
) -> list[int]:
    """List the labels that are classes: those that are named, else those that occur in training masks."""
    if classes is None:
        labels = [int(label) for label in np.unique(masks)]
    else:
        labels = [label for label, name in enumerate(classes) if name.lower() not in _UNSCORED_NAMES]
    labels = [label for label in labels if label not in (IGNORED, *ignored)]
    if len(labels) < 2:
        raise InputError(
            f"{path} has {len(labels)} class(es) beside what is ignored (labels {_listed(labels)}); at least two are "
            "needed"
        )
    return labels


def _renumbered(
    masks: NDArray[np.uint8], labels: Sequence[int], ignored: Sequence[int], layout: Layout, path: Path
) -> NDArray[np.uint8]:
    table = np.full(256, IGNORED, np.uint8)
    table[list(labels)] = np.arange(len(labels))
    unscored = _unscored(layout.classes, ignored)
    known = {*labels, *unscored}
    for mask, file in zip(masks, layout.masks, strict=True):
        unknown = [int(label) for label in np.unique(mask) if label not in known]
        if unknown:
            raise InputError(
                f"mask {file.key!r} in {path} has the unknown label {unknown[0]}; known are {_listed(labels)}, and "
                f"ignored {_listed(unscored)}: mend the mask, or ignore the label"
            )
    return table[masks]


def _unscored(classes: Sequence[str] | None, ignored: Sequence[int]) -> list[int]:
    """List the labels that are neither learned nor scored."""
    named = [label for label, name in enumerate(classes or ()) if name.lower() in _UNSCORED_NAMES]
    return sorted({*named, *ignored, IGNORED})


def _listed(labels: Sequence[int]) -> str:
    return ", ".join(map(str, labels)) or "none"
