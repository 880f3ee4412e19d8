"""Other views of an image and its boxes: a part of it, its mirror image, other light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Boxes = NDArray[np.float32]  # (n, 4), corners as shares of the image's sides
_TRIES = 20
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Views:
    """How views differ from the image.

    ``crop``: the share of images of which a part is shown. ``least_side``: of it, as a share of the image's sides.
    ``jitter``: brightness, contrast and saturation change by up to this share.
    """

    crop: float = 0.7
    least_side: float = 0.5
    flip: float = 0.5
    jitter: float = 0.3


def view(
    image: NDArray[np.uint8], boxes: Boxes, views: Views, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Boxes, NDArray[np.int64]]:
    """Give another view of a square image, of the same size, its boxes, and which of the boxes given those are."""
    kept = np.arange(len(boxes))
    if rng.random() < views.crop and (window := choose_window(boxes, views.least_side, rng)) is not None:
        image = _shown(image, window)
        boxes, kept = cut(boxes, window)
    if rng.random() < views.flip:
        image, boxes = image[:, ::-1], flipped(boxes)
    return _relit(image, views.jitter, rng), boxes, kept


def choose_window(boxes: Boxes, least_side: float, rng: np.random.Generator) -> Boxes | None:
    """Choose a part of the image, (4,) by corners, with the middle of at least one box; None if none was found."""
    for _ in range(_TRIES):
        width, height = rng.uniform(least_side, 1, 2)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        window = np.array([left, top, left + width, top + height], np.float32)
        if len(boxes) == 0 or _inside(boxes, window).any():
            return window
    return None


def cut(boxes: Boxes, window: Boxes) -> tuple[Boxes, NDArray[np.int64]]:
    """Give the boxes whose middle is in a window (Liu et al. 2016, section 2.2), cut at its edges, as shares of it."""
    kept = np.flatnonzero(_inside(boxes, window))
    size = window[2:] - window[:2]
    within = (boxes[kept].reshape(-1, 2, 2) - window[:2]) / size
    return np.clip(within, 0, 1).reshape(-1, 4).astype(np.float32), kept


def flipped(boxes: Boxes) -> Boxes:
    """Give the boxes of the mirror image."""
    return np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], axis=1)


def _inside(boxes: Boxes, window: Boxes) -> NDArray[np.bool_]:
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((middle >= window[:2]) & (middle <= window[2:])).all(axis=1))


def _shown(image: NDArray[np.uint8], window: Boxes) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    left, top, right, bottom = (float(value) for value in window)
    pixels = (left * width, top * height, right * width, bottom * height)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=pixels))


def _relit(image: NDArray[np.uint8], most: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation, each by a random share."""
    brightness, contrast, saturation = (1 + rng.uniform(-most, most, 3)).astype(np.float32)
    pixels = image.astype(np.float32) * brightness
    grey = pixels @ _GREY  # (height, width)
    pixels = grey[..., None] + (pixels - grey[..., None]) * saturation
    middle = grey.mean()
    lit: NDArray[np.uint8] = np.clip(middle + (pixels - middle) * contrast, 0, 255).astype(np.uint8)
    return lit
