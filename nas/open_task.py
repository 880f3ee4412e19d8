"""From a training's configuration to its task: opens the data and fits the network to them."""

from collections.abc import Callable
from pathlib import Path

from nas.tasks import Task
from nas.train_config import TrainConfig
from search_spaces import Arch, InputError, proxy_arch

Progress = Callable[[int, int], None]
Note = Callable[[str], None]

SMALLEST_MAP = 2  # pixels a side that a classifier's last map keeps, as in a search's proxy task
_ONLY_FOR = {
    "smallest_map": "classification",
    "train_images": "classification",
    "validation_images": "classification",
    "head": "segmentation",
    "ignored_labels": "segmentation",
}


def open_task(config: TrainConfig, on_progress: Progress | None = None, note: Note = print) -> Task:
    """Open the data of a training; ``note`` is told, in a line each, what a person should know."""
    for name, task in _ONLY_FOR.items():
        if getattr(config, name) is not None and config.task != task:
            option = {"ignored_labels": "--ignore-label"}.get(name, f"--{name.replace('_', '-')}")
            raise InputError(f"{option} is for --task {task}; leave it away for {config.task}")
    if config.data == "digits" and config.task != "classification":
        raise InputError(f"digits have no boxes and no masks; give --data PATH for {config.task}")
    match config.task:
        case "classification":
            return _classification(config, on_progress, note)
        case "detection":
            from nas.detection import open_detection

            skip = config.skip_bad_images
            return open_detection(config.arch, Path(config.data), skip_bad=skip, on_progress=on_progress, note=note)
        case "segmentation":
            from nas.segmentation import open_segmentation

            ignored = config.ignored_labels or ()
            return open_segmentation(
                config.arch, Path(config.data), config.head, ignored=ignored, on_progress=on_progress
            )


def _classification(config: TrainConfig, on_progress: Progress | None, note: Note) -> Task:
    from nas.classification import Classification, Options
    from nas.data import load_data

    data = load_data(
        config.data,
        config.arch.resolution,
        train_images=config.train_images,
        validation_images=config.validation_images,
        skip_bad_images=config.skip_bad_images,
        on_progress=on_progress,
        on_skipped=lambda name, reason: note(f"left out {name}: {reason}"),
    )
    arch = proxy_arch(config.arch, data.resolution, len(data.classes), config.smallest_map or SMALLEST_MAP)
    dropped = sum(before != after for before, after in zip(_strides(config.arch), _strides(arch), strict=True))
    if dropped:
        note(f"at {data.resolution} px, {dropped} strides of {arch.name} became 1, so that its maps stay large enough")
    schedule, flip = config.schedule, data.name != "digits"  # a mirrored digit is no digit
    options = Options(schedule.label_smoothing, schedule.dropout, max(1, data.resolution // 8), flip)
    return Classification(arch, data, options)


def _strides(arch: Arch) -> list[int]:
    return [arch.stem.stride, *(block.stride for block in arch.blocks)]
