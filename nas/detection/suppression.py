"""From a detector's boxes and logits to what it found: of boxes that overlap, only the surest stays."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.detection.boxes import overlap

OVERLAP, DETECTIONS, LEAST_SCORE = 0.6, 100, 1e-8  # published configuration of Howard et al. 2019, table 6
_NONE = -1


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one image, the surest first: boxes (n, 4) by corners, scores (n,), labels (n,) from 0."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def suppress(boxes: Tensor, scores: Tensor, limit: int, most_overlap: float, least_score: float) -> Tensor:
    """Choose boxes class by class (greedy non-maximum suppression); indices (batch, classes, limit), -1 for none.

    ``boxes``: (batch, anchors, 4). ``scores``: (batch, classes, anchors). Again and again the surest box is taken, and
    those that overlap it by more than ``most_overlap`` are left out.
    """
    left, taken = scores.clone(), []
    for _ in range(limit):
        best, at = left.max(dim=-1)  # (batch, classes)
        right = best > least_score
        if not bool(right.any()):
            break
        taken.append(torch.where(right, at, _NONE))
        box = torch.take_along_dim(boxes, at[..., None], dim=1)  # (batch, classes, 4)
        left = left.masked_fill(overlap(box[:, :, None], boxes[:, None]) > most_overlap, -torch.inf)
        left.scatter_(-1, at[..., None], -torch.inf)  # a box of no area doesn't overlap itself
    taken += [torch.full(scores.shape[:2], _NONE, device=scores.device)] * (limit - len(taken))
    return torch.stack(taken, dim=-1)


def detections(
    logits: Tensor,
    boxes: Tensor,
    *,
    limit: int = DETECTIONS,
    most_overlap: float = OVERLAP,
    least_score: float = LEAST_SCORE,
) -> list[Found]:
    """Give what was found in each image of a batch, at most ``limit`` boxes of all classes together.

    ``logits``: (batch, anchors, slots), slot 0 the background's. ``boxes``: (batch, anchors, 4) by corners; they are
    cut at the image's edges.
    """
    boxes = boxes.float().clamp(0, 1)
    scores = logits.float().sigmoid()[..., 1:].transpose(1, 2).contiguous()  # (batch, classes, anchors)
    chosen = suppress(boxes, scores, limit, most_overlap, least_score)
    return [_surest(*image, limit) for image in zip(boxes, scores, chosen, strict=True)]


def _surest(boxes: Tensor, scores: Tensor, chosen: Tensor, limit: int) -> Found:
    labels, places = torch.nonzero(chosen != _NONE, as_tuple=True)
    anchors = chosen[labels, places]
    sure = scores[labels, anchors]
    order = sure.argsort(descending=True, stable=True)[:limit]
    return Found(boxes[anchors[order]], sure[order], labels[order])
