"""The embedded data set: 1,797 real handwritten digits of 8 x 8 pixels (UCI, Alpaydin and Kaynak 1998)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas.data.decode import square

CLASSES = tuple("0123456789")


def load_digits(resolution: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give images (1797, resolution, resolution, 3), grey as RGB, and labels (1797,)."""
    from sklearn import datasets  # type: ignore[import-untyped, unused-ignore]  # takes a second to import

    digits = datasets.load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), levels 0 to 16
    images = np.stack([square(Image.fromarray(image).convert("RGB"), resolution) for image in grey])
    images.flags.writeable = False
    return images, digits.target.astype(np.int64)
