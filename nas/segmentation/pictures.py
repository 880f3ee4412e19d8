"""Pictures of masks: each class in a colour of its own."""

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GAP = 4  # pixels between the parts of a picture
_GOLDEN = 0.618034  # steps of this share of the colour circle never come near one another


def class_colours(classes: int) -> NDArray[np.uint8]:
    """Give a colour to each class and black to ignored pixels, (256, 3)."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(classes):
        hue, value = (index * _GOLDEN) % 1, 0.95 - 0.25 * (index % 3 == 2)
        colours[index] = np.round(np.array(colorsys.hsv_to_rgb(hue, 0.75, value)) * 255)
    return colours


def side_by_side(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], predicted: NDArray[np.uint8], colours: NDArray[np.uint8]
) -> Image.Image:
    """Draw an image, (height, width, 3), its mask and the predicted mask, (height, width) each, in a row."""
    height, width = truth.shape
    picture = Image.new("RGB", (3 * width + 2 * _GAP, height), "white")
    for place, pixels in enumerate((image, colours[truth], colours[predicted])):
        picture.paste(Image.fromarray(pixels), (place * (width + _GAP), 0))
    return picture
