"""Training and validation images: stratified, fixed by a seed, and nested when limited."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search_spaces import InputError

Indices = NDArray[np.int64]


def split(
    labels: Indices,
    classes: Sequence[str],
    *,
    seed: int,
    validation_share: float,
    train_images: int | None = None,
    validation_images: int | None = None,
) -> tuple[Indices, Indices]:
    """Give the indices to train with and those to validate with, both ascending.

    Every class gives its rounded share to validation, at least one image, and keeps at least one. A limit takes at most
    so many images, of every class in proportion; the images of a smaller limit are among those of a larger one, and no
    limit moves an image from one side to the other.
    """
    _check(seed, validation_share, len(classes), train_images, validation_images)
    members = [np.flatnonzero(labels == label).astype(np.int64) for label in range(len(classes))]
    _check_counts(members, classes)
    train, validation = [], []
    for label, indices in enumerate(members):
        shuffled = np.random.default_rng([seed, label]).permutation(indices)
        held_out = min(max(int(len(indices) * validation_share + 0.5), 1), len(indices) - 1)
        validation.append(shuffled[:held_out])
        train.append(shuffled[held_out:])
    return _limited(train, train_images), _limited(validation, validation_images)


def _limited(by_class: Sequence[Indices], limit: int | None) -> Indices:
    """Take the first ``limit`` images of an order whose every prefix is stratified, so that limits are nested.

    The j-th of a class of n images stands at j / n: each class has its first image at 0, so that none is left out.
    """
    indices = np.concatenate(by_class)
    position = np.concatenate([np.arange(len(members)) / len(members) for members in by_class])
    order = np.argsort(position, kind="stable")  # stable: classes in turn where positions are equal
    return np.sort(indices[order[:limit]])


def _check(seed: int, share: float, classes: int, train: int | None, validation: int | None) -> None:
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
    if not 0 < share < 1:
        raise InputError(f"the share of validation images must be between 0 and 1, got {share}")
    for what, limit in (("training", train), ("validation", validation)):
        if limit is not None and limit < classes:
            raise InputError(
                f"{limit} {what} images are too few for {classes} classes; take at least one of each class"
            )


def _check_counts(members: Sequence[Indices], classes: Sequence[str]) -> None:
    few = [name for name, indices in zip(classes, members, strict=True) if len(indices) < 2]
    if few:
        named = ", ".join(repr(name) for name in few[:3]) + (", ..." if len(few) > 3 else "")
        raise InputError(
            f"{len(few)} of {len(classes)} classes have fewer than 2 usable images ({named}); "
            "each class needs one to train with and one to validate with"
        )
