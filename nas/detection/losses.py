"""What a detector's outputs are worth: focal loss of its class logits, smooth L1 of its box codes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.detection.boxes import corners, encode
from nas.detection.matching import NO_BOX, match

# Howard et al. 2019's published configuration; Lin et al. 2017 found 0.25 and 2
ALPHA, GAMMA = 0.75, 2.0


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Give the focal loss of each logit (Lin et al. 2017, equation 5); ``targets`` are 1 where the class is right."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    right = torch.where(targets > 0, probability, 1 - probability)
    weight = torch.where(targets > 0, alpha, 1 - alpha)
    return weight * (1 - right) ** gamma * entropy


def detection_loss(
    logits: Tensor, codes: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor], anchors: Tensor
) -> Tensor:
    """Give the loss of a batch: focal loss of all anchors and smooth L1 of the matched ones, for each matched anchor.

    ``logits``: (batch, anchors, slots), slot 0 the background's, which is never right. ``codes``: (batch, anchors, 4),
    whose loss is the mean of the four (published configuration). ``boxes``, (n, 4) by corners, and ``labels``, (n,)
    from 0, are those of each image. ``anchors``: (anchors, 4) by centre. Liu et al. 2016, equation 1.
    """
    chosen = torch.stack([match(of_image, corners(anchors)) for of_image in boxes])  # (batch, anchors)
    matched = chosen != NO_BOX
    count = matched.sum().clamp(min=1)
    targets = torch.zeros_like(logits, dtype=torch.float32)
    wrong_places = logits.new_zeros((), dtype=torch.float32)
    for index, (of_image, names) in enumerate(zip(boxes, labels, strict=True)):
        at, which = matched[index], chosen[index][matched[index]]
        targets[index, at, names[which] + 1] = 1.0
        wanted = encode(of_image[which], anchors[at])
        wrong_places = wrong_places + F.smooth_l1_loss(codes[index, at].float(), wanted, reduction="sum")
    return (focal_loss(logits.float(), targets).sum() + wrong_places / codes.shape[-1]) / count
