"""What a NetAdapt is asked to do: every number of it, as its folder records them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter

from nas.netadapt.adapt import Select
from nas.netadapt.truncate import Keep
from nas.recipe import FINAL, Recipe
from nas.run_folder import CONFIG
from search_spaces import Arch, FileError, check, read_yaml

# as short as the children's, from a network that is trained already: no warm-up, and a rate that does not undo it
FINE_TUNING = Recipe(epochs=1, learning_rate=0.02, warm_up=0.0, label_smoothing=0.0)

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


def adapt_config(values: dict[str, Any], where: str) -> AdaptConfig:
    """Check the values of a configuration; ``FileError`` lists all that is wrong."""
    return check(AdaptConfig, values, where)


def config_to_dict(config: AdaptConfig) -> dict[str, Any]:
    """Give a configuration as plain data."""
    data: dict[str, Any] = TypeAdapter(AdaptConfig).dump_python(config, mode="json")
    return data


def recorded_adapt_config(folder: Path) -> AdaptConfig:
    """Read a run's own configuration, which must be whole: today's defaults need not be those it had."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileError(f"{folder} holds no run (no {CONFIG}); give the folder that nas-adapt wrote to")
    data = dict(read_yaml(path))
    missing = [field.name for field in fields(AdaptConfig) if field.name not in data]
    if missing:
        raise FileError(f"{path} lacks {', '.join(missing)}; restore it from a copy, or give a folder of nas-adapt")
    return adapt_config(data, str(path))
