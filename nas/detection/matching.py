"""Which anchor is to learn which box."""

import torch
from torch import Tensor

from nas.detection.boxes import overlap

NO_BOX = -1
THRESHOLD = 0.5  # published configuration of table 6, for matched and unmatched alike


def match(boxes: Tensor, anchors: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Give each anchor the index of the box that it overlaps most, or ``NO_BOX`` below ``threshold``; (anchors,).

    ``boxes``, (boxes, 4), and ``anchors``, (anchors, 4), by corners. Every box has at least the anchor that overlaps it
    most, whatever that anchor's own choice (Liu et al. 2016, section 2.2); of two such boxes the later one.
    """
    if len(boxes) == 0:
        return torch.full((len(anchors),), NO_BOX, device=anchors.device)
    overlaps = overlap(boxes[:, None], anchors[None])  # (boxes, anchors)
    most, chosen = overlaps.max(dim=0)
    chosen = torch.where(most >= threshold, chosen, NO_BOX)
    for index, anchor in enumerate(overlaps.argmax(dim=1).tolist()):
        chosen[anchor] = index
    return chosen
