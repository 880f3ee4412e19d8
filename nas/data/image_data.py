"""Images with their labels and their split, as plain arrays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Hold one data set at one resolution.

    ``images`` is read-only, and a view of a memory-mapped file where the data set is packed on disk. It pickles as
    plain arrays, with the pixels out of band where the pickler offers that, so an object store can hold them once.
    """

    images: NDArray[np.uint8]  # (count, resolution, resolution, 3)
    labels: NDArray[np.int64]  # (count,), indices into classes
    train: NDArray[np.int64]  # indices into images, ascending
    validation: NDArray[np.int64]  # indices into images, ascending; no index is in both
    classes: tuple[str, ...]
    name: str
    fingerprint: str  # changes with pixels, labels, classes and split; not with the place of the files

    def __post_init__(self) -> None:
        count = len(self.labels)
        resolution = self.images.shape[1] if self.images.ndim == 4 else 0
        if self.images.shape != (count, resolution, resolution, 3) or self.images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8 of shape ({count}, resolution, resolution, 3), "
                f"got {self.images.dtype} of shape {self.images.shape}"
            )

    @property
    def resolution(self) -> int:
        """Give the side of the square images in pixels."""
        return int(self.images.shape[1])


def fingerprint(
    pixel_digest: str,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> str:
    """Hash everything that a training can see of a data set, to 32 hex digits."""
    digest = hashlib.blake2b(pixel_digest.encode(), digest_size=16)
    for array in (labels, train, validation):
        digest.update(f"|{len(array)}|".encode())
        digest.update(array.astype("<i8").tobytes())
    digest.update(repr(tuple(classes)).encode())
    return digest.hexdigest()
