"""How sure an accuracy is: 95 % confidence intervals over the images that it was measured on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

_LEVEL = 0.95
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the figure would lie on other images of the same kind, 95 times of 100; fractions."""

    low: float
    high: float
    method: str


def wilson(share: float, images: int) -> Interval:
    """Give the interval of a share of images (Wilson 1927)."""
    found = binomtest(round(share * images), images).proportion_ci(_LEVEL, method="wilson")
    return Interval(float(found.low), float(found.high), f"Wilson, {images} images")


def bootstrap(parts: NDArray[np.int64], metric: Callable[[NDArray[np.int64]], float]) -> Interval:
    """Give the interval of a metric of summed counts; ``parts``: those of each image, (images, ...).

    The images are drawn anew a thousand times, with putting back, always the same way (Efron 1979; percentiles).
    """
    rng = np.random.default_rng(0)
    drawn = [metric(parts[rng.integers(0, len(parts), len(parts))].sum(0)) for _ in range(_RESAMPLES)]
    low, high = np.percentile(drawn, [50 * (1 - _LEVEL), 50 * (1 + _LEVEL)])
    return Interval(float(low), float(high), f"bootstrap, {_RESAMPLES} times {len(parts)} images")
