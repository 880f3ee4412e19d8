"""Images with a mask each, as arrays of one size, decoded once into a file."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nas.data.decode import BadImageError
from nas.data.load import image_cache, refuse_skipped
from nas.data.pack import Decoding, packed
from nas.data.sources import Source, SourceFile, open_source
from nas.segmentation.augment import IGNORED
from nas.segmentation.layout import Layout, find_layout
from search_spaces import InputError

_LABEL_MODES = ("1", "L", "P")  # what has a label of 8 bits a pixel
_UNSCORED_NAMES = ("ignore", "unlabeled", "unlabelled", "void")  # in classes.txt
_FRAME = 128  # grey around an image of another shape


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationData:
    """Hold one data set at one size; ``images`` and ``labels`` are views of a memory-mapped file.

    ``numbers`` gives for each label the index into ``classes``, or ``IGNORED``; `masks` has it applied.
    """

    images: NDArray[np.uint8]  # (count, height, width, 3)
    labels: NDArray[np.uint8]  # (count, height, width)
    train: NDArray[np.int64]  # indices into images, ascending
    validation: NDArray[np.int64]  # indices into images, ascending; no index is in both
    classes: tuple[str, ...]
    name: str
    numbers: NDArray[np.uint8] = field(default_factory=lambda: np.arange(256, dtype=np.uint8))  # (256,)

    def masks(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give masks, (count, height, width), of indices into ``classes``, or ``IGNORED``."""
        masks: NDArray[np.uint8] = self.numbers[self.labels[chosen]]
        return masks

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
    skip_bad: bool = False,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = print,
) -> SegmentationData:
    """Load images and masks whose shorter side becomes ``resolution`` pixels, split as the set says or by ``seed``.

    The first image gives the shape; others are fitted into it. Labels in ``ignored``, 255, and those that
    ``classes.txt`` calls void are neither learned nor scored; the rest are numbered anew without gaps. With
    ``skip_bad`` images that can't be decoded, or don't go with their mask, are left out, and ``note`` is told; else
    they raise ``InputError``.
    """
    with open_source(path) as source:
        layout = find_layout(source)
        size = _size(source, layout.images, resolution)
        pairs = list(zip(layout.images, layout.masks, strict=True))
        pack = packed(source, pairs, _pairs(size), image_cache(cache_dir), on_progress)
    if not skip_bad:
        refuse_skipped(pack.skipped, path, len(pairs))
    for item in pack.skipped:
        note(f"left out {item.name}: {item.reason}")
    left_out = {item.name for item in pack.skipped}
    kept = [index for index, image in enumerate(layout.images) if image.key not in left_out]
    train, validation = _split(layout, kept, seed, validation_share)
    pixels = size[0] * size[1]
    images = pack.images[:, : 3 * pixels].reshape(-1, *size, 3)
    masks = pack.images[:, 3 * pixels :].reshape(-1, *size)
    present = np.array([np.bincount(mask.reshape(-1), minlength=256) > 0 for mask in masks])  # (count, 256)
    labels = _scored_labels(np.logical_or.reduce(present[train]), layout.classes, ignored, path)
    _check_known(present, labels, _unscored(layout.classes, ignored), [layout.masks[index].key for index in kept], path)
    numbers = np.full(256, IGNORED, np.uint8)
    numbers[labels] = np.arange(len(labels))
    names = layout.classes or [f"class {label}" for label in range(256)]
    classes = tuple(names[label] for label in labels)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return SegmentationData(images, masks, train, validation, classes, name, numbers)


def _pairs(size: tuple[int, int]) -> Decoding:
    """Decode an image and its mask to their bytes, one after the other: both are whole arrays then, mapped apart."""

    def decode(number: int, data: Sequence[bytes]) -> NDArray[np.uint8]:
        picture = _opened(data[0])
        try:
            labels = _opened(data[1])
        except BadImageError as error:
            raise BadImageError(f"its mask: {error}") from error
        if picture.size != labels.size:
            told = [f"{width}x{height}" for width, height in (picture.size, labels.size)]
            raise BadImageError(f"it has {told[0]} pixels, and its mask {told[1]}; they must be of one size")
        if labels.mode not in _LABEL_MODES:
            raise BadImageError(
                f"its mask has pixels of mode {labels.mode}; a mask has one label a pixel, from 0 to 255: save it as "
                "grey levels or with a palette"
            )
        fitted = _fitted(picture.convert("RGB"), size, _FRAME), _fitted(labels, size, IGNORED)
        return np.concatenate([part.reshape(-1) for part in fitted])

    return Decoding("pairs", f"{size[0]}x{size[1]} px", (4 * size[0] * size[1],), decode)


