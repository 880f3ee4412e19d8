"""How good detections are: mean average precision, computed by pycocotools (Lin et al. 2014)."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.detection.data import DetectionData
from nas.detection.suppression import Found
from search_spaces import InputError

_AT_HALF = 0  # the first of COCO's overlaps, 0.5 to 0.95
_ALL_SIZES, _MOST = 0, 2  # its indices of "boxes of any area" and "at most 100 an image"


def mean_average_precision(
    data: DetectionData, indices: Sequence[int] | NDArray[np.int64], found: Sequence[Found]
) -> dict[str, float]:
    """Score what was found in the images of ``indices``: mAP at an overlap of 0.5, over 0.5 to 0.95, AP of each class.

    Fractions. A class of which these images hold no box has no average precision, and is not in the means.
    """
    precision = _precision(_truth(data, indices), _results(indices, found, data.resolution), len(data.classes))
    at_half = [_mean(precision[_AT_HALF, :, label]) for label in range(len(data.classes))]
    overall = [_mean(precision[:, :, label]) for label in range(len(data.classes))]
    there = [label for label, value in enumerate(at_half) if value is not None]
    return {
        "mAP@0.5": float(np.mean([at_half[label] for label in there])) if there else 0.0,
        "mAP@[.5:.95]": float(np.mean([overall[label] for label in there])) if there else 0.0,
        **{f"AP@0.5 {data.classes[label]}": float(at_half[label] or 0.0) for label in there},
    }


def _precision(truth: dict[str, Any], results: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Give the precision at each overlap, recall and class; -1 where a class has no box."""
    coco_type, evaluation_type = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):  # it reports each of its steps
        coco = coco_type()
        coco.dataset = truth
        coco.createIndex()
        found = coco.loadRes(results) if len(results) else _nothing(coco_type, truth)
        evaluation = evaluation_type(coco, found, "bbox")
        evaluation.params.catIds = list(range(1, classes + 1))
        evaluation.evaluate()
        evaluation.accumulate()
    precision: NDArray[np.float64] = evaluation.eval["precision"][:, :, :, _ALL_SIZES, _MOST]
    return precision  # (overlaps, recalls, classes)


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped, unused-ignore]
        from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise InputError("detection needs pycocotools, which is not installed: pip install pycocotools") from error
    return COCO, COCOeval


def _nothing(coco_type: Any, truth: dict[str, Any]) -> Any:
    """Give results without any detection, which loadRes cannot read."""
    empty = coco_type()
    empty.dataset = {**truth, "annotations": []}
    empty.createIndex()
    return empty


def _truth(data: DetectionData, indices: Sequence[int] | NDArray[np.int64]) -> dict[str, Any]:
    """Write the boxes as COCO does: (left, top, width, height) in pixels, everything counted from 1."""
    annotations: list[dict[str, Any]] = []
    for image in indices:
        for box, label, difficult in zip(data.boxes[image], data.labels[image], data.difficult[image], strict=True):
            left, top, right, bottom = (float(value) * data.resolution for value in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(image) + 1,
                    "category_id": int(label) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": int(difficult),  # neither right nor wrong to find
                }
            )
    return {
        "images": [{"id": int(image) + 1} for image in indices],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(data.classes)],
        "annotations": annotations,
    }


def _results(
    indices: Sequence[int] | NDArray[np.int64], found: Sequence[Found], resolution: int
) -> NDArray[np.float64]:
    """Give a row for each detection: image, left, top, width, height, score, class."""
    rows = []
    for image, of_image in zip(indices, found, strict=True):
        boxes = of_image.boxes.cpu().numpy().astype(np.float64) * resolution
        count = len(boxes)
        sizes = boxes[:, 2:] - boxes[:, :2]
        labels = of_image.labels.cpu().numpy()[:, None] + 1
        scores = of_image.scores.cpu().numpy()[:, None]
        rows.append(np.hstack([np.full((count, 1), int(image) + 1), boxes[:, :2], sizes, scores, labels]))
    return np.concatenate(rows) if rows else np.zeros((0, 7))


def _mean(precision: NDArray[np.float64]) -> float | None:
    there = precision[precision > -1]
    return float(there.mean()) if there.size else None
