"""What several commands take as ARCH: a reference network's name or a file."""

from pathlib import Path

from search_spaces import Arch, FileError, load_arch, reference, references


def load_network(name_or_path: str, width: float = 1.0, resolution: int = 224, classes: int = 1000) -> Arch:
    """Give a reference network at this size, or the one in a file, which has its own size."""
    if name_or_path in references():
        return reference(name_or_path, width, resolution, classes)
    if not Path(name_or_path).exists():
        raise FileError(
            f"unknown network {name_or_path!r}; give one of {', '.join(references())}, or a YAML or JSON file"
        )
    return load_arch(name_or_path)
