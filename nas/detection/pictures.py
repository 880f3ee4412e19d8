"""Detections as pictures: an image with its true boxes, and beside it the same with those found."""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Boxes = NDArray[np.float32]  # (n, 4), corners as shares of the image's sides
_GAP, _LINE = 4, 2  # pixels


def side_by_side(
    image: NDArray[np.uint8],
    classes: Sequence[str],
    truth: tuple[Boxes, NDArray[np.int64]],
    found: tuple[Boxes, NDArray[np.int64], NDArray[np.float32]],
) -> Image.Image:
    """Draw the true boxes with their labels on the left, those found with their labels and scores on the right."""
    height, width = image.shape[:2]
    picture = Image.new("RGB", (2 * width + _GAP, height), "white")
    boxes, labels = truth
    picture.paste(drawn(image, classes, boxes, labels, [classes[label] for label in labels]))
    boxes, labels, scores = found
    words = [f"{classes[label]} {100 * score:.0f} %" for label, score in zip(labels, scores, strict=True)]
    picture.paste(drawn(image, classes, boxes, labels, words), (width + _GAP, 0))
    return picture


def drawn(
    image: NDArray[np.uint8], classes: Sequence[str], boxes: Boxes, labels: NDArray[np.int64], words: Sequence[str]
) -> Image.Image:
    """Draw boxes in the colours of their classes on an image, with a word or two at each."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for box, label, text in zip(boxes, labels, words, strict=True):
        colour = class_colour(int(label), len(classes))
        left, top, right, bottom = (
            round(float(value) * side) for value, side in zip(box, picture.size * 2, strict=True)
        )
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=_LINE)
        place = (left + _LINE, top + _LINE)
        draw.rectangle(draw.textbbox(place, text), fill=colour)
        draw.text(place, text, fill="white")
    return picture


def class_colour(label: int, classes: int) -> tuple[int, int, int]:
    """Give a class its colour: hues evenly apart, dark enough for white letters."""
    red, green, blue = colorsys.hsv_to_rgb(label / max(classes, 1), 0.85, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)
