"""Anchors: the boxes that a detector starts from, a few at every place of every map that it looks at."""

import itertools
import math

import torch
from torch import Tensor

from search_spaces.detection import Detector, detection_walk

_SMALL = 0.5  # the first map's square anchor, as a share of its others' scale (published configuration of table 6)


def anchors_of(detector: Detector) -> Tensor:
    """Give a detector's anchors, (anchors, 4) by centre, in the order of its outputs: map, row, column, shape."""
    maps = [(op.height, op.width) for op in detection_walk(detector).boxes]
    shapes = anchor_shapes(len(maps), detector.min_scale, detector.max_scale)
    return torch.cat([_grid(*size, torch.tensor(map_shapes)) for size, map_shapes in zip(maps, shapes, strict=True)])


def anchor_shapes(maps: int, min_scale: float, max_scale: float) -> list[list[tuple[float, float]]]:
    """Give width and height of the anchors at a place of each map, as shares of the image's sides.

    Scales rise evenly from map to map (Liu et al. 2016, equation 4). The first map has a small square and two oblong
    anchors; the others have five aspect ratios, and a square between their scale and the next map's.
    """
    step = (max_scale - min_scale) / (maps - 1)
    scales = [min_scale + step * index for index in range(maps)] + [1.0]
    first = [_shape(_SMALL * min_scale, 1.0), _shape(min_scale, 2.0), _shape(min_scale, 1 / 2)]
    others = [
        [*[_shape(scale, ratio) for ratio in (1.0, 2.0, 1 / 2, 3.0, 1 / 3)], _shape(math.sqrt(scale * after), 1.0)]
        for scale, after in itertools.pairwise(scales[1:])
    ]
    return [first, *others]


def _shape(scale: float, ratio: float) -> tuple[float, float]:
    """Give width and height of an anchor with a square's area and ``ratio`` times as wide as high."""
    return scale * math.sqrt(ratio), scale / math.sqrt(ratio)


def _grid(height: int, width: int, shapes: Tensor) -> Tensor:
    """Put anchors of all shapes, (shapes, 2), in the middle of each cell of a map; (height * width * shapes, 4)."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    places = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
    return torch.cat([places, shapes.expand(height * width, -1, -1)], dim=-1).reshape(-1, 4)
