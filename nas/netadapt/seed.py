"""The checkpoint that NetAdapt starts from must be of the network that it narrows, and of the data that it sees."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.classifier_file import ClassifierFile
from search_spaces import Arch, InputError

_SHOWN = 3


def check_network(arch: Arch, trained: ClassifierFile, path: Path) -> None:
    """Raise ``InputError`` that says what differs unless a checkpoint is of this network.

    It may have been trained on smaller images, with other classes and strides of 1 (`search_spaces.proxy_arch`).
    """
    differing = list(_differences(arch, trained.arch))
    if differing:
        more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise InputError(
            f"{path} is a checkpoint of another network than {arch.name}: {'; '.join(differing[:_SHOWN])}{more}; "
            "give the architecture that it was trained with"
        )


def check_classes(classes: Sequence[str], trained: ClassifierFile, path: Path) -> None:
    """Raise ``InputError`` that says what differs unless a checkpoint is of these classes."""
    lacking, new = sorted(set(trained.classes) - set(classes)), sorted(set(classes) - set(trained.classes))
    told = [
        f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for names, what in ((lacking, "missing"), (new, "new"))
        if names
    ]
    if told:
        raise InputError(
            f"the data have other classes than {path} was trained on: {', '.join(told)}; give that one's data"
        )


def _differences(arch: Arch, trained: Arch) -> Iterator[str]:
    if len(arch.blocks) != len(trained.blocks):
        yield f"{len(trained.blocks)} blocks in the checkpoint, {len(arch.blocks)} in the network"
        return
    found = _parts(trained)
    for place, wanted in _parts(arch).items():
        for name, value in wanted.items():
            seen = found[place][name]
            if seen != value and not (name == "stride" and seen == 1):
                yield f"{place} has {name} {_plain(seen)} in the checkpoint, {_plain(value)} in the network"


def _parts(arch: Arch) -> dict[str, dict[str, Any]]:
    blocks = {f"block {index}": asdict(block) for index, block in enumerate(arch.blocks)}
    return {"stem": asdict(arch.stem), **blocks, "head": asdict(arch.head)}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    return "none" if value is None else str(value)
