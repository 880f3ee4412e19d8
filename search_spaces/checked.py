"""Files checked against a pydantic model: every problem of a file at once, one readable clause each."""

import difflib
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from search_spaces.errors import InputError

Model = TypeVar("Model")
ENTRIES, NESTED = 1_000_000, 100  # of a YAML file with its aliases written out


class FileError(InputError):
    """A file that cannot be used; the message names the file and all that is wrong with it."""


def read_text(path: Path) -> str:
    """Read a text file; ``FileError`` if it is missing or not text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not a text file") from error


def parse_yaml(text: str, where: str) -> Mapping[str, Any]:
    """Parse YAML that holds a mapping; ``FileError`` if it is not YAML or something else.

    The file may be a stranger's: it makes plain data alone, and no more of them than its text could hold.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _check_extent(node, {})
        data = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise FileError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    except (ValueError, OverflowError) as error:  # a date or a number that is none, or too much
        raise FileError(f"{where} cannot be read: {error}") from error
    except RecursionError as error:
        raise FileError(f"{where} is nested too deeply; {NESTED} levels are allowed") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise FileError(f"{where} must hold a mapping of keys to values, got {type(data).__name__}")
    return data


def _check_extent(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Count a node's entries and levels as if its aliases were written out; ``ValueError`` if there are too many.

    Ten lines of aliases can stand for more than a memory holds, and one alias for itself.
    """
    if id(node) in known:
        entries, levels = known[id(node)]
        if not levels:
            raise ValueError("an alias stands for what it is part of")
        return entries, levels
    known[id(node)] = (0, 0)  # not finished
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    else:
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
    inner = [_check_extent(part, known) for part in parts]
    entries = 1 + sum(entries for entries, _ in inner)
    levels = 1 + max((levels for _, levels in inner), default=0)
    if entries > ENTRIES or levels > NESTED:
        raise ValueError(f"it stands for more than {ENTRIES:,} entries or {NESTED} levels")
    known[id(node)] = (entries, levels)
    return entries, levels


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Read a YAML file that holds a mapping; ``FileError`` if it is missing, not YAML or something else."""
    return parse_yaml(read_text(path), str(path))


def check(model: type[Model], data: Mapping[str, Any], where: str) -> Model:
    """Validate ``data`` as a pydantic model or a dataclass; ``FileError`` lists every problem with its place."""
    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as error:
        problems = [_sentence(model, problem) for problem in error.errors()]
        raise FileError(f"{where}: {'; '.join(dict.fromkeys(problems))}") from error


def _sentence(model: type, problem: Any) -> str:
    location = problem["loc"]
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        parent = _place(location[:-1])
        # a key that is only a little like another belongs to another kind of file
        close = difflib.get_close_matches(str(location[-1]), _keys_at(model, location[:-1]), n=1, cutoff=0.7)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown key {location[-1]!r} at {parent}{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{_place(location)} is missing"
    if problem["type"] in ("model_type", "dataclass_type"):
        return f"{_place(location)}: must be a mapping of keys to values, got {problem['input']!r}"
    got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return f"{_place(location)}: {message[:1].lower()}{message[1:]}{got}"


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the top level"


def _keys_at(model: type, location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a place: follow the field types down to the model that refused."""
    current: type | None = model
    for part in location:
        if isinstance(part, str) and current is not None and part in _fields(current):
            current = _model_in(_fields(current)[part])
    return list(_fields(current)) if current is not None else []


def _fields(model: type) -> dict[str, Any]:
    """The types of a model's or dataclass's fields."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)


def _model_in(annotation: Any) -> type | None:
    if isinstance(annotation, type) and (is_dataclass(annotation) or issubclass(annotation, BaseModel)):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
