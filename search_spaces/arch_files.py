"""Architectures in YAML or JSON files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from search_spaces.arch import Arch
from search_spaces.checked import FileError, check, read_yaml


def arch_to_dict(arch: Arch) -> dict[str, Any]:
    """Give an architecture as plain dicts, lists, strings and numbers."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(arch)))
    return data


def arch_from_dict(data: Mapping[str, Any], where: str = "architecture") -> Arch:
    """Build an architecture from what `arch_to_dict` gave; ``FileError`` lists what is wrong."""
    return check(Arch, data, where)


def load_arch(path: str | Path) -> Arch:
    """Read an architecture; files with an ``arch`` entry beside others (a search's ``seed.yaml``) serve too."""
    data = read_yaml(Path(path))
    inner = data.get("arch", data)
    if not isinstance(inner, dict):
        raise FileError(f"{path}: arch must be a mapping, got {type(inner).__name__}")
    return arch_from_dict(inner, str(path))


def save_arch(arch: Arch, path: str | Path) -> None:
    """Write an architecture, as JSON where the name ends in ``.json`` and as YAML otherwise."""
    path = Path(path)
    data = arch_to_dict(arch)
    text = json.dumps(data, indent=2) if path.suffix == ".json" else yaml.safe_dump(data, sort_keys=False)
    path.write_text(text, encoding="utf-8")
