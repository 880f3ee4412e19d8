"""Bytes of an image file to a square of RGB pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# Part of the key of packed images: raise it when a change here gives other pixels.
DECODING_VERSION = 1


class BadImageError(Exception):
    """One file that gives no pixels; the message is the reason, without the file's name."""


def decode_image(data: bytes, resolution: int) -> NDArray[np.uint8]:
    """Decode to (resolution, resolution, 3): shorter side resized with antialias, centre crop.

    ``BadImageError`` if the bytes give no image. Turned as its EXIF orientation says. What is transparent becomes
    white, 16-bit grey keeps its upper 8 bits, and of several frames the first counts. Pillow's warnings are the
    caller's to silence: filters belong to the whole process.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise BadImageError(f"{image.width} x {image.height} pixels are more than {Image.MAX_IMAGE_PIXELS}")
            # JPEG can decode at a fraction of its size; twice the resolution leaves the antialiasing to the resize.
            image.draft(None, (2 * resolution, 2 * resolution))
            ImageOps.exif_transpose(image, in_place=True)
            return square(_to_rgb(image), resolution)
    except BadImageError:
        raise
    except UnidentifiedImageError as error:
        raise BadImageError("not an image in a known format") from error
    except Exception as error:  # decoders of damaged files raise anything: SyntaxError, struct.error, IndexError, ...
        raise BadImageError(" ".join(str(error).split()) or type(error).__name__) from error


def square(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """Resize the centre square of an image, with antialias: the same as resizing its shorter side, then cropping."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BILINEAR, box=box))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # I;16, I;16B, I;16L, and I, in which Pillow gives some 16-bit PNG and PGM files
        levels = np.clip(np.asarray(image), 0, 65535) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise BadImageError("its pixels are floats, of which no range is known; save it as 8-bit")
    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        return Image.alpha_composite(white, pixels).convert("RGB")
    return image.convert("RGB")
