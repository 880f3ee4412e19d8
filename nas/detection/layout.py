"""Which files belong together: ``Annotations/a.xml`` with ``JPEGImages/a.jpg``, and lists in ``ImageSets/Main``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from nas.data.layout import IMAGE_SUFFIXES, natural
from nas.data.sources import Parts, Source, SourceFile
from nas.detection.annotations import Annotation, BadAnnotationError, parse_annotation
from search_spaces import InputError

ANNOTATIONS, IMAGES, SETS = "Annotations", "JPEGImages", ("ImageSets", "Main")
LABELS = "labels.txt"
_LAYOUT = f"{ANNOTATIONS}/NAME.xml and {IMAGES}/NAME.jpg"
_LISTED = 3  # of what is wrong, by name


@dataclass(frozen=True, slots=True)
class Entry:
    """One image with its annotation."""

    name: str
    annotation: Annotation
    image: SourceFile


@dataclass(frozen=True, slots=True)
class VocLayout:
    """Hold a data set's images in the order of their names, its own split if it has one, and its list of labels."""

    entries: tuple[Entry, ...]
    train: tuple[str, ...] | None
    validation: tuple[str, ...] | None
    labels: tuple[str, ...] | None


def read_layout(source: Source) -> VocLayout:
    """Find and read the annotations of a source; one line of ``InputError`` says what does not fit."""
    root = _root(source)
    below = {file.parts[len(root) :]: file for file in source.files if file.parts[: len(root)] == root}
    images = {_stem(parts[1]): file for parts, file in below.items() if _is_image(parts)}
    by_name = {file.parts[-1]: file for parts, file in below.items() if _is_image(parts)}
    annotations = sorted((parts[1] for parts in below if _is_annotation(parts)), key=natural)
    entries, alone = [], []
    for name in annotations:
        annotation = _parsed(source, below[(ANNOTATIONS, name)])
        image = images.get(_stem(name)) or by_name.get(annotation.filename)
        if image is None:
            alone.append(name)
        else:
            entries.append(Entry(_stem(name), annotation, image))
    if alone:
        raise InputError(
            f"{len(alone)} annotations in {source.path} are without their image: {listed(alone)}; put it into "
            f"{IMAGES} under the same name, or remove the annotation"
        )
    train, validation = (_listing(source, below, f"{name}.txt") for name in ("train", "val"))
    return VocLayout(tuple(entries), train, validation, _lines(source, below.get((LABELS,))))


def listed(names: Sequence[str]) -> str:
    """Name the first few."""
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _root(source: Source) -> Parts:
    """Give the folder that holds the annotations."""
    roots = {file.parts[:-2] for file in source.files if len(file.parts) > 1 and _is_annotation(file.parts[-2:])}
    if not roots:
        raise InputError(f"no annotations in {source.path}; it must hold {_LAYOUT}")
    if len(roots) > 1:
        named = listed(sorted("/".join(root) or "." for root in roots))
        raise InputError(f"{source.path} holds {len(roots)} data sets ({named}); give the path of the one to take")
    return roots.pop()


def _is_annotation(parts: Parts) -> bool:
    return len(parts) == 2 and parts[0] == ANNOTATIONS and parts[1].lower().endswith(".xml")


def _is_image(parts: Parts) -> bool:
    return len(parts) == 2 and parts[0] == IMAGES and PurePosixPath(parts[1]).suffix.lower() in IMAGE_SUFFIXES


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _parsed(source: Source, file: SourceFile) -> Annotation:
    try:
        return parse_annotation(source.read(file))
    except BadAnnotationError as error:
        raise InputError(f"cannot use {file.key!r} in {source.path}: {error}") from error


def _listing(source: Source, below: dict[Parts, SourceFile], name: str) -> tuple[str, ...] | None:
    """Read the names of an image set; a line may say more behind the name, as those of single classes do."""
    lines = _lines(source, below.get((*SETS, name)))
    return None if lines is None else tuple(line.split()[0] for line in lines)


def _lines(source: Source, file: SourceFile | None) -> tuple[str, ...] | None:
    if file is None:
        return None
    try:
        text = source.read(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file.key!r} in {source.path} is not text in UTF-8") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())
