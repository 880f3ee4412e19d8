"""Anchors: the boxes that a detector starts from, a few at every place of every map that it looks at."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nas.detection.boxes import corners, overlap
from search_spaces.detection import Detector, detection_walk

MIN_SCALES = tuple(step / 100 for step in range(4, 42, 2))  # that `fitted_min_scale` tries, as shares of the image
_FITTED_BOXES = 500  # of each class, which is enough for a mean
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


def fitted_min_scale(detector: Detector, boxes: Sequence[Tensor]) -> float:
    """Give the smallest scale with which a detector's anchors overlap boxes most, each class counting the same.

    ``boxes``: (n, 4) by corners, one for each class. What counts is the mean overlap of a box with its best anchor
    (Redmon and Farhadi 2017, section 2).
    """
    chosen = [of_class[:: math.ceil(len(of_class) / _FITTED_BOXES)] for of_class in boxes if len(of_class)]

    def fit(min_scale: float) -> float:
        anchors = corners(anchors_of(replace(detector, min_scale=min_scale)))
        return sum(float(overlap(of_class[:, None], anchors).amax(1).mean()) for of_class in chosen)

    return max(MIN_SCALES, key=fit)


def _shape(scale: float, ratio: float) -> tuple[float, float]:
    """Give width and height of an anchor with a square's area and ``ratio`` times as wide as high."""
    return scale * math.sqrt(ratio), scale / math.sqrt(ratio)


def _grid(height: int, width: int, shapes: Tensor) -> Tensor:
    """Put anchors of all shapes, (shapes, 2), in the middle of each cell of a map; (height * width * shapes, 4)."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    places = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
    return torch.cat([places, shapes.expand(height * width, -1, -1)], dim=-1).reshape(-1, 4)
