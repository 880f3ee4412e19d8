"""A trained network as nas-train or nas-search left it: opened with its images, and held against both."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nas.by_training import load_images
from nas.checkpoint import load_checkpoint
from nas.classification import Classification
from nas.config import SearchConfig
from nas.deploy.deployable import Deployable, deployable
from nas.display import task_display
from nas.fitting import BEST
from nas.open_task import open_task
from nas.recorded import CONFIG, config_to_dict, read_config
from nas.run_folder import TRIALS
from nas.tasks import Task
from nas.train_config import recorded_train_config
from nas.train_run import METRICS
from search_spaces import Arch, FileError, arch_from_dict, load_arch

SEED, SEED_WEIGHTS = "seed.yaml", "seed.pt"
_FREE = ("data", "options", "views")  # of a checkpoint: the name of the data, and what only a training needs


@dataclass(frozen=True, slots=True)
class Training:
    """How a network was trained: up to now, if its training still goes on; ``settings`` are all of its configuration.

    ``epoch`` is the one that the weights are of.
    """

    epoch: int
    epochs: int
    seconds: float
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network with its images and its training; ``about`` is what its checkpoint says of it."""

    network: Deployable
    about: Mapping[str, Any]
    training: Training


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained weights and the folder that they lie in, a training's or a search's."""

    folder: Path
    file: Path

    @classmethod
    def at(cls, path: Path) -> "Weights":
        """Take a folder or a file in one; ``FileError`` if there are no weights."""
        folder = path.parent if path.is_file() else path
        file = path if path.is_file() else folder / (SEED_WEIGHTS if (folder / TRIALS).is_file() else BEST)
        if not file.is_file():
            raise FileError(f"there are no weights at {file}; give a folder of nas-train or nas-search, or a .pt in it")
        return cls(folder, file)

    @property
    def from_search(self) -> bool:
        """Whether they are a search's seed, trained on its proxy task."""
        return (self.folder / TRIALS).is_file()

    @property
    def chosen_by_validation(self) -> bool:
        """Whether their epoch was chosen by the validation images."""
        return self.file.name == BEST

    def given(self) -> Arch:
        """Give the architecture that was trained, as a file gave it or a search found it, at its deployed size."""
        return load_arch(self.folder / SEED) if self.from_search else recorded_train_config(self.folder).arch


def open_trained(weights: Weights, data: str | None, console: Console) -> TrainedNetwork:
    """Open weights with their images; ``data``: where these are now, if elsewhere.

    ``FileError`` if the weights are of another network or the images are not those of the training.
    """
    checkpoint = load_checkpoint(weights.file)
    missing = [name for name in ("about", "result", "weights") if name not in checkpoint]
    if missing:
        raise FileError(f"{weights.file} is a training's state, not its weights; give best.pt or last.pt beside it")
    opened = _of_search if weights.from_search else _of_training
    task, training = opened(weights.folder, checkpoint, data, console)
    check_same(checkpoint["about"], task.describe(), weights.file)
    network = deployable(task, _model(task, checkpoint["weights"], weights.file))
    return TrainedNetwork(network, checkpoint["about"], training)


def check_same(trained: Mapping[str, Any], now: Mapping[str, Any], weights: Path) -> None:
    """Raise ``FileError`` unless weights were trained for the network and the images that are here now."""
    before, after = (json.loads(json.dumps(about)) for about in (trained, now))  # a file makes no tuples
    if before["classes"] != after["classes"]:
        raise FileError(
            f"{weights} was trained for {len(before['classes'])} classes, and the data have {len(after['classes'])} "
            f"(missing: {_names(before, after)}; new: {_names(after, before)}); give the images that it was trained on "
            "with --data"
        )
    differing = [name for name in before if name not in _FREE and before[name] != after.get(name)]
    if differing == ["fingerprint"]:
        raise FileError(
            f"the images changed since {weights} was trained: what validates now may have been learned from; "
            "give the images that it was trained on with --data"
        )
    if differing:
        raise FileError(
            f"{weights} is of another network than the {after['arch']['name']} of its folder "
            f"(another {', another '.join(differing)}); put it back beside its own {CONFIG}"
        )


def _names(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Name the classes that only one has, the first few of them."""
    names = [name for name in mine["classes"] if name not in other["classes"]]
    return ", ".join([*names[:3], "..."] if len(names) > 3 else names) or "none"


def _model(task: Task, weights: Mapping[str, torch.Tensor], path: Path) -> torch.nn.Module:
    """Give the trained network, on the CPU and in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        model = task.build()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise FileError(f"{path} is damaged: its weights do not fit its network; train again") from error
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def _of_training(
    folder: Path, checkpoint: Mapping[str, Any], data: str | None, console: Console
) -> tuple[Task, Training]:
    recorded = recorded_train_config(folder)
    config = replace(recorded, data=data) if data else recorded
    with task_display(console, "decoding images") as progress:
        task = open_task(config, progress, lambda text: console.print(text, soft_wrap=True))
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        seconds = [float(json.loads(line)["seconds"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{folder / METRICS} cannot be read; restore it from a copy") from error
    settings = {name: value for name, value in config_to_dict(config).items() if name != "arch"}
    settings["data"] = Path(config.data).name  # a card travels; where the images lie does not
    return task, Training(checkpoint["result"]["epoch"], len(seconds), sum(seconds), settings)


def _of_search(
    folder: Path, checkpoint: Mapping[str, Any], data: str | None, console: Console
) -> tuple[Task, Training]:
    recorded = read_config(SearchConfig, folder, "nas-search")
    config = recorded.model_copy(update={"data": data}) if data else recorded
    task = Classification(arch_from_dict(checkpoint["about"]["arch"]), load_images(config, console))
    result = checkpoint["result"]
    settings = {"data": Path(config.data).name, "seed": config.seed, "resolution": config.proxy.resolution}
    return task, Training(result["epoch"], result["epoch"], result["seconds"], settings | asdict(config.final))
