"""Images decoded once, into a file that every later run maps into memory.

A pack is a folder of the cache named by its key: ``images.npy`` and ``pack.json``. It appears by one rename, so it is
whole or not there; packing that was killed goes on where it was. The images that can't be decoded are in its list, not
in its array.
"""

import hashlib
import json
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

from nas.data.decode import DECODING_VERSION, BadImageError, decode_image
from nas.data.partial_pack import IMAGES, NOTES, Skipped, partial_pack
from nas.data.sources import Source, SourceFile
from search_spaces import InputError

PACK_VERSION = 1
BLOCK = 64  # files read, then decoded side by side; bounds the memory that large photos take

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pack:
    """Hold the images of the files that could be decoded, in the order of the files."""

    images: NDArray[np.uint8]  # (count, resolution, resolution, 3), mapped read-only
    digest: str  # of the pixels
    skipped: tuple[Skipped, ...]


def packed(
    source: Source, files: Sequence[SourceFile], resolution: int, folder: Path, on_progress: Progress | None
) -> Pack:
    """Open the pack of these files, and make it first where ``folder`` has none; others who need it wait meanwhile."""
    entry = folder / _key(source, files, resolution)
    if (pack := _open(entry, len(files))) is not None:
        return pack
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{entry}.lock"):
            if (pack := _open(entry, len(files))) is not None:
                return pack
            partial = Path(f"{entry}.partial")
            shutil.rmtree(entry, ignore_errors=True)  # a damaged one
            partial.mkdir(exist_ok=True)  # that of a packer that was killed is gone on with
            _check_space(partial, len(files), resolution)
            _write(partial, source, files, resolution, on_progress)
            partial.rename(entry)
    except OSError as error:
        raise InputError(
            f"cannot write packed images to {folder}: {error.strerror or error}; free some space and try again, which "
            "goes on from here, or set NAS_CACHE_DIR to a folder that can be written"
        ) from error
    pack = _open(entry, len(files))
    if pack is None:
        raise RuntimeError(f"the pack just written to {entry} cannot be opened")
    return pack


def _key(source: Source, files: Sequence[SourceFile], resolution: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    versions = (PACK_VERSION, DECODING_VERSION, PIL.__version__)
    digest.update(ascii((versions, str(source.path.resolve()), resolution)).encode())
    for file in files:
        digest.update(ascii((file.key, file.size, file.stamp)).encode())
    return digest.hexdigest()


def _open(entry: Path, files: int) -> Pack | None:
    """Open a pack; None where there is none, or where it is damaged."""
    try:
        notes = json.loads((entry / NOTES).read_text(encoding="utf-8"))
        skipped = tuple(Skipped(**item) for item in notes["skipped"])
        if len(skipped) == files:  # nothing to map: a file can't be mapped at length 0
            return Pack(np.empty((0, 1, 1, 3), np.uint8), notes["digest"], skipped)
        # A plain view: numpy's memmap class pickles oddly, and its view is mapped and read-only all the same.
        images = np.asarray(np.load(entry / IMAGES, mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Pack(images, notes["digest"], skipped) if len(images) + len(skipped) == files else None


def _write(
    into: Path, source: Source, files: Sequence[SourceFile], resolution: int, on_progress: Progress | None
) -> None:
    """Decode what is not written yet, and write it."""
    with partial_pack(into, resolution) as pack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not in the threads that decode: the filters belong to the whole process
        for block, results in _decoded(source, files[pack.files :], resolution):
            skipped = [
                Skipped(file.key, str(result))
                for file, result in zip(block, results, strict=True)
                if isinstance(result, BadImageError)
            ]
            pack.add([result for result in results if not isinstance(result, BadImageError)], skipped)
            if on_progress is not None:
                on_progress(pack.files, len(files))
        pack.finish(into)


def _decoded(
    source: Source, files: Sequence[SourceFile], resolution: int
) -> Iterator[tuple[Sequence[SourceFile], list[NDArray[np.uint8] | BadImageError]]]:
    """Decode block after block, in threads: Pillow lets go of the interpreter while it decodes."""

    def decode(data: bytes | BadImageError) -> NDArray[np.uint8] | BadImageError:
        try:
            return data if isinstance(data, BadImageError) else decode_image(data, resolution)
        except BadImageError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for at in range(0, len(files), BLOCK):
            block = files[at : at + BLOCK]
            yield block, list(pool.map(decode, [_read(source, file) for file in block]))


def _read(source: Source, file: SourceFile) -> bytes | BadImageError:
    try:
        return source.read(file)
    except BadImageError as error:
        return error


def _check_space(partial: Path, count: int, resolution: int) -> None:
    written = sum(file.stat().st_size for file in partial.iterdir())
    needed, free = count * resolution * resolution * 3 - written, shutil.disk_usage(partial).free
    if needed > free:
        raise InputError(
            f"{count} images packed at {resolution} px take {needed / 1e9:.2f} GB more, "
            f"and {partial.parent} has {free / 1e9:.2f} GB free; "
            "free some space, or set NAS_CACHE_DIR to a folder on a larger disk"
        )
