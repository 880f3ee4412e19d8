"""Files of a training: its state, to go on from, and weights, to use."""

import contextlib
import io
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from search_spaces import FileError, InputError

FORMAT = 1


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain data and tensors so that a reader or a kill sees the old file or the new one, never half of it.

    ``FileError`` if the disk refuses; the old file is then still there.
    """
    buffer = io.BytesIO()  # not straight to the file: torch's own writer may abort the process where a disk fills
    torch.save({"format": FORMAT, **values}, buffer)
    temporary = path.with_name(f".{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise FileError(
            f"cannot write {path}: {_one_line(error)}; make room, and go on with --resume, or give another folder"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, running none of it; ``FileError`` says what is wrong with the file."""
    try:
        values: object = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileError(f"there is no checkpoint at {path}; give the folder that nas-train wrote to") from error
    except pickle.UnpicklingError as error:  # whose own words advise to trust the file
        raise FileError(
            f"{path} cannot be read as a checkpoint: it holds something else than plain data and tensors"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise FileError(f"{path} cannot be read as a checkpoint: {_one_line(error)[:200]}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise FileError(f"{path} is no checkpoint of nas-train in format {FORMAT}; give a file that it wrote")
    return values


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raise ``InputError`` that names the first thing in which a training differs from the one that was begun."""
    for name in sorted(set(before) | set(now)):
        if before.get(name) != now.get(name):
            raise InputError(
                f"the training in {folder} was begun with another {name}: {_short(before.get(name))}, not "
                f"{_short(now.get(name))}; leave it as it was to go on, or start anew with another --out"
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_line(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
