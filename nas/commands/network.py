"""What several commands take as ARCH: a reference network's name or a file."""

from dataclasses import replace
from pathlib import Path

from search_spaces import Arch, FileError, InputError, check_resolution, load_arch, reference, references


def load_network(
    name_or_path: str, width: float | None = None, resolution: int | None = None, classes: int | None = None
) -> Arch:
    """Give a reference network, or the one in a file, at another size where asked; a file's widths stay as they are.

    ``InputError`` if a stride would get a single pixel.
    """
    arch = sized_network(name_or_path, width, resolution, classes)
    check_resolution(arch)
    return arch


def sized_network(
    name_or_path: str, width: float | None = None, resolution: int | None = None, classes: int | None = None
) -> Arch:
    """Do as `load_network` at any resolution, for who drops strides that leave too little."""
    if name_or_path in references():
        arch = reference(name_or_path, 1.0 if width is None else width)
    elif not Path(name_or_path).exists():
        raise FileError(
            f"unknown network {name_or_path!r}; give one of {', '.join(references())}, or a YAML or JSON file"
        )
    elif width is not None:
        raise InputError(f"a width multiplier is for reference networks; {name_or_path} has its widths written out")
    else:
        arch = load_arch(name_or_path)
    return replace(
        arch,
        resolution=arch.resolution if resolution is None else resolution,
        classes=arch.classes if classes is None else classes,
    )
