"""Every mode that a user's files come in becomes a square of RGB."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from nas.data.decode import BadImageError, decode_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, kind="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def one_colour(pixels):
    colours = {tuple(int(level) for level in pixel) for pixel in pixels.reshape(-1, 3)}
    assert len(colours) == 1, colours
    return colours.pop()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGB", (9, 9), (10, 20, 30)), (10, 20, 30)),
        (Image.new("L", (9, 9), 100), (100, 100, 100)),
        (Image.new("1", (9, 9), 1), WHITE),
        (Image.new("RGBA", (9, 9), (255, 0, 0, 0)), WHITE),  # all transparent: nothing of the red shows
        # Black at alpha 128 over white: 255 * (1 - 128 / 255) = 127.
        (Image.new("RGBA", (9, 9), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("LA", (9, 9), (0, 128)), (127, 127, 127)),
        # The upper 8 of 16 bits: 0x8040 >> 8 = 0x80 = 128.
        (Image.fromarray(np.full((9, 9), 0x8040, np.uint16)), (128, 128, 128)),
    ],
    ids=["RGB", "L", "1", "RGBA-clear", "RGBA-half", "LA-half", "I;16"],
)
def test_png_of_each_mode_becomes_rgb(image, expected):
    assert one_colour(decode_image(encoded(image), 4)) == expected


def test_palette_gives_its_colours_and_white_where_transparent():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])  # 0 is red, 1 is green
    image.paste(1, (4, 0, 8, 8))
    pixels = decode_image(encoded(image, transparency=0), 8)
    assert one_colour(pixels[:, :4]) == WHITE
    assert one_colour(pixels[:, 4:]) == GREEN


def test_16_bit_pgm_keeps_its_upper_8_bits():
    # Two pixels, big-endian: 0x8040 and 0x0201.
    pixels = decode_image(b"P5 2 2 65535\n" + bytes([0x80, 0x40, 0x02, 0x01] * 2), 2)
    assert pixels[0, :, 0].tolist() == [128, 2]


def test_cmyk_jpeg_becomes_rgb():
    # No cyan, full magenta and yellow, no black: red, but for what JPEG loses.
    pixels = decode_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "jpeg"), 8)
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_exif_orientation_turns_the_image():
    image = Image.new("RGB", (8, 8), RED)
    image.paste(BLUE, (4, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation 6: the stored left column is the top row as seen
    pixels = decode_image(encoded(image, exif=exif), 8)
    assert one_colour(pixels[:4]) == RED
    assert one_colour(pixels[4:]) == BLUE


def test_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    pixels = decode_image(encoded(frames[0], "gif", save_all=True, append_images=frames[1:]), 8)
    assert one_colour(pixels) == RED


def test_wide_image_keeps_its_centre_square():
    # The centre square is columns 20 to 59; shrinking by 4, the filter reaches 4 columns past each side.
    image = Image.new("RGB", (80, 40), GREEN)
    image.paste(RED, (0, 0, 16, 40))
    image.paste(BLUE, (64, 0, 80, 40))
    assert one_colour(decode_image(encoded(image), 10)) == GREEN


def test_shorter_side_fills_the_square_of_a_tall_image():
    image = Image.new("RGB", (40, 80), GREEN)
    image.paste(RED, (0, 0, 20, 80))
    pixels = decode_image(encoded(image), 40)  # side 40 stays 40: the left half is red to the pixel
    assert one_colour(pixels[:, :20]) == RED
    assert one_colour(pixels[:, 20:]) == GREEN


def test_shrinking_averages_what_it_covers():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255  # one-pixel checkerboard: its mean is 127.5
    pixels = decode_image(encoded(Image.fromarray(board.astype(np.uint8))), 8)
    assert pixels.min() >= 126
    assert pixels.max() <= 129


def test_large_jpeg_shrinks_to_the_same_picture_as_its_png():
    ramp = np.add.outer(np.arange(512), np.arange(512)) // 4  # smooth, so that JPEG loses next to nothing
    image = Image.fromarray(ramp.astype(np.uint8)).convert("RGB")
    from_jpeg = decode_image(encoded(image, "jpeg", quality=95), 16).astype(int)
    from_png = decode_image(encoded(image), 16).astype(int)
    assert np.abs(from_jpeg - from_png).max() <= 3


def test_one_pixel_becomes_a_full_square():
    assert one_colour(decode_image(encoded(Image.new("RGB", (1, 300), BLUE)), 16)) == BLUE


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_truncated_image_is_bad(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(BadImageError, match=r"truncated|incomplete|broken|corrupt"):
        decode_image(data[: len(data) // 2], 8)


def test_text_is_not_an_image():
    with pytest.raises(BadImageError, match=r"^not an image in a known format$"):
        decode_image(b"hello", 8)


def test_floats_have_no_known_range():
    with pytest.raises(BadImageError, match="floats"):
        decode_image(encoded(Image.new("F", (8, 8), 0.5), "tiff"), 8)


def test_decompression_bomb_is_bad():
    data = encoded(Image.new("1", (10_000, 10_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BadImageError, match=r"^10000 x 10000 pixels are more than 89478485$"):
            decode_image(data, 8)
