"""Options of a controller: from names and values, as a configuration file holds them, to a checked dataclass."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from search_spaces import InputError


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Describe a controller that has nothing to set."""


T = TypeVar("T")


def read_options(controller: str, kind: type[T], values: Mapping[str, object] | None) -> T:
    """Make a controller's options; raise InputError for an unknown name or a value of the wrong type.

    ``kind`` is a dataclass of bool, int and float fields with defaults; it checks the ranges itself.
    """
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    read: dict[str, Any] = {}
    for name, value in (values or {}).items():
        if name not in types:
            raise InputError(_unknown(controller, name, list(types)))
        read[name] = _typed(controller, name, value, types[name])
    return kind(**read)


def require_range(name: str, value: float, low: float, high: float, low_included: bool = True) -> None:
    """Raise InputError unless an option's value is between low and high (the latter included)."""
    if not (low <= value <= high and (low_included or value > low)):
        at_least = "at least" if low_included else "more than"
        limit = f" and at most {high:g}" if math.isfinite(high) else ""
        raise InputError(f"{name} must be {at_least} {low:g}{limit}, got {value:g}")


def _typed(controller: str, name: str, value: object, kind: object) -> bool | int | float:
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    wanted = {bool: "true or false", int: "a whole number", float: "a finite number"}[kind]  # type: ignore[index]
    raise InputError(f"option {name!r} of controller {controller!r} must be {wanted}, got {value!r}")


def _unknown(controller: str, name: str, known: list[str]) -> str:
    if not known:
        return f"unknown option {name!r}; controller {controller!r} takes no options"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
    return f"unknown option {name!r} of controller {controller!r}; {hint}"