def _fitted(image: Image.Image, size: tuple[int, int], frame: int) -> NDArray[np.uint8]:
    """Scale an image into (height, width); what its shape leaves over at the right and below is framed."""
    scale = min(size[0] / image.height, size[1] / image.width)
    inside = (min(size[1], round(image.width * scale)), min(size[0], round(image.height * scale)))
    how = Image.Resampling.BILINEAR if image.mode == "RGB" else Image.Resampling.NEAREST
    pixels = np.asarray(image.resize(inside, how), np.uint8)
    result = np.full((*size, *pixels.shape[2:]), frame, np.uint8)
    result[: pixels.shape[0], : pixels.shape[1]] = pixels
    return result


def _size(source: Source, files: Sequence[SourceFile], resolution: int) -> tuple[int, int]:
    """Give the height and width that all images get: the shape of the first that can be decoded."""
    if resolution < 1:
        raise InputError(f"the resolution must be at least 1 pixel, got {resolution}")
    for file in files:
        with contextlib.suppress(BadImageError):
            image = _opened(source.read(file))
            scale = resolution / min(image.size)
            return round(image.height * scale), round(image.width * scale)
    raise InputError(f"none of the {len(files)} images in {source.path} can be decoded; give JPEG or PNG files")


def _opened(data: bytes) -> Image.Image:
    """Decode a file; ``BadImageError`` for all that goes wrong with it."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except UnidentifiedImageError as error:
        raise BadImageError("not an image in a known format") from error
    except Exception as error:  # decoders of damaged files raise anything
        raise BadImageError(" ".join(str(error).split()) or type(error).__name__) from error
    return image


def _split(layout: Layout, kept: Sequence[int], seed: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the places in ``kept`` of both parts: those that the set lists, else some drawn by the seed."""
    if layout.train is not None and layout.validation is not None:
        places = {layout.names[index]: place for place, index in enumerate(kept)}
        listed = [
            sorted({places[name] for name in part if name in places}) for part in (layout.train, layout.validation)
        ]
        return np.array(listed[0], np.int64), np.array(listed[1], np.int64)
    if not 0 < share < 1:
        raise InputError(f"the share of validation images must be between 0 and 1, got {share}")
    count = len(kept)
    if count < 2:
        raise InputError("one image is too few: at least one to train with and one to validate with are needed")
    held_out = min(max(round(count * share), 1), count - 1)
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _scored_labels(
    present: NDArray[np.bool_], classes: Sequence[str] | None, ignored: Sequence[int], path: Path
) -> list[int]:
    """List the labels that are classes: those that are named, else those ``present``, (256,), in training masks."""
    if classes is None:
        labels = [int(label) for label in np.flatnonzero(present)]
    else:
        labels = [label for label, name in enumerate(classes) if name.lower() not in _UNSCORED_NAMES]
    labels = [label for label in labels if label not in (IGNORED, *ignored)]
    if len(labels) < 2:
        raise InputError(
            f"{path} has {len(labels)} class(es) beside what is ignored (labels {_listed(labels)}); at least two are "
            "needed"
        )
    return labels


def _check_known(
    present: NDArray[np.bool_], labels: Sequence[int], unscored: Sequence[int], masks: Sequence[str], path: Path
) -> None:
    """Raise ``InputError`` for a label in a mask that is neither a class nor ignored; ``present`` is (count, 256)."""
    strange = present.copy()
    strange[:, [*labels, *unscored]] = False
    if strange.any():
        index, label = np.argwhere(strange)[0]
        raise InputError(
            f"mask {masks[index]!r} in {path} has the unknown label {label}; known are {_listed(labels)}, "
            f"and ignored {_listed(unscored)}: mend the mask, or ignore the label"
        )


def _unscored(classes: Sequence[str] | None, ignored: Sequence[int]) -> list[int]:
    """List the labels that are neither learned nor scored."""
    named = [label for label, name in enumerate(classes or ()) if name.lower() in _UNSCORED_NAMES]
    return sorted({*named, *ignored, IGNORED})


def _listed(labels: Sequence[int]) -> str:
    return ", ".join(map(str, labels)) or "none"
