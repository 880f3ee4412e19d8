"""Boxes as tensors: two ways to write one, how much two overlap, and how a network names one beside an anchor.

A box is (xmin, ymin, xmax, ymax), its corners, or (x, y, width, height), of its centre; both as shares of the image's
width and height, so that the image is the box (0, 0, 1, 1).
"""

import torch
from torch import Tensor

# Box codes are these times as large as the offsets that they stand for (published configuration of table 6)
CODE_SCALES = (10.0, 10.0, 5.0, 5.0)
_LEAST_SIDE = 1e-6  # of the image's; a box of no width has no logarithm


def corners(centred: Tensor) -> Tensor:
    """Turn centres and sizes into corners; (..., 4)."""
    half = centred[..., 2:] / 2
    return torch.cat([centred[..., :2] - half, centred[..., :2] + half], dim=-1)


def centres(boxes: Tensor) -> Tensor:
    """Turn corners into centres and sizes; (..., 4)."""
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=-1)


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Give the intersection over union of boxes, (..., 4) by corners, that stand beside each other; 0 where empty."""
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    union = _area(boxes) + _area(others) - shared
    return torch.where(union > 0, shared / union.clamp(min=torch.finfo(union.dtype).tiny), 0.0)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Give the codes, (..., 4), of boxes by corners seen from anchors by centre (Ren et al. 2015, equation 2)."""
    found = centres(boxes)
    offsets = (found[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    sizes = torch.log(found[..., 2:].clamp(min=_LEAST_SIDE) / anchors[..., 2:])
    return torch.cat([offsets, sizes], dim=-1) * boxes.new_tensor(CODE_SCALES)


def decode(codes: Tensor, anchors: Tensor) -> Tensor:
    """Give the boxes, by corners, that codes mean; the inverse of `encode`."""
    scaled = codes / codes.new_tensor(CODE_SCALES)
    place = scaled[..., :2] * anchors[..., 2:] + anchors[..., :2]
    return corners(torch.cat([place, scaled[..., 2:].exp() * anchors[..., 2:]], dim=-1))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
