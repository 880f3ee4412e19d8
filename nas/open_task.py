"""From a training's configuration to its task: opens the data and fits the network to them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nas.tasks import Task
from nas.train_config import TrainConfig
from search_spaces import Arch, proxy_arch

Progress = Callable[[int, int], None]
Note = Callable[[str], None]

SMALLEST_MAP = 2  # pixels a side that a classifier's last map keeps, as in a search's proxy task
FILTERS, OUTPUT_STRIDE = 128, 16  # of a segmentation, where none were asked for


def open_task(config: TrainConfig, on_progress: Progress | None = None, note: Note = print) -> Task:
    """Open the data of a training; ``note`` is told, in a line each, what a person should know."""
    match config.task:
        case "classification":
            return _classification(config, on_progress, note)
        case "detection":
            return _detection(config, on_progress, note)
        case "segmentation":
            return _segmentation(config, on_progress, note)


def _classification(config: TrainConfig, on_progress: Progress | None, note: Note) -> Task:
    from nas.classification import Classification, Options
    from nas.data import load_data
    from nas.inception import centre, stored_side

    side, schedule = config.arch.resolution, config.schedule
    with_borders = schedule.views == "inception"
    data = load_data(
        config.data,
        stored_side(side) if with_borders else side,
        train_images=config.train_images,
        validation_images=config.validation_images,
        skip_bad_images=config.skip_bad_images,
        on_progress=on_progress,
        on_skipped=lambda name, reason: note(f"left out {name}: {reason}"),
    )
    stored, data = data.images, replace(data, images=centre(data.images, side))
    arch = proxy_arch(config.arch, side, len(data.classes), config.smallest_map or SMALLEST_MAP)
    dropped = sum(before != after for before, after in zip(_strides(config.arch), _strides(arch), strict=True))
    if dropped:
        note(f"at {side} px, {dropped} strides of {arch.name} became 1, so that its maps stay large enough")
    flip = data.name != "digits"  # a mirrored digit is no digit
    options = Options(schedule.label_smoothing, schedule.dropout, max(1, side // 8), flip, schedule.least_area)
    return Classification(arch, data, options, stored if with_borders else None)


def _detection(config: TrainConfig, on_progress: Progress | None, note: Note) -> Task:
    from nas.detection import open_detection

    return open_detection(
        config.arch,
        Path(config.data),
        min_scale=config.min_scale,
        skip_bad=config.skip_bad_images,
        on_progress=on_progress,
        note=note,
    )


def _segmentation(config: TrainConfig, on_progress: Progress | None, note: Note) -> Task:
    from nas.segmentation import Options, open_segmentation

    return open_segmentation(
        config.arch,
        Path(config.data),
        config.head,
        ignored=config.ignored_labels or (),
        filters=config.filters or FILTERS,
        output_stride=config.output_stride or OUTPUT_STRIDE,
        options=Options(crop=config.crop or 1.0),
        skip_bad=config.skip_bad_images,
        on_progress=on_progress,
        note=note,
    )


def _strides(arch: Arch) -> list[int]:
    return [arch.stem.stride, *(block.stride for block in arch.blocks)]
