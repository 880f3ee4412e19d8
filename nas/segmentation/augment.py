"""Training views of an image and its mask: scaled by .5 to 2, cropped, mirrored (Chen et al. 2017, section 4.1)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IGNORED = 255  # the label of pixels that are neither learned nor scored

_Pixels = NDArray[np.uint8]


def training_view(
    image: _Pixels,
    mask: _Pixels,
    size: tuple[int, int],
    scales: tuple[float, float],
    fill: _Pixels,
    rng: np.random.Generator,
) -> tuple[_Pixels, _Pixels]:
    """Give a part of an image, (height, width, 3), and its mask, scaled to fit ``size``, (height, width).

    The scale is drawn evenly from ``scales``. Where the scaled image is smaller than the crop it lies somewhere in it,
    around it the colour ``fill``, (3,), and the label ``IGNORED``.
    """
    scale = float(rng.uniform(*scales))
    spans = [_span(length, side, scale, rng) for length, side in zip(image.shape[:2], size, strict=True)]
    (top, bottom), (left, right) = spans[0][:2], spans[1][:2]
    inside = (spans[0][2], spans[1][2])  # height and width of the view within the crop
    box = (left, top, right, bottom)
    view = np.empty((*size, 3), np.uint8)
    view[:] = fill
    labels = np.full(size, IGNORED, np.uint8)
    row, column = (int(rng.integers(0, side - part + 1)) for side, part in zip(size, inside, strict=True))
    place = (slice(row, row + inside[0]), slice(column, column + inside[1]))
    view[place] = _resized(image, inside, box, Image.Resampling.BILINEAR)
    labels[place] = _resized(mask, inside, box, Image.Resampling.NEAREST)
    if rng.random() < 0.5:
        return view[:, ::-1], labels[:, ::-1]
    return view, labels


def _span(length: int, side: int, scale: float, rng: np.random.Generator) -> tuple[float, float, int]:
    """Choose what part of an image's side is seen: from, to, and how many pixels it becomes."""
    seen = min(length, side / scale)
    first = float(rng.uniform(0, length - seen))
    return first, first + seen, max(1, min(side, round(seen * scale)))


def _resized(
    pixels: _Pixels, size: tuple[int, int], box: tuple[float, float, float, float], how: Image.Resampling
) -> NDArray[Any]:
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how, box=box))
