"""What an Op makes a mobile CPU do, in three numbers that a calibration puts prices on.

Three, because each more that was tried predicted unseen networks worse: `docs/latency.md` has the figures.
"""

from collections.abc import Mapping
from typing import NamedTuple

from search_spaces import Conv, Op
from search_spaces.op import VECTOR_ROLES

# Chosen by leave-one-out. A matrix kernel takes pixels in tiles, and pays for a part-filled one in full; before that it
# packs its input, which costs about as much as some more output channels would.
TILE_PIXELS = 8
PACKING_CHANNELS = 8
POOL_WINDOW = 9  # a pooled skip averages 3 x 3


class Features(NamedTuple):
    """Work of one Op.

    ``matrix_macs``: multiply-accumulates of the convolutions that run as a matrix product, with packing and padding.
    ``depthwise_macs``: multiply-accumulates of depthwise convolutions.
    ``moved_elements``: numbers read and written: each convolution's input and output, the patches that a k x k
    convolution is unfolded into, the weights of layers that use each once (squeeze-and-excite, linear), the second
    pass of an h-swish, and what squeeze-and-excite, skips and pools touch.
    """

    matrix_macs: int
    depthwise_macs: int
    moved_elements: int


def features(op: Op) -> Features:
    """Count the work of one Op."""
    convs = op.convolutions()
    return Features(
        sum(_matrix_macs(conv) for conv in convs if not conv.depthwise and conv.role not in VECTOR_ROLES),
        sum(conv.macs for conv in convs if conv.depthwise),
        sum(_moved_by(conv, op) for conv in convs) + _moved_between(op),
    )


def calibrated_ms(op: Op, costs_ns: Mapping[str, float]) -> float:
    """Price one Op, in milliseconds, by costs in nanoseconds for each field of `Features`."""
    work = features(op)
    return sum(costs_ns[name] * amount for name, amount in zip(work._fields, work, strict=True)) / 1e6


def _matrix_macs(conv: Conv) -> int:
    tiles = -(-conv.out_height * conv.out_width // TILE_PIXELS)
    return (
        conv.kernel**2 * conv.in_channels // conv.groups * (conv.out_channels + PACKING_CHANNELS) * tiles * TILE_PIXELS
    )


def _moved_by(conv: Conv, op: Op) -> int:
    pixels = conv.out_height * conv.out_width
    written = pixels * conv.out_channels
    in_height = min(op.height, conv.out_height * conv.stride)
    in_width = min(op.width, conv.out_width * conv.stride)
    moved = in_height * in_width * conv.in_channels + written
    if conv.kernel > 1 and not conv.depthwise:
        moved += pixels * conv.kernel**2 * conv.in_channels
    if conv.role in VECTOR_ROLES:
        moved += conv.weights
    if conv.activation == "hswish":
        moved += written
    return moved


def _moved_between(op: Op) -> int:
    pixels = op.out_height * op.out_width
    if op.kind == "pool":
        return op.height * op.width * op.in_channels + op.out_channels
    moved = 0
    if op.se is not None:  # averaged (read), scaled (read, written)
        moved += 3 * pixels * (op.expanded or op.out_channels)
    if op.skip != "none":  # two read, their sum written
        moved += 3 * pixels * op.out_channels
    if op.skip == "pool":
        moved += (POOL_WINDOW + 1) * pixels * op.out_channels
    return moved
