"""The network that is trained in place of the deployed one: same blocks, small images, few classes."""

from dataclasses import replace
from math import ceil

from search_spaces.arch import Arch


def proxy_arch(arch: Arch, resolution: int, classes: int, smallest_map: int = 2) -> Arch:
    """Adapt a network to a proxy task's image size and classes, leaving widths, kernels and blocks as they are.

    A network made for 224 px halves its input five times; on small images nothing would be left to look at. From the
    image on, strides become 1 until the last feature map keeps at least ``smallest_map`` pixels a side.
    """
    stem, blocks = arch.stem, list(arch.blocks)

    def last_map() -> int:
        size = ceil(resolution / stem.stride)
        for block in blocks:
            size = ceil(size / block.stride)
        return size

    if last_map() < smallest_map and stem.stride > 1:
        stem = replace(stem, stride=1)
    for index, block in enumerate(blocks):
        if last_map() >= smallest_map:
            break
        if block.stride > 1:
            blocks[index] = replace(block, stride=1)
    return replace(arch, resolution=resolution, classes=classes, stem=stem, blocks=tuple(blocks))
