"""Pixels as networks take them: bytes to floats, and the statistics that normalise them."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_STATISTICS_IMAGES = 10_000  # enough for three means; all of a large data set would take a pass over the disk
_BATCH_PIXELS = 2**18


def to_floats(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Turn (count, height, width, 3) into floats in [0, 1], (count, 3, height, width), laid out as they are."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)


def normalisation(images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> dict[str, Tensor]:
    """Measure mean and standard deviation of each colour over (at most 10,000 of) the chosen images."""
    chosen = chosen[:: math.ceil(len(chosen) / _STATISTICS_IMAGES)]
    size = max(1, _BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    sums, squares, count = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(chosen), size):
        pixels = images[chosen[start : start + size]].reshape(-1, 3).astype(np.float32) / 255
        sums, squares, count = sums + pixels.sum(0), squares + np.square(pixels).sum(0), count + len(pixels)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))  # one flat colour must not divide by 0
    shaped = {"mean": mean, "std": std}
    return {name: torch.tensor(value, dtype=torch.float32).reshape(3, 1, 1) for name, value in shaped.items()}
