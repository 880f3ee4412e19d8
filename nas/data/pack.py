"""Images decoded once, into a file that every later run maps into memory.

A pack is a folder of the cache named by its key: ``images.npy`` and ``pack.json``. It appears by one rename, so it is
whole or not there; packing that was killed goes on where it was. An item is a file, or several that belong together as
an image and its mask do; those that can't be decoded are in the pack's list, not in its array.
"""

import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from nas.data.decode import DECODING_VERSION, BadImageError
from nas.data.partial_pack import IMAGES, NOTES, Skipped, partial_pack
from nas.data.sources import Source, SourceFile
from search_spaces import InputError

PACK_VERSION = 2
BLOCK, BLOCK_BYTES = 64, 2**26  # items read, then decoded side by side; bounds the memory that large ones take

Progress = Callable[[int, int], None]
Item = tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an item becomes pixels: ``decode`` takes its number and its files' bytes, and gives an array of ``shape``.

    It may raise ``BadImageError``. ``size`` is for people; ``name`` differs wherever the same files give other pixels.
    """

    name: str
    size: str
    shape: tuple[int, ...]
    decode: Callable[[int, Sequence[bytes]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Pack:
    """Hold the pixels of the items that could be decoded, in the order of the items."""

    images: NDArray[np.uint8]  # (count, *shape), mapped read-only
    digest: str  # of the pixels
    skipped: tuple[Skipped, ...]


def packed(
    source: Source, items: Sequence[Item], decoding: Decoding, folder: Path, on_progress: Progress | None
) -> Pack:
    """Open the pack of these items, and make it first where ``folder`` has none; others who need it wait meanwhile."""
    entry = folder / _key(source, items, decoding)
    if (pack := _open(entry, len(items))) is not None:
        return pack
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{entry}.lock"):
            if (pack := _open(entry, len(items))) is not None:
                return pack
            partial = Path(f"{entry}.partial")
            shutil.rmtree(entry, ignore_errors=True)  # a damaged one
            partial.mkdir(exist_ok=True)  # that of a packer that was killed is gone on with
            _check_space(partial, len(items), decoding)
            _write(partial, source, items, decoding, on_progress)
            partial.rename(entry)
    except OSError as error:
        raise InputError(
            f"cannot write packed images to {folder}: {error.strerror or error}; free some space and try again, which "
            "goes on from here, or set NAS_CACHE_DIR to a folder that can be written"
        ) from error
    pack = _open(entry, len(items))
    if pack is None:
        raise RuntimeError(f"the pack just written to {entry} cannot be opened")
    return pack


def _key(source: Source, items: Sequence[Item], decoding: Decoding) -> str:
    digest = hashlib.blake2b(digest_size=16)
    versions = (PACK_VERSION, DECODING_VERSION, PIL.__version__)
    digest.update(ascii((versions, str(source.path.resolve()), decoding.name, decoding.size, decoding.shape)).encode())
    for item in items:
        digest.update(ascii([(file.key, file.size, file.stamp) for file in item]).encode())
    return digest.hexdigest()


def _open(entry: Path, items: int) -> Pack | None:
    """Open a pack; None where there is none, or where it is damaged."""
    try:
        notes = json.loads((entry / NOTES).read_text(encoding="utf-8"))
        skipped = tuple(Skipped(**item) for item in notes["skipped"])
        if len(skipped) == items:  # nothing to map: a file can't be mapped at length 0
            return Pack(np.empty((0, 1, 1, 3), np.uint8), notes["digest"], skipped)
        # A plain view: numpy's memmap class pickles oddly, and its view is mapped and read-only all the same.
        images = np.asarray(np.load(entry / IMAGES, mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Pack(images, notes["digest"], skipped) if len(images) + len(skipped) == items else None


def _write(into: Path, source: Source, items: Sequence[Item], decoding: Decoding, on_progress: Progress | None) -> None:
    """Decode what is not written yet, and write it."""
    with partial_pack(into, decoding.shape) as pack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not in the threads that decode: the filters belong to the whole process
        for block, results in _decoded(source, items, decoding, pack.done):
            skipped = [
                Skipped(item[0].key, str(result))
                for item, result in zip(block, results, strict=True)
                if isinstance(result, BadImageError)
            ]
            pack.add([result for result in results if not isinstance(result, BadImageError)], skipped)
            if on_progress is not None:
                on_progress(pack.done, len(items))
        pack.finish(into)


def _decoded(
    source: Source, items: Sequence[Item], decoding: Decoding, start: int
) -> Iterator[tuple[Sequence[Item], list[NDArray[np.uint8] | BadImageError]]]:
    """Decode block after block, in threads: Pillow lets go of the interpreter while it decodes."""

    def decode(number: int, data: list[bytes] | BadImageError) -> NDArray[np.uint8] | BadImageError:
        try:
            return data if isinstance(data, BadImageError) else decoding.decode(number, data)
        except BadImageError as error:
            return error

    size = max(1, min(BLOCK, BLOCK_BYTES // math.prod(decoding.shape)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for at in range(start, len(items), size):
            block = items[at : at + size]
            yield block, list(pool.map(decode, range(at, at + size), [_read(source, item) for item in block]))


def _read(source: Source, item: Item) -> list[bytes] | BadImageError:
    try:
        return [source.read(file) for file in item]
    except BadImageError as error:
        return error


def _check_space(partial: Path, count: int, decoding: Decoding) -> None:
    written = sum(file.stat().st_size for file in partial.iterdir())
    needed, free = count * math.prod(decoding.shape) - written, shutil.disk_usage(partial).free
    if needed > free:
        raise InputError(
            f"{count} images packed at {decoding.size} take {needed / 1e9:.2f} GB more, "
            f"and {partial.parent} has {free / 1e9:.2f} GB free; "
            "free some space, or set NAS_CACHE_DIR to a folder on a larger disk"
        )
