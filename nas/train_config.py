"""What a training is asked to do: every number of it, as its folder records them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from nas.schedule import Schedule
from search_spaces import Arch, FileError, check, read_yaml

CONFIG = "config.yaml"
TaskName = Literal["classification", "detection", "segmentation"]
Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training, resolved.

    ``arch`` is the network as given, at the resolution asked for. None is a task's default, and what another task than
    this one takes is None. ``smallest_map``: a classifier's strides are dropped until its last feature map has at least
    this many pixels a side. ``train_images`` and ``validation_images``: how many a classifier uses at most.
    ``head`` and ``ignored_labels`` are a segmentation's.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    arch: Arch
    data: str
    task: TaskName
    schedule: Schedule
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    threads: Positive
    device: str
    smallest_map: Positive | None
    train_images: Positive | None
    validation_images: Positive | None
    skip_bad_images: bool
    head: str | None
    ignored_labels: tuple[int, ...] | None


def train_config(values: dict[str, Any], where: str) -> TrainConfig:
    """Check the values of a configuration; ``FileError`` lists all that is wrong."""
    return check(TrainConfig, values, where)


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Give a configuration as plain data."""
    data: dict[str, Any] = TypeAdapter(TrainConfig).dump_python(config, mode="json")
    return data


def recorded_train_config(folder: Path) -> TrainConfig:
    """Read a training's own configuration, which must be whole: today's defaults need not be those it had."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileError(f"{folder} holds no training (no {CONFIG}); give the folder that nas-train wrote to")
    data = dict(read_yaml(path))
    missing = [field.name for field in fields(TrainConfig) if field.name not in data]
    if missing:
        raise FileError(f"{path} lacks {', '.join(missing)}; restore it from a copy, or give a folder of nas-train")
    return train_config(data, str(path))
