"""Images decoded once, into a file that every later run maps into memory.

A pack is a folder of the cache named by its key: ``images.npy`` and ``pack.json``. It appears by one rename, so it is
whole or not there. The images that can't be decoded are in its list, not in its array.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from filelock import FileLock
from numpy.lib import format as npy
from numpy.typing import NDArray

from nas.data.decode import DECODING_VERSION, BadImageError, decode_image
from nas.data.sources import Source, SourceFile
from search_spaces import InputError

PACK_VERSION = 1
BLOCK = 64  # files read, then decoded side by side; bounds the memory that large photos take

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Name an image that is not in the pack, and why."""

    name: str
    reason: str


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
        _check_space(folder, len(files), resolution)
        with FileLock(f"{entry}.lock"):
            if (pack := _open(entry, len(files))) is not None:
                return pack
            partial = Path(f"{entry}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a packer that was killed, or a damaged pack
            shutil.rmtree(entry, ignore_errors=True)
            partial.mkdir()
            try:
                _write(partial, source, files, resolution, on_progress)
                partial.rename(entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"cannot write packed images to {folder}: {error.strerror or error}; "
            "free some space, or set NAS_CACHE_DIR to a folder that can be written"
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
        notes = json.loads((entry / "pack.json").read_text(encoding="utf-8"))
        skipped = tuple(Skipped(**item) for item in notes["skipped"])
        if len(skipped) == files:  # nothing to map: a file can't be mapped at length 0
            return Pack(np.empty((0, 1, 1, 3), np.uint8), notes["digest"], skipped)
        # A plain view: numpy's memmap class pickles oddly, and its view is mapped and read-only all the same.
        images = np.asarray(np.load(entry / "images.npy", mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Pack(images, notes["digest"], skipped) if len(images) + len(skipped) == files else None


def _write(
    into: Path, source: Source, files: Sequence[SourceFile], resolution: int, on_progress: Progress | None
) -> None:
    """Write a pack's two files; plain writes, for a full disk fails them where it kills who writes through a map."""
    digest = hashlib.blake2b(digest_size=16)
    skipped: list[Skipped] = []
    with (into / "images.npy").open("wb") as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not in the threads that decode: the filters belong to the whole process
        _write_header(out, len(files), resolution)
        for at, results in _decoded(source, files, resolution):
            for file, result in zip(files[at:], results, strict=False):
                if isinstance(result, BadImageError):
                    skipped.append(Skipped(file.key, str(result)))
                else:
                    digest.update(result.data)
                    out.write(result.data)
            if on_progress is not None:
                on_progress(at + len(results), len(files))
        out.seek(0)  # the format pads its header so that the count can change
        _write_header(out, len(files) - len(skipped), resolution)
        out.flush()
        os.fsync(out.fileno())
    notes = {"digest": digest.hexdigest(), "skipped": [asdict(item) for item in skipped]}
    (into / "pack.json").write_text(json.dumps(notes), encoding="utf-8")


def _write_header(out: BinaryIO, count: int, resolution: int) -> None:
    shape = (count, resolution, resolution, 3)
    npy.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decoded(
    source: Source, files: Sequence[SourceFile], resolution: int
) -> Iterator[tuple[int, list[NDArray[np.uint8] | BadImageError]]]:
    """Decode block after block, in threads: Pillow lets go of the interpreter while it decodes."""

    def decode(data: bytes | BadImageError) -> NDArray[np.uint8] | BadImageError:
        try:
            return data if isinstance(data, BadImageError) else decode_image(data, resolution)
        except BadImageError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for at in range(0, len(files), BLOCK):
            block = [_read(source, file) for file in files[at : at + BLOCK]]
            yield at, list(pool.map(decode, block))


def _read(source: Source, file: SourceFile) -> bytes | BadImageError:
    try:
        return source.read(file)
    except BadImageError as error:
        return error


def _check_space(folder: Path, count: int, resolution: int) -> None:
    needed, free = count * resolution * resolution * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{count} images packed at {resolution} px take {needed / 1e9:.2f} GB, "
            f"and {folder} has {free / 1e9:.2f} GB free; "
            "free some space, or set NAS_CACHE_DIR to a folder on a larger disk"
        )
