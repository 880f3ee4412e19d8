"""Inception's training views (Szegedy et al. 2015): parts of any size, mirrored, in other light; by kornia."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_SHOWN, _STORED = 224, 256  # pixels of an image that are judged, of those that are stored (Tan et al. 2019, published)
_ASPECT = (3 / 4, 4 / 3)
# shares by which brightness, contrast and saturation change: TF-slim's, without its change of hue, which would cost
# twice the time of all the rest
_BRIGHTNESS, _CONTRAST, _SATURATION = 32 / 255, 0.5, 0.5

Pixels = NDArray[np.uint8]


def stored_side(side: int) -> int:
    """Give the side at which to store images whose views have this side, both in pixels."""
    return round(side * _STORED / _SHOWN)


def centre(images: Pixels, side: int) -> Pixels:
    """Give the middle of images, (count, side, side, 3), without a copy: what is judged."""
    first = (images.shape[1] - side) // 2
    return images[:, first : first + side, first : first + side]


def inception_views(images: Pixels, side: int, least_area: float, flip: bool, rng: np.random.Generator) -> Tensor:
    """Give a view of each image, (count, height, width, 3), as floats in [0, 1], (count, 3, side, side).

    A view shows a part of at least the share ``least_area`` of the image, three to four up to four to three.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(255)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        views: Tensor = _augmentation(side, least_area, flip)(pixels)
    return views.contiguous(memory_format=torch.channels_last)


@functools.cache
def _augmentation(side: int, least_area: float, flip: bool) -> nn.Module:
    from kornia import augmentation  # most trainings do without

    return nn.Sequential(
        augmentation.RandomResizedCrop((side, side), scale=(least_area, 1.0), ratio=_ASPECT),
        augmentation.RandomHorizontalFlip(p=0.5 if flip else 0.0),
        augmentation.ColorJitter(_BRIGHTNESS, _CONTRAST, _SATURATION),
    )
