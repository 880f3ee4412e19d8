"""Images with boxes: a folder or zip in Pascal VOC's layout to arrays, the pixels decoded once into a file."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nas.data.decode import BadImageError
from nas.data.load import image_cache
from nas.data.pack import Decoding, packed
from nas.data.sources import Source, open_source
from nas.detection.annotations import Object, fault_of, unit_box
from nas.detection.layout import ANNOTATIONS, Entry, VocLayout, listed, read_layout
from search_spaces import InputError

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class DetectionData:
    """Hold a data set at one resolution; images are squeezed to squares, as the published detectors' are.

    ``images`` is a view of a memory-mapped file. ``boxes`` are corners as shares of the image's sides. ``difficult``
    boxes are learned from, but not scored.
    """

    images: NDArray[np.uint8]  # (count, resolution, resolution, 3)
    boxes: tuple[NDArray[np.float32], ...]  # one an image, (n, 4)
    labels: tuple[NDArray[np.int64], ...]  # one an image, (n,), indices into classes
    difficult: tuple[NDArray[np.bool_], ...]  # one an image, (n,)
    train: NDArray[np.int64]  # indices into images, ascending
    validation: NDArray[np.int64]  # likewise; no index is in both
    classes: tuple[str, ...]
    name: str

    @property
    def resolution(self) -> int:
        """Give the side of the images in pixels."""
        return int(self.images.shape[1])


def load_detection(
    path: Path,
    resolution: int,
    *,
    seed: int = 0,
    validation_share: float = 0.2,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    note: Note | None = None,
) -> DetectionData:
    """Load ``Annotations/*.xml`` and ``JPEGImages/*`` of a folder or zip; the images are decoded once into the cache.

    The split is the data set's own where ``ImageSets/Main`` has ``train.txt`` and ``val.txt``; otherwise by ``seed``.
    ``classes`` are those of ``labels.txt`` where it is there, else all that occur. With ``skip_bad`` bad boxes and
    images that can't be decoded are left out, and ``note`` is told; else they raise ``InputError``.
    """
    with open_source(path) as source:
        layout = read_layout(source)
        classes = _classes(layout, classes, path)
        train, validation = _split(layout, seed, validation_share, path)
        entries = [entry for entry in layout.entries if entry.name in train or entry.name in validation]
        items = [(entry.image,) for entry in entries]
        pack = packed(source, items, _squeezed(entries, resolution), image_cache(cache_dir), on_progress)
        left_out = {item.name: item.reason for item in pack.skipped}
        kept = [entry for entry in entries if entry.image.key not in left_out]
        found = [_sorted_boxes(entry, source) for entry in kept]
    faults = [f"{PurePosixPath(name).name}: {reason}" for name, reason in left_out.items()]
    faults += [text for _, bad in found for text in bad]
    _report(faults, path, skip_bad, note or (lambda text: None))
    index_of = {name: index for index, name in enumerate(classes)}
    objects = [good for good, _ in found]
    return DetectionData(
        images=pack.images,
        boxes=tuple(np.array([item.box for item in good], np.float32).reshape(-1, 4) for good in objects),
        labels=tuple(np.array([index_of[item.label] for item in good], np.int64) for good in objects),
        difficult=tuple(np.array([item.difficult for item in good], np.bool_) for good in objects),
        train=np.array([index for index, entry in enumerate(kept) if entry.name in train], np.int64),
        validation=np.array([index for index, entry in enumerate(kept) if entry.name in validation], np.int64),
        classes=tuple(classes),
        name=path.resolve().stem if path.is_file() else path.resolve().name,
    )


def _report(faults: Sequence[str], path: Path, skip_bad: bool, note: Note) -> None:
    if faults and not skip_bad:
        raise InputError(
            f"{len(faults)} boxes or images in {path} cannot be used: {listed(faults)}; "
            "mend them, or leave them out by --skip-bad-images (skip_bad=True)"
        )
    for fault in faults:
        note(f"left out {fault}")


def _squeezed(entries: Sequence[Entry], resolution: int) -> Decoding:
    """Squeeze images to squares; those whose size is not what their annotation says are bad."""
    sizes = [(entry.annotation.width, entry.annotation.height) for entry in entries]

    def decode(number: int, data: Sequence[bytes]) -> NDArray[np.uint8]:
        with _opened(data[0]) as image:
            if all(sizes[number]) and image.size != sizes[number]:
                told = [f"{width}x{height}" for width, height in (image.size, sizes[number])]
                raise BadImageError(f"it has {told[0]} pixels, and its annotation says {told[1]}")
            squeezed = image.convert("RGB").resize((resolution, resolution), Image.Resampling.BILINEAR)
        return np.asarray(squeezed)

    told = hashlib.blake2b(repr(sizes).encode(), digest_size=16).hexdigest()
    return Decoding(f"squeezed, sizes {told}", f"{resolution} px", (resolution, resolution, 3), decode)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open an image; ``BadImageError`` for all that goes wrong with it.

    What EXIF says of its orientation does not count: annotations speak of the pixels as they are stored.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except BadImageError:
        raise
    except UnidentifiedImageError as error:
        raise BadImageError("not an image in a known format") from error
    except Exception as error:  # decoders of damaged files raise anything
        raise BadImageError(" ".join(str(error).split()) or type(error).__name__) from error


def _sorted_boxes(entry: Entry, source: Source) -> tuple[list[Object], list[str]]:
    """Give the objects with their boxes as shares of the image's sides, and what is wrong with those that have none."""
    size = entry.annotation.width, entry.annotation.height
    if not all(size):
        with _opened(source.read(entry.image)) as image:  # it could be decoded
            size = image.size
    good, bad = [], []
    for item in entry.annotation.objects:
        fault = fault_of(item.box, *size)
        if fault is None:
            good.append(Object(item.label, unit_box(item.box, *size), item.difficult))
        else:
            corners = ", ".join(f"{value:g}" for value in item.box)
            bad.append(f"{ANNOTATIONS}/{entry.name}.xml: the {item.label} box ({corners}) is {fault}")
    return good, bad


def _classes(layout: VocLayout, given: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Give the labels that there are, in order; ``InputError`` for one that is not among those given."""
    found = {item.label: entry.name for entry in reversed(layout.entries) for item in entry.annotation.objects}
    allowed = layout.labels if given is None else tuple(given)
    if allowed is None:
        if not found:
            raise InputError(f"the annotations in {path} hold no object; there is nothing to learn")
        return tuple(sorted(found))
    unknown = sorted(set(found) - set(allowed))
    if unknown:
        raise InputError(
            f"unknown label {unknown[0]!r} in {ANNOTATIONS}/{found[unknown[0]]}.xml of {path}; known are "
            f"{', '.join(allowed)}: mend it, or add it to labels.txt"
        )
    return allowed


def _split(layout: VocLayout, seed: int, share: float, path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Give the names to train with and those to validate with."""
    names = [entry.name for entry in layout.entries]
    if layout.train is not None and layout.validation is not None:
        train, validation = frozenset(layout.train), frozenset(layout.validation) - frozenset(layout.train)
        missing = sorted((train | validation) - set(names))
        if missing:
            raise InputError(
                f"{len(missing)} images in the lists of {path} have no annotation: {listed(missing)}; mend "
                "ImageSets/Main/train.txt and val.txt, or remove them for a split by seed"
            )
    else:
        if seed < 0 or not 0 < share < 1:
            raise InputError(f"the seed must be 0 or more and the share between 0 and 1, got {seed} and {share}")
        order = np.random.default_rng(seed).permutation(len(names))
        held_out = min(max(1, round(len(names) * share)), len(names) - 1)
        validation = frozenset(names[index] for index in order[:held_out])
        train = frozenset(names) - validation
    if not train or not validation:
        raise InputError(
            f"{path} needs images to train with and to validate with, got {len(train)} and {len(validation)}"
        )
    return train, validation
