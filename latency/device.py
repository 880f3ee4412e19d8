"""What a target device is: profiles in YAML files."""

from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt

from search_spaces import FileError, check, read_yaml


class Device(BaseModel):
    """A device profile.

    ``big_core_mask`` is the CPU mask (hexadecimal) of the cores to time on. ``models`` are the names by which the phone
    may call itself (``adb shell getprop ro.product.model``); none: any phone will do. The rest goes into a table's
    header.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    soc: str
    cores: str
    big_core_mask: str
    runtime: str
    runtime_version: str
    threads: PositiveInt
    dtype: str
    clock_policy: str
    models: tuple[str, ...] = ()
    notes: str = ""


def shipped_devices() -> list[str]:
    """List the names of the device profiles that come with the package."""
    entries = resources.files("latency.devices").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def load_device(name_or_path: str | Path) -> Device:
    """Load a shipped profile by name, or a YAML file; ``FileError`` with all that is wrong with it."""
    name = str(name_or_path)
    if name in shipped_devices():
        with resources.as_file(resources.files("latency.devices") / f"{name}.yaml") as path:
            return check(Device, read_yaml(path), f"device {name!r}")
    if not Path(name_or_path).exists():
        raise FileError(f"unknown device {name!r}; give one of {', '.join(shipped_devices())}, or a YAML file")
    return check(Device, read_yaml(Path(name_or_path)), name)
