"""A name, a folder or a zip to ``ImageData``."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from nas.data.decode import decode_image
from nas.data.digits import CLASSES, load_digits
from nas.data.image_data import ImageData, fingerprint
from nas.data.layout import find_layout
from nas.data.pack import Decoding, packed
from nas.data.partial_pack import Skipped
from nas.data.sources import open_source
from nas.data.split import split
from search_spaces import InputError

SHIPPED = ("digits",)


def load_data(
    source: str | Path,
    resolution: int,
    *,
    seed: int = 0,
    validation_share: float = 0.2,
    train_images: int | None = None,
    validation_images: int | None = None,
    skip_bad_images: bool = False,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_skipped: Callable[[str, str], None] | None = None,
) -> ImageData:
    """Load images as squares of ``resolution`` pixels, split into training and validation by ``seed``.

    ``source`` is the string ``digits`` or the path of a folder or zip that holds ``class/name.jpg``; a path called
    digits is given as ``./digits`` or as a ``Path``. Folders and zips are decoded once into ``cache_dir`` (default:
    NAS_CACHE_DIR, else the user's cache folder), with ``on_progress(done, total)``. ``train_images`` and
    ``validation_images`` take at most so many, of every class in proportion. Images that can't be decoded raise
    ``InputError`` unless ``skip_bad_images``; then ``on_skipped(name, reason)`` is called for each.
    """
    if resolution < 1:
        raise InputError(f"the resolution must be at least 1 pixel, got {resolution}")
    if isinstance(source, str) and source in SHIPPED:
        decoded = _shipped(source, resolution)
    else:
        decoded = _from_files(_existing(source), resolution, skip_bad_images, cache_dir, on_progress, on_skipped)
    train, validation = split(
        decoded.labels,
        decoded.classes,
        seed=seed,
        validation_share=validation_share,
        train_images=train_images,
        validation_images=validation_images,
    )
    seen = fingerprint(decoded.digest, decoded.labels, decoded.classes, train, validation)
    return ImageData(decoded.images, decoded.labels, train, validation, decoded.classes, decoded.name, seen)


def cache_folder(given: Path | None = None) -> Path:
    """Give the folder for what can be made again: ``given``, else NAS_CACHE_DIR, else the user's cache folder."""
    if given is not None:
        return given
    named = os.environ.get("NAS_CACHE_DIR")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("nas-mobile")


def image_cache(given: Path | None = None) -> Path:
    """Give the folder for packed images."""
    return cache_folder(given) / "images"


def _squares(resolution: int) -> Decoding:
    def decode(number: int, data: Sequence[bytes]) -> NDArray[np.uint8]:
        return decode_image(data[0], resolution)

    return Decoding("squares", f"{resolution} px", (resolution, resolution, 3), decode)


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str  # of the pixels


def _shipped(name: str, resolution: int) -> _Decoded:
    images, labels = load_digits(resolution)
    return _Decoded(name, images, labels, CLASSES, hashlib.blake2b(images.data, digest_size=16).hexdigest())


def _from_files(
    path: Path,
    resolution: int,
    skip_bad_images: bool,
    cache_dir: Path | None,
    on_progress: Callable[[int, int], None] | None,
    on_skipped: Callable[[str, str], None] | None,
) -> _Decoded:
    with open_source(path) as source:
        layout = find_layout(source)
        pack = packed(
            source, [(file,) for file in layout.files], _squares(resolution), image_cache(cache_dir), on_progress
        )
    if not skip_bad_images:
        refuse_skipped(pack.skipped, path, len(layout.files))
    if on_skipped is not None:
        for item in pack.skipped:
            on_skipped(item.name, item.reason)
    left_out = {item.name for item in pack.skipped}
    kept = [label for label, file in zip(layout.labels, layout.files, strict=True) if file.key not in left_out]
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return _Decoded(name, pack.images, np.array(kept, np.int64), layout.classes, pack.digest)


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser()
    try:
        found = path.exists() and source != ""  # an empty path would mean the current folder
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not found:
        raise InputError(
            f"no data set {str(source)!r}: give a shipped one ({', '.join(SHIPPED)}), or the path of a folder or zip"
        )
    return path


def refuse_skipped(skipped: tuple[Skipped, ...], path: Path, count: int) -> None:
    """Raise ``InputError`` that names what is not in a pack of so many images, if anything is not."""
    named = ", ".join(f"{item.name!r} ({item.reason})" for item in skipped[:3]) + (", ..." if len(skipped) > 3 else "")
    if skipped:
        raise InputError(
            f"{len(skipped)} of {count} images in {path} cannot be used: {named}; "
            "mend or remove them, or go on without them by --skip-bad-images"
        )
