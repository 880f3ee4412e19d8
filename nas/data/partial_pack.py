"""A pack while it is made: pixels as they come, and a journal of what is on disk, to go on from after a kill.

``images.npy`` grows block by block; ``journal.jsonl`` gets a line for each, once its pixels are written: how many items
it took, their pixels' bytes and checksum, and the items that could not be decoded.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

IMAGES, NOTES, _JOURNAL = "images.npy", "pack.json", "journal.jsonl"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Name an image that is not in the pack, and why."""

    name: str
    reason: str


class PartialPack:
    """The images of the first ``done`` items are written.

    Plain writes: a full disk fails them, where it kills who writes through a map.
    """

    def __init__(self, shape: tuple[int, ...], pixels: BinaryIO, journal: TextIO) -> None:
        self.done = 0
        self._shape, self._pixels, self._journal = shape, pixels, journal
        self._images = 0
        self._skipped: list[Skipped] = []
        self._digest = hashlib.blake2b(digest_size=16)
        self._write_header()
        self._recover()

    def add(self, images: Sequence[Pixels], skipped: Sequence[Skipped]) -> None:
        """Write the next block: the images of some items, and those of them that have none."""
        data = b"".join(image.tobytes() for image in images)
        self._pixels.write(data)
        self._pixels.flush()
        block = {
            "items": len(images) + len(skipped),
            "bytes": len(data),
            "digest": _digest(data),
            "skipped": [asdict(item) for item in skipped],
        }
        self._journal.write(json.dumps(block) + "\n")
        self._journal.flush()
        self._take(block, data)

    def finish(self, folder: Path) -> None:
        """Say in the header how many images there are, and write the notes."""
        self._pixels.seek(0)  # the format pads its header so that the count can change
        self._write_header()
        self._pixels.flush()
        os.fsync(self._pixels.fileno())
        notes = {"digest": self._digest.hexdigest(), "skipped": [asdict(item) for item in self._skipped]}
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")

    def _recover(self) -> None:
        """Take up the blocks that are on disk as the journal says; what comes after them goes."""
        good = 0
        self._journal.seek(0)
        for line in iter(self._journal.readline, ""):
            try:
                block = json.loads(line)
                data = self._pixels.read(block["bytes"])
                if _digest(data) != block["digest"] or not line.endswith("\n"):
                    break
                self._take(block, data)
            except (ValueError, KeyError, TypeError):  # a line that was cut, or damaged
                break
            good = self._journal.tell()
        self._journal.seek(good)
        self._journal.truncate()
        start = self._pixels.seek(0) + self._write_header()
        self._pixels.seek(start + self._images * self._image_bytes)
        self._pixels.truncate()

    @property
    def _image_bytes(self) -> int:
        return math.prod(self._shape)

    def _take(self, block: dict[str, Any], data: bytes) -> None:
        skipped = [Skipped(**item) for item in block["skipped"]]
        self._digest.update(data)
        self._images += len(data) // self._image_bytes
        self._skipped += skipped
        self.done += block["items"]

    def _write_header(self) -> int:
        """Write the header; give its bytes, which are as many for any count."""
        shape = (self._images, *self._shape)
        npy.write_array_header_1_0(self._pixels, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return self._pixels.tell()


@contextmanager
def partial_pack(folder: Path, shape: tuple[int, ...]) -> Iterator[PartialPack]:
    """Open the pack that is made in a folder, of images of this shape, or begin one."""
    for name in (IMAGES, _JOURNAL):
        (folder / name).touch()
    with (folder / IMAGES).open("r+b") as pixels, (folder / _JOURNAL).open("r+", encoding="utf-8") as journal:
        yield PartialPack(shape, pixels, journal)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
