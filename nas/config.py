"""What a search is asked to do: every number, its default and its bounds."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nas.recipe import FINAL, PROXY, Recipe
from nas.rewards import RewardName, make_reward
from search_spaces import check, read_yaml

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class ProxyTask(BaseModel):
    """The small task on which candidates are trained in place of the deployed one.

    ``smallest_map``: strides are dropped until the last feature map has at least this many pixels a side.
    ``train_images`` and ``validation_images``: how many to use at most, all where None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    resolution: Annotated[int, Field(ge=8, le=1024)] = 32
    smallest_map: Positive = 2
    validation_share: Share = 0.2
    train_images: Positive | None = None
    validation_images: Positive | None = None
    recipe: Recipe = PROXY


class SearchConfig(BaseModel):
    """A search, resolved: what ``config.yaml`` of a run holds and what ``--config`` reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    w: Annotated[float, Field(le=0, allow_inf_nan=False)] | None = None
    reward: RewardName = "soft"
    device: str = "pixel1"
    space: str | None = None
    data: str = "digits"
    skip_bad_images: bool = False
    controller: str = "reinforce"
    controller_options: dict[str, Any] = {}
    trials: Positive = 100
    batch: Positive = 5
    seed: Annotated[int, Field(ge=0)] = 0
    proxy: ProxyTask = ProxyTask()
    final: Recipe = FINAL
    workers: Positive | None = None
    cpus_per_trial: Positive | None = None
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0
    ray_address: str | None = None

    @model_validator(mode="after")
    def _reward_ok(self) -> "SearchConfig":
        make_reward(self.reward, self.target_ms, self.w)
        return self


# what may differ between a run and its continuation: none of it changes what is proposed or how it is judged
FREE_ON_RESUME = frozenset({"trials", "workers", "cpus_per_trial", "gpus_per_trial", "ray_address"})


def load_config(path: Path | None, flags: dict[str, Any], base: dict[str, Any] | None = None) -> SearchConfig:
    """Join the defaults, a run's configuration, a file and the command line, later ones going before earlier ones.

    A file may name a few numbers of a recipe and leave the others as they are. ``flags`` holds what the command line
    gave; None values were not given. ``InputError`` lists all that is wrong.
    """
    values: dict[str, Any] = {"proxy": ProxyTask().model_dump(), "final": asdict(FINAL)}
    for later in (base or {}, read_yaml(path) if path is not None else {}):
        values = _merged(values, later)
    values |= {name: value for name, value in flags.items() if value is not None}
    return check(SearchConfig, values, str(path) if path is not None else "command line")


def _merged(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, inside their mappings as well; a controller's options stay together."""
    result = dict(old)
    for name, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(name), dict) and name != "controller_options"
        result[name] = _merged(old[name], value) if both else value
    return result
