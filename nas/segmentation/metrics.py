"""How well masks agree: a confusion matrix and what is read from it (Everingham et al. 2010, section 4.1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]  # (classes, classes): pixels of a true class (row) that were taken for another (column)


def confusion(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> Confusion:
    """Count pixels by true and predicted class; labels beyond the classes are ignored."""
    scored = truth < classes
    pairs = truth[scored].astype(np.int64) * classes + predicted[scored].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def class_iou(matrix: Confusion) -> NDArray[np.float64]:
    """Give each class's intersection over union; nan for one that is neither there nor predicted."""
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    iou: NDArray[np.float64] = np.divide(hits, union, out=np.full(len(matrix), np.nan), where=union > 0)
    return iou


def metrics(matrix: Confusion, classes: Sequence[str]) -> dict[str, float]:
    """Give the mean IOU, the share of pixels that are right, and the IOU of each class that occurs."""
    iou = class_iou(matrix)
    if np.isnan(iou).all():
        return {"mIOU": 0.0, "pixel accuracy": 0.0}
    accuracy = float(np.diag(matrix).sum() / matrix.sum())
    by_class = {f"IOU {name}": float(value) for name, value in zip(classes, iou, strict=True) if not np.isnan(value)}
    return {"mIOU": float(np.nanmean(iou)), "pixel accuracy": accuracy, **by_class}
