"""What a NetAdapt is asked to do: every number of it, as its folder records them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from nas.netadapt.adapt import Select
from nas.netadapt.truncate import Keep
from nas.recipe import FINAL, Recipe
from search_spaces import Arch, check

# as short as the children's, from a network that is trained already: no warm-up, and a rate that does not undo it
FINE_TUNING = Recipe(epochs=1, learning_rate=0.02, warm_up=0.0, label_smoothing=0.0)

_OPTIONS = ("select", "keep", "steps", "held_out", "train_images", "seed")

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    """A NetAdapt, resolved: from ``arch``, as deployed, to ``target_ms`` on ``device``.

    ``delta_ms``: what each step must save. ``steps``: how many fine-tune a proposal (Howard et al. 2019, section 4.2:
    10,000), by ``recipe``. ``resolution``: of the training images. ``held_out``: the share of the training images that
    proposals are judged on. ``train_images``: use at most so many. ``seed_recipe``: trains a seed without weights.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    arch: Arch
    device: str
    data: str
    target_ms: Annotated[float, Field(gt=0)]
    delta_ms: Annotated[float, Field(gt=0)]
    select: Select = "ratio"
    keep: Keep = "norm"
    steps: Positive = 100
    resolution: Annotated[int, Field(ge=8, le=1024)] = 32
    smallest_map: Positive = 2
    held_out: Share = 0.2
    train_images: Positive | None = None
    skip_bad_images: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    recipe: Recipe = FINE_TUNING
    seed_recipe: Recipe = FINAL


def command_of(config: AdaptConfig, seed: str, seed_ms: float) -> str:
    """Give the command that does the same again from ``seed``, a run's folder; paths are cut to their names."""
    words = ["nas-adapt", seed, f"--target-ms {config.target_ms:.6g}", f"--delta {config.delta_ms / seed_ms:.6g}"]
    words += [f"--device {Path(config.device).name}", f"--data {Path(config.data).name}"]
    usual = {field.name: field.default for field in fields(AdaptConfig)}
    numbers = {name: getattr(config, name) for name in _OPTIONS if getattr(config, name) != usual[name]}
    for name in ("batch_size", "learning_rate"):
        if getattr(config.recipe, name) != getattr(FINE_TUNING, name):
            numbers[name] = getattr(config.recipe, name)
    words += [f"--{name.replace('_', '-')} {value}" for name, value in numbers.items()]
    return " ".join(words + ["--skip-bad-images"] * config.skip_bad_images)


def adapt_config(values: dict[str, Any], where: str) -> AdaptConfig:
    """Check the values of a configuration; ``FileError`` lists all that is wrong."""
    return check(AdaptConfig, values, where)
