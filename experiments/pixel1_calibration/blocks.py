"""Measured Pixel 1 blocks, in the file layout of ProxylessNAS."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from search_spaces import Op

_BLOCK = re.compile(
    r"expanded_conv-input:(\d+)x\d+x(\d+)-output:\d+x\d+x(\d+)-expand:(\d)-kernel:(\d)-stride:(\d)-idskip:(\d)"
)
_CONV = re.compile(r"Conv(?:_1)?-input:(\d+)x\d+x(\d+)-output:(\d+)x\d+x(\d+)")
_LOGITS = re.compile(r"Logits-input:(\d+)x\d+x(\d+)-output:(\d+)")


class Block(NamedTuple):
    """A row of the table: ``searched`` are the inverted residuals; the others are stem, head and classifier."""

    ops: list[Op]
    ms: float
    searched: bool


def read_blocks(path: Path) -> list[Block]:
    """Read all rows; ``ValueError`` for one that is none of the four kinds."""
    rows = yaml.safe_load(path.read_text())
    return [Block(ops_of(key), row["mean"], key.startswith("expanded_conv")) for key, row in rows.items()]


def ops_of(key: str) -> list[Op]:
    """Give the Ops that a row of the table is made of."""
    if match := _BLOCK.fullmatch(key):
        size, inputs, outputs, ratio, kernel, stride, skip = map(int, match.groups())
        skips = "identity" if skip else "none"
        return [Op("mbconv", size, size, inputs, outputs, kernel, stride, inputs * ratio, None, "relu6", skips)]
    if match := _CONV.fullmatch(key):  # the stem halves its input, and is 3x3; the head's is 1x1
        size, inputs, out_size, outputs = map(int, match.groups())
        kernel, stride = (3, 2) if out_size < size else (1, 1)
        return [Op("conv", size, size, inputs, outputs, kernel, stride, activation="relu6")]
    if match := _LOGITS.fullmatch(key):
        size, inputs, classes = map(int, match.groups())
        return [Op("pool", size, size, inputs, inputs), Op("linear", 1, 1, inputs, classes)]
    raise ValueError(f"{key!r} is no row of a ProxylessNAS table")
