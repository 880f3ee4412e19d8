"""Which files are images and which masks: ``images/NAME.jpg`` with ``masks/NAME.png``, in one folder or zip.

Beside the two folders may lie ``train.txt`` and ``val.txt``, which list the images of each part, a name a line, and
``classes.txt``, which names the classes, the first that of label 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.data.layout import IMAGE_SUFFIXES, natural
from nas.data.sources import Parts, Source, SourceFile
from search_spaces import InputError

IMAGE_FOLDER, MASK_FOLDER = "images", "masks"
TRAIN_LIST, VALIDATION_LIST, CLASS_LIST = "train.txt", "val.txt", "classes.txt"


@dataclass(frozen=True, slots=True)
class Layout:
    """Hold pairs in the order of their names; ``train`` and ``validation`` are names, or None where none are listed."""

    names: tuple[str, ...]
    images: tuple[SourceFile, ...]
    masks: tuple[SourceFile, ...]
    train: tuple[str, ...] | None
    validation: tuple[str, ...] | None
    classes: tuple[str, ...] | None


def find_layout(source: Source) -> Layout:
    """Pair a source's images and masks; one line of ``InputError`` if they do not fit together."""
    above = _folder_above(source)
    images, masks = (_files(source, (*above, folder)) for folder in (IMAGE_FOLDER, MASK_FOLDER))
    _check_pairs(images, masks, source)
    names = sorted(images, key=natural)
    lists = (TRAIN_LIST, VALIDATION_LIST)
    parts = [_lines(source, (*above, name)) for name in lists]
    if None in parts:
        parts = [None, None]  # one list alone says nothing of the other part
    train, validation = (
        None if part is None else _known(part, images, source, name) for part, name in zip(parts, lists, strict=True)
    )
    if train is not None and validation is not None and (both := sorted(set(train) & set(validation))):
        raise InputError(f"{both[0]!r} is in {TRAIN_LIST} and in {VALIDATION_LIST} of {source.path}; leave it in one")
    pairs = tuple(images[name] for name in names), tuple(masks[name] for name in names)
    return Layout(tuple(names), *pairs, train, validation, _lines(source, (*above, CLASS_LIST)))


def _folder_above(source: Source) -> Parts:
    found = sorted({parts[:-1] for parts in source.folders if parts[-1] == IMAGE_FOLDER}, key=len)
    found = [above for above in found if (*above, MASK_FOLDER) in source.folders]
    if not found:
        raise InputError(
            f"{source.path} has no folders {IMAGE_FOLDER} and {MASK_FOLDER} beside each other; it must hold "
            f"{IMAGE_FOLDER}/NAME.jpg with {MASK_FOLDER}/NAME.png"
        )
    if len(found) > 1:
        places = ", ".join(repr("/".join(above) or ".") for above in found[:3])
        raise InputError(f"{source.path} holds {len(found)} data sets, in {places}; give the path of one")
    return found[0]


def _files(source: Source, folder: Parts) -> dict[str, SourceFile]:
    """List the images in a folder by their names without suffix."""
    files: dict[str, SourceFile] = {}
    for file in source.files:
        stem, suffix = _split(file.parts[-1])
        if file.parts[:-1] != folder or suffix not in IMAGE_SUFFIXES:
            continue
        if stem in files:
            raise InputError(f"{files[stem].key!r} and {file.key!r} in {source.path} have one name; remove one of them")
        files[stem] = file
    return files


def _check_pairs(images: Mapping[str, SourceFile], masks: Mapping[str, SourceFile], source: Source) -> None:
    if not images:
        raise InputError(f"no images in the folder {IMAGE_FOLDER} of {source.path}")
    for what, other, alone in (
        ("images", "mask", [images[name].key for name in images if name not in masks]),
        ("masks", "image", [masks[name].key for name in masks if name not in images]),
    ):
        if alone:
            total = len(images) if what == "images" else len(masks)
            named = ", ".join(repr(key) for key in sorted(alone)[:3]) + (", ..." if len(alone) > 3 else "")
            raise InputError(
                f"{len(alone)} of {total} {what} in {source.path} have no {other}: {named}; add the {other} of the "
                "same name, or remove them"
            )


def _lines(source: Source, place: Parts) -> tuple[str, ...] | None:
    """Read a list, a name a line; None where there is no such file."""
    for file in source.files:
        if file.parts == place:
            try:
                text = source.read(file).decode()
            except UnicodeDecodeError as error:
                raise InputError(f"{file.key!r} in {source.path} is not a text file") from error
            return tuple(line.strip() for line in text.splitlines() if line.strip())
    return None


def _known(lines: Sequence[str], images: Mapping[str, SourceFile], source: Source, where: str) -> tuple[str, ...]:
    """Give the names of the images that a list tells of, with or without folder and suffix."""
    last = [line.rsplit("/", 1)[-1] for line in lines]
    names = tuple(name if name in images else _split(name)[0] for name in last)
    unknown = [line for line, name in zip(lines, names, strict=True) if name not in images]
    if unknown or not names:
        problem = f"names {unknown[0]!r}, which is no image there" if unknown else "is empty"
        raise InputError(f"{where} of {source.path} {problem}; list names of {IMAGE_FOLDER}, one a line")
    return names


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix.lower()) if dot else (name, "")
