"""Search spaces in YAML files: the schema, its checks, and the spaces that ship with the package."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from search_spaces.arch import Activation, Gate, Skip, Stem
from search_spaces.checked import FileError, check, parse_yaml, read_text
from search_spaces.kinds import parse_choice
from search_spaces.space import HeadChoices, Rules, SearchSpace, Stage

Item = TypeVar("Item")


def _listed(value: Any) -> Any:
    """A single value is a choice of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _choices_ok(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if not values:
        raise ValueError("an empty list leaves nothing to choose; give one value or more")
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"{twice[0]!r} stands in the list twice; give each choice once")
    return values


def _odd(kernel: int) -> int:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"a kernel must be odd (1, 3, 5, 7, ...), got {kernel}")
    return kernel


def _op_ok(op: str) -> str:
    parse_choice(op)
    return op


Choices = Annotated[tuple[Item, ...], BeforeValidator(_listed), AfterValidator(_choices_ok)]
OddKernel = Annotated[int, AfterValidator(_odd)]
OpName = Annotated[str, AfterValidator(_op_ok)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Multiplier = Annotated[float, Field(gt=0, le=1000)]
Depth = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _StemFile(_Strict):
    channels: PositiveInt
    kernel: OddKernel = 3
    stride: PositiveInt = 2
    activation: Activation = "relu"


class _HeadFile(_Strict):
    conv_channels: Choices[PositiveInt] | None = None
    conv_expansion: Choices[Multiplier] | None = None
    hidden_channels: Choices[Depth] = (0,)
    activation: Activation = "relu"

    @model_validator(mode="after")
    def _one_width(self) -> "_HeadFile":
        if (self.conv_channels is None) == (self.conv_expansion is None):
            raise ValueError("give either conv_channels or conv_expansion (times the last stage's channels)")
        return self


class _StageOptions(_Strict):
    channels: Choices[PositiveInt] | None = None
    stride: PositiveInt = 1
    depth: Choices[Depth] = (1,)
    depth_delta: Choices[int] = (0,)
    width: Choices[Multiplier] = (1.0,)
    op: Choices[OpName] = ("mbconv6",)
    kernel: Choices[OddKernel] = (3,)
    se: Choices[Ratio] = (0.0,)
    skip: Choices[Skip] = ("identity",)
    activation: Choices[Activation] = ("relu",)

    @model_validator(mode="after")
    def _stride_stays(self) -> "_StageOptions":
        if 0 in self.depth and self.stride != 1:
            raise ValueError(f"a depth of 0 would drop the stage's stride of {self.stride}; allow it at stride 1 only")
        return self


class _StageFile(_StageOptions):
    channels: Choices[PositiveInt]


class _RulesFile(_Strict):
    channel_multiple: PositiveInt = 8
    se_base: Literal["input", "expanded"] = "expanded"
    gate: Gate = "hard_sigmoid"


class _SpaceFile(_Strict):
    name: str
    description: str = ""
    resolution: PositiveInt = 224
    classes: PositiveInt = 1000
    aliases: bool = True
    rules: _RulesFile = _RulesFile()
    stem: _StemFile
    defaults: _StageOptions = _StageOptions()
    stages: Annotated[list[_StageFile], Field(min_length=1)]
    head: _HeadFile

    @model_validator(mode="after")
    def _some_block_stays(self) -> "_SpaceFile":
        if all(0 in stage.depth for stage in self.stages):
            raise ValueError("every stage allows a depth of 0, which leaves a network without blocks; let one not")
        return self


def space_from_dict(data: dict[str, Any], where: str) -> SearchSpace:
    """Build a space from a file's contents; ``defaults`` holds the options that every stage shares."""
    file = check(_SpaceFile, {**data, **_merged(data)}, where)
    head = file.head
    return SearchSpace(
        name=file.name,
        resolution=file.resolution,
        classes=file.classes,
        aliases=file.aliases,
        rules=Rules(**file.rules.model_dump()),
        stem=Stem(**file.stem.model_dump()),
        stages=tuple(Stage(**stage.model_dump()) for stage in file.stages),
        head=HeadChoices(
            head.conv_channels or (0,), head.conv_expansion or (0.0,), head.hidden_channels, head.activation
        ),
    )


def _merged(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give every stage the options that they share, but for wrong ones: those are named once, where they stand."""
    shared, stages = data.get("defaults", {}), data.get("stages")
    if not isinstance(shared, dict) or not isinstance(stages, list):
        return {}
    try:
        _StageOptions.model_validate(shared)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors() if problem["loc"]}
        shared = {key: value for key, value in shared.items() if key not in wrong}
    return {"stages": [{**shared, **stage} if isinstance(stage, dict) else stage for stage in stages]}


def shipped_spaces() -> list[str]:
    """List the names of the spaces that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("search_spaces.spaces").iterdir()
        if entry.name.endswith(".yaml")
    )


def space_text(name_or_path: str | Path) -> str:
    """Read the text of a shipped space by name, or of a YAML file; ``FileError`` if there is none."""
    name = str(name_or_path)
    if name in shipped_spaces():
        return (resources.files("search_spaces.spaces") / f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        raise FileError(f"unknown space {name!r}; give one of {', '.join(shipped_spaces())}, or a YAML file")
    return read_text(path)


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Load a shipped space by name, or a YAML file; ``FileError`` with all that is wrong with it."""
    name = str(name_or_path)
    where = f"space {name!r}" if name in shipped_spaces() else name
    return space_from_dict(dict(parse_yaml(space_text(name_or_path), where)), where)
