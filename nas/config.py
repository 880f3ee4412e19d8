"""What a search is asked to do: every number, its default and its bounds."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from latency import shipped_tables
from nas.recipe import FINAL, PROXY, Recipe, recipe_for
from nas.rewards import RewardName, check_target, check_w, default_w
from nas.target import TOLERANCE, Target
from search_spaces import check, read_yaml, shipped_spaces

DIGITS = "digits"
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
    """A search, resolved: what ``config.yaml`` of a run holds and what ``--config`` reads.

    ``evaluator``: candidates are trained on images, or their accuracies are read from a table, the file ``accuracies``.
    ``deadline_seconds``: after which a trial counts as hung; None: by how long the others took.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target_ms: Annotated[float, AfterValidator(check_target)]
    w: Annotated[float, AfterValidator(check_w)] | None = None
    reward: RewardName = "soft"
    tolerance: Annotated[float, Field(ge=0, lt=1)] = TOLERANCE
    device: str = "pixel1"
    space: str | None = None
    evaluator: Literal["training", "table"] = "training"
    accuracies: Annotated[str | None, Field(validate_default=True)] = None
    data: str = "digits"
    skip_bad_images: bool = False
    controller: str = "reinforce"
    controller_options: dict[str, Any] = {}
    screen: Annotated[int, Field(ge=0)] | None = None
    trials: Positive = 100
    batch: Positive = 5
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    proxy: ProxyTask = ProxyTask()
    final: Recipe = FINAL
    workers: Positive | None = None
    cpus_per_trial: Positive | None = None
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0
    deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    ray_address: str | None = None

    @field_validator("accuracies")
    @classmethod
    def _belongs_to_a_table(cls, accuracies: str | None, fields: ValidationInfo) -> str | None:
        evaluator = fields.data.get("evaluator")
        if evaluator == "table" and accuracies is None:
            raise ValueError("evaluator table reads them from a file; give it with --accuracies FILE.csv")
        if evaluator == "training" and accuracies is not None:
            raise ValueError("they are what evaluator table reads; add --evaluator table, or leave them away")
        return accuracies

    @property
    def target(self) -> Target:
        """The latency to land on, and which networks hit it."""
        return Target(self.target_ms, self.tolerance, both_sides=self.reward == "absolute")

    @property
    def options(self) -> dict[str, Any]:
        """The controller's options, ``screen`` among them where it is given."""
        return self.controller_options | ({} if self.screen is None else {"screen": self.screen})

    def resolved(self) -> "SearchConfig":
        """Fill in what depends on the rest: the reward's strength, absolute paths, no flips for digits."""
        changes: dict[str, Any] = {"w": default_w(self.reward) if self.w is None else self.w}
        for name in ("data", "device", "space", "accuracies"):
            value = getattr(self, name)
            # names of shipped things are no paths; a path must mean the same from another folder
            known = (DIGITS, *shipped_tables(), *shipped_spaces())
            if value is not None and value not in known and Path(value).exists():
                changes[name] = str(Path(value).resolve())
        recipe = recipe_for(self.proxy.recipe, self.data)
        changes["proxy"] = self.proxy.model_copy(update={"recipe": recipe})
        changes["final"] = recipe_for(self.final, self.data)
        return self.model_copy(update=changes)


# what may differ between a run and its continuation: it changes neither what is proposed nor how it is judged, but for
# the last digits of a child's training on another number of threads
FREE_ON_RESUME = frozenset({"trials", "tolerance", "workers", "cpus_per_trial", "deadline_seconds", "ray_address"})


def load_config(path: Path | None, flags: dict[str, Any], base: dict[str, Any] | None = None) -> SearchConfig:
    """Join the defaults, a run's configuration, a file and the command line, later ones going before earlier ones.

    A file may name a few numbers of a recipe and leave the others as they are. ``flags`` holds what the command line
    gave. ``InputError`` lists all that is wrong.
    """
    values: dict[str, Any] = {"proxy": ProxyTask().model_dump(), "final": asdict(FINAL)}
    for later in (base or {}, read_yaml(path) if path is not None else {}):
        values = _merged(values, later)
    origins = ([str(path)] if path is not None else []) + (["command line"] if flags or path is None else [])
    return check(SearchConfig, values | flags, " with ".join(origins))


def _merged(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, inside their mappings as well; a controller's options stay together."""
    result = dict(old)
    for name, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(name), dict) and name != "controller_options"
        result[name] = _merged(old[name], value) if both else value
    return result
