"""Which files are images, and of which class: ``class/name.jpg``, with any common folders above the classes."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.data.sources import Parts, Source, SourceFile
from search_spaces import InputError

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tga", ".tif", ".tiff", ".webp",
})
# Notes that lie beside images. Any other file in a class folder is tried as an image, so that none is lost in silence.
NOTE_SUFFIXES = frozenset({
    ".csv", ".db", ".htm", ".html", ".json", ".jsonl", ".log", ".md", ".md5", ".pdf", ".py", ".rst", ".sha256", ".toml",
    ".tsv", ".txt", ".xml", ".yaml", ".yml",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Layout:
    """Hold image files in order: by class, then by name, numbers in names by value (``img2`` before ``img10``)."""

    classes: tuple[str, ...]
    files: tuple[SourceFile, ...]
    labels: tuple[int, ...]


def find_layout(source: Source) -> Layout:
    """Find the classes of a source; one line of ``InputError`` if they are not plain to see."""
    images = [file for file in source.files if _suffix(file) in IMAGE_SUFFIXES]
    if not images:
        raise InputError(f"no images in {source.path}; it must hold class/name.jpg (or .png, .bmp, .webp, ...)")
    above = _common_folders(images, source.path)
    depth = len(above)
    names = {parts[depth] for parts in source.folders if len(parts) == depth + 1 and parts[:depth] == above}
    classes = sorted(names | {file.parts[depth] for file in images}, key=natural)
    if len(classes) == 1:
        raise InputError(
            f"{source.path} holds one class, {classes[0]!r}; a classifier needs at least two class folders"
        )
    members = [
        file
        for file in source.files
        if len(file.parts) == depth + 2 and file.parts[:depth] == above and _suffix(file) not in NOTE_SUFFIXES
    ]
    _check_empty(classes, images, depth, source.path)
    members.sort(key=lambda file: (natural(file.parts[depth]), natural(file.parts[-1]), file.key))
    label_of = {name: label for label, name in enumerate(classes)}
    return Layout(tuple(classes), tuple(members), tuple(label_of[file.parts[depth]] for file in members))


def natural(name: str) -> tuple[object, ...]:
    """Give a sorting key by which numbers stand in the order of their values and all else by code points."""
    # Text and digits alternate, so like meets like; a number compares by its length without zeros, then its digits.
    pieces = re.split("([0-9]+)", name)
    numbers = [(len(piece.lstrip("0")), piece.lstrip("0")) for piece in pieces[1::2]]
    key: list[object] = list(pieces)
    key[1::2] = numbers
    return (tuple(key), name)


def _common_folders(images: Sequence[SourceFile], path: Path) -> Parts:
    """Give the folders above the class folders, which all images must share."""
    loose = [file for file in images if len(file.parts) == 1]
    if loose:
        raise InputError(
            f"{len(loose)} images in {path} lie in no class folder ({loose[0].key!r}); each must be at class/name.jpg"
        )
    above = Counter(file.parts[:-2] for file in images)
    if len(above) == 1:
        return images[0].parts[:-2]
    if len({len(parts) for parts in above}) > 1:
        shallow = min(images, key=lambda file: (len(file.parts), file.parts))
        deep = max(images, key=lambda file: (len(file.parts), file.parts))
        raise InputError(
            f"images in {path} lie at different depths, as {shallow.key!r} and {deep.key!r}; "
            "each must be directly in its class folder, and the class folders in one folder"
        )
    named = ", ".join(f"{'/'.join(parts)!r} ({count} images)" for parts, count in sorted(above.items())[:3])
    raise InputError(
        f"the class folders in {path} lie in {len(above)} different folders: {named}; "
        "give the path of the one to take, or a zip of it alone: validation images are split off"
    )


def _check_empty(classes: Sequence[str], images: Sequence[SourceFile], depth: int, path: Path) -> None:
    filled = {file.parts[depth] for file in images}
    empty = [name for name in classes if name not in filled]
    if empty:
        named = ", ".join(repr(name) for name in empty[:3]) + (", ..." if len(empty) > 3 else "")
        raise InputError(
            f"{len(empty)} of {len(classes)} class folders in {path} hold no images: {named}; fill or remove them"
        )


def _suffix(file: SourceFile) -> str:
    stem, dot, suffix = file.parts[-1].rpartition(".")
    return dot + suffix.lower() if stem else ""
