"""A trained classifier in a file like nas-train's ``best.pt``: weights, and what it takes to use them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from nas.checkpoint import load_checkpoint, save_checkpoint
from nas.classification import Classification, Options
from nas.data import ImageData
from nas.fitted import EpochResult
from nas.recipe import Recipe
from nas.training import Trained
from search_spaces import Arch, FileError, arch_from_dict


@dataclass(frozen=True, slots=True)
class ClassifierFile:
    """What such a file holds: the network as it was trained, with its resolution and classes, and its weights."""

    arch: Arch
    classes: tuple[str, ...]
    weights: Mapping[str, Tensor]


def save_classifier(path: Path, arch: Arch, data: ImageData, recipe: Recipe, trained: Trained) -> None:
    """Write a network that was trained on ``data`` by ``recipe``; ``FileError`` if the disk refuses."""
    options = Options(recipe.label_smoothing, recipe.dropout, recipe.crop_padding, recipe.flip)
    result = EpochResult(
        epoch=recipe.epochs_for(len(data.train)),
        loss=trained.loss,
        learning_rate=recipe.learning_rate,
        seconds=trained.seconds,
        images_per_second=trained.images_per_second,
        metrics={"accuracy": trained.accuracy},
    )
    values = {
        "task": Classification.name,
        "about": Classification(arch, data, options).describe(),
        "result": asdict(result),
        "weights": {name: tensor.detach().cpu() for name, tensor in trained.model.state_dict().items()},
    }
    save_checkpoint(path, values)


def load_classifier(path: Path) -> ClassifierFile:
    """Read what `save_classifier` or nas-train wrote, running none of it; ``FileError`` says what is wrong with it."""
    values = load_checkpoint(path)
    task, about = values.get("task"), values.get("about")
    if task != Classification.name or not isinstance(about, dict) or "weights" not in values:
        what = f"that of a {task} network" if isinstance(task, str) else "a training's state"
        raise FileError(f"{path} holds no classifier's weights, but {what}; give the best.pt of a classification")
    return ClassifierFile(arch_from_dict(about["arch"], str(path)), tuple(about["classes"]), values["weights"])
