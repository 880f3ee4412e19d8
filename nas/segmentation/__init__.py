"""Segmentation: R-ASPP and LR-ASPP on any backbone, trained on images with masks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from nas.segmentation.augment import IGNORED
from nas.segmentation.data import SegmentationData, load_segmentation
from nas.segmentation.export import export_segmenter
from nas.segmentation.model import SegmentationNetwork, build_segmenter
from nas.segmentation.task import Options, Segmentation, predict
from search_spaces import Arch
from search_spaces.segmentation import HeadKind, Segmenter

__all__ = [
    "IGNORED",
    "Options",
    "Segmentation",
    "SegmentationData",
    "SegmentationNetwork",
    "build_segmenter",
    "export_segmenter",
    "load_segmentation",
    "open_segmentation",
    "predict",
]


def open_segmentation(
    arch: Arch,
    path: Path,
    head: str | None = None,
    *,
    ignored: Sequence[int] = (),
    filters: int = 128,
    output_stride: int = 16,
    reduced: bool = True,
    options: Options | None = None,
    skip_bad: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = print,
) -> Segmentation:
    """Open images with masks, their shorter side at the network's resolution, and give the task of learning them.

    ``head`` is ``lraspp``, the default, or ``raspp``. Labels in ``ignored`` are neither learned nor scored.
    """
    data = load_segmentation(
        path, arch.resolution, ignored=ignored, skip_bad=skip_bad, on_progress=on_progress, note=note
    )
    kind = cast(HeadKind, head or "lraspp")  # the segmenter says what is allowed
    segmenter = Segmenter(
        arch, len(data.classes), *data.size, kind, filters=filters, output_stride=output_stride, reduced=reduced
    )
    return Segmentation(segmenter, data, options or Options())
