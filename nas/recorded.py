"""What a folder records of the command that wrote to it: files that are whole or not there, its configuration last."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter

from search_spaces import FileError, InputError, check, read_yaml

CONFIG = "config.yaml"
Config = TypeVar("Config")


@contextlib.contextmanager
def new_folder(path: Path, config: object, environment: Mapping[str, Any]) -> Iterator[None]:
    """Make a folder for a run; the block writes what belongs in it before its ``config.yaml``, which makes it a run."""
    check_free(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "environment.json", json.dumps(environment, indent=2))
        yield
        write_config(path, config)
    except OSError as error:
        raise InputError(f"cannot write a run to {path}: {error.strerror}; give another folder with --out") from error


def check_free(path: Path) -> None:
    """Raise ``InputError`` if a folder already holds a run or cannot hold one."""
    if (path / CONFIG).exists():
        raise InputError(f"{path} already holds a run; go on with --resume {path}, or give another --out")
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; --out takes a folder")


def check_begun(path: Path, command: str) -> None:
    """Raise ``FileError`` if a folder does not hold what a command, such as ``nas-train``, wrote.

    Links that lead out of it are refused: in a stranger's folder they would have us write over files elsewhere.
    """
    if not (path / CONFIG).is_file():
        raise FileError(f"{path} holds no run (no {CONFIG}); give the folder that {command} wrote to")
    if links := [entry.name for entry in path.iterdir() if entry.is_symlink() and _leads_out(entry)]:
        raise FileError(f"{', '.join(sorted(links))} in {path} lead out of it; put the files themselves there")


def _leads_out(link: Path) -> bool:
    try:
        return not link.resolve().is_relative_to(link.parent.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return True


def config_to_dict(config: object) -> dict[str, Any]:
    """Give a configuration, a pydantic model or a dataclass, as the plain data that a folder records."""
    data: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return data


def write_config(folder: Path, config: object) -> None:
    """Write ``config.yaml``."""
    write_atomically(folder / CONFIG, yaml.safe_dump(config_to_dict(config), sort_keys=False))


def read_config(model: type[Config], folder: Path, command: str) -> Config:
    """Read the configuration that a command recorded in a folder; ``FileError`` says what is wrong with it.

    It must be whole: today's defaults need not be those it was begun with.
    """
    check_begun(folder, command)
    path = folder / CONFIG
    data = read_yaml(path)
    missing = [name for name in model.__annotations__ if not name.startswith(("_", "model_")) and name not in data]
    if missing:
        raise FileError(f"{path} lacks {', '.join(missing)}; restore it from a copy, or give a folder of {command}")
    return check(model, data, str(path))


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader or a kill sees the old or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)  # in a stranger's folder it may be a link to a file elsewhere
    with temporary.open("x", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
