"""An option for each number of a `Schedule`: its type, its meaning and its presets' values stand there, once."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from nas.schedule import PRESETS, Schedule, preset
from search_spaces import InputError

NAMES = tuple(field.name for field in fields(Schedule))
DEFAULT_PRESET = "small"


def with_schedule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take all numbers of a schedule; what was not given is None."""
    signature = inspect.signature(command)
    hints = get_type_hints(Schedule, include_extras=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name, hints[name]))
        for name in NAMES
    ]
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return command


def chosen_schedule(preset_name: str | None, given: Mapping[str, Any]) -> Schedule:
    """Give a preset with the numbers that were given; a batch size takes the rate along, unless that was given too."""
    numbers = {name: given[name] for name in NAMES if name in given}
    schedule = preset(preset_name or DEFAULT_PRESET)
    if "batch_size" in numbers:
        if numbers["batch_size"] < 1:
            raise InputError(f"--batch-size must be at least 1, got {numbers['batch_size']}")
        schedule = schedule.with_batch_size(numbers["batch_size"])
    if "epochs" in numbers:
        schedule = replace(schedule, least_steps=0)  # as many as asked for
    return replace(schedule, **numbers)


def _option(name: str, hint: Any) -> Any:
    """Give a number's type as an option, described by its meaning and its value in each preset."""
    kind, meaning = get_args(hint)
    shown = ", ".join(f"{preset_name} {_shown(getattr(values, name))}" for preset_name, values in PRESETS.items())
    plain = str if get_origin(kind) is Literal else kind  # the schedule says what is allowed
    return Annotated[plain | None, typer.Option(help=f"Recipe: {meaning} ({shown}).")]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
