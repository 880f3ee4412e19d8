"""What a training is asked to do: every number of it, as its folder records them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from nas.recorded import read_config
from nas.schedule import Schedule
from search_spaces import Arch, InputError, check

DIGITS, AUTO = "digits", "auto"
TaskName = Literal["classification", "detection", "segmentation"]
Positive = Annotated[int, Field(ge=1)]

_ONLY_FOR: dict[str, TaskName] = {
    "smallest_map": "classification",
    "train_images": "classification",
    "validation_images": "classification",
    "min_scale": "detection",
    "head": "segmentation",
    "filters": "segmentation",
    "output_stride": "segmentation",
    "crop": "segmentation",
    "ignored_labels": "segmentation",
}


def _min_scale(value: object) -> object:
    try:
        if value is None or value == AUTO or 0 < float(value) < 1:  # type: ignore[arg-type]  # that is tried here
            return value
    except (TypeError, ValueError):
        pass
    raise ValueError(f"must be {AUTO}, or a number above 0 and below 1, got {value!r}")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training, resolved.

    ``arch`` is the network as given, at the resolution asked for. None is a task's default, and what another task than
    this one takes is None. ``smallest_map``: a classifier's strides are dropped until its last feature map has at least
    this many pixels a side. ``train_images`` and ``validation_images``: how many a classifier uses at most.
    ``min_scale``: a detector's; ``auto`` goes by the training boxes. ``head``, ``filters``, ``output_stride``, ``crop``
    and ``ignored_labels`` are a segmentation's. ``evaluate_every``: epochs from one evaluation to the next. All
    ``workers`` share the ``threads``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    arch: Arch
    data: str
    schedule: Schedule
    threads: Positive
    device: str
    task: TaskName = "classification"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    workers: Positive = 1
    evaluate_every: Positive = 1
    skip_bad_images: bool = False
    smallest_map: Positive | None = None
    train_images: Positive | None = None
    validation_images: Positive | None = None
    min_scale: Annotated[float | Literal["auto"] | None, BeforeValidator(_min_scale)] = None
    head: Literal["lraspp", "raspp"] | None = None
    filters: Positive | None = None
    output_stride: Literal[16, 32] | None = None
    crop: Annotated[float, Field(gt=0, le=1)] | None = None
    ignored_labels: tuple[int, ...] | None = None


CONFIG_NAMES = tuple(field.name for field in fields(TrainConfig))


def train_config(values: dict[str, Any], where: str) -> TrainConfig:
    """Check the values of a configuration; ``InputError`` says what is wrong."""
    return _for_its_task(check(TrainConfig, values, where))


def recorded_train_config(folder: Path) -> TrainConfig:
    """Read a training's own configuration; ``InputError`` says what is wrong."""
    return _for_its_task(read_config(TrainConfig, folder, "nas-train"))


def _for_its_task(config: TrainConfig) -> TrainConfig:
    for name, task in _ONLY_FOR.items():
        if getattr(config, name) is not None and config.task != task:
            option = {"ignored_labels": "--ignore-label"}.get(name, f"--{name.replace('_', '-')}")
            raise InputError(f"{option} is for --task {task}; leave it away for {config.task}")
    if config.data == DIGITS and config.task != "classification":
        raise InputError(f"digits have no boxes and no masks; give --data PATH for {config.task}")
    return config
