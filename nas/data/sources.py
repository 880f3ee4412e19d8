"""Where image files lie: a folder or a zip, each as a list of files and a way to read one."""

import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nas.data.decode import BadImageError
from search_spaces import InputError

# What systems leave behind; names that begin with a dot are ignored too. Compared in lower case.
LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Name one file: ``key`` as the source spells it, ``parts`` as every machine would."""

    key: str
    parts: Parts
    size: int  # bytes
    stamp: int  # time of the last change in ns, or a zip's CRC: with the size it tells whether the file has changed


class Source(Protocol):
    """What holds files: neither hidden ones nor those that systems leave behind are listed."""

    @property
    def path(self) -> Path: ...

    @property
    def files(self) -> Sequence[SourceFile]: ...

    @property
    def folders(self) -> Sequence[Parts]: ...

    def read(self, file: SourceFile) -> bytes:
        """Read a whole file; ``InputError`` if it can't be read, ``BadImageError`` if what is stored is damaged."""
        ...


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a folder or a zip; one line of ``InputError`` if it is neither."""
    if path.is_dir():
        yield _Folder(path, *_walk(path))
        return
    archive = _archive(path)
    with archive:
        yield _Zip(path, archive, *_members(path, archive))


def _archive(path: Path) -> zipfile.ZipFile:
    neither = f"{path} is neither a folder nor a zip file; give one that holds class/name.jpg"
    if not path.is_file():
        raise InputError(neither)
    try:
        with path.open("rb") as stream:
            found = zipfile.is_zipfile(stream)
        if not found and path.suffix.lower() == ".zip":
            raise InputError(f"{path} is not a whole zip file; it is damaged or cut short: fetch or make it again")
        if not found:
            raise InputError(neither)
        return zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is damaged: {error}; fetch or make it again") from error


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    files: Sequence[SourceFile]
    folders: Sequence[Parts]

    def read(self, file: SourceFile) -> bytes:
        try:
            return (self.path / file.key).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {str(self.path / file.key)!r}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Zip:
    path: Path
    archive: zipfile.ZipFile
    files: Sequence[SourceFile]
    folders: Sequence[Parts]

    def read(self, file: SourceFile) -> bytes:
        try:
            return self.archive.read(file.key)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BadImageError(f"damaged in the zip: {error}") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: a password or a compression that Python lacks
            raise InputError(f"cannot read {file.key!r} in {self.path}: {error}") from error


def _walk(root: Path) -> tuple[list[SourceFile], list[Parts]]:
    """List a folder; links are followed, but not back into a folder that they are in."""
    files: list[SourceFile] = []
    folders: list[Parts] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        at, above = waiting.pop()
        try:
            status = (root / at).stat()
            if (status.st_dev, status.st_ino) in above:
                continue
            if at:
                folders.append(_parts(at))
            within = above | {(status.st_dev, status.st_ino)}
            with os.scandir(root / at) as entries:
                for entry in entries:
                    key = f"{at}/{entry.name}" if at else entry.name
                    if _ignored(entry.name):
                        continue
                    if entry.is_dir():
                        waiting.append((key, within))
                    elif stat.S_ISREG((status := entry.stat()).st_mode):
                        files.append(SourceFile(key, _parts(key), status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise InputError(f"cannot read {error.filename!r}: {error.strerror}") from error
    return files, folders


def _members(path: Path, archive: zipfile.ZipFile) -> tuple[list[SourceFile], list[Parts]]:
    files: dict[Parts, SourceFile] = {}  # the last member of a name counts, as when unpacking
    folders: set[Parts] = set()
    for info in archive.infolist():
        parts = _parts(info.filename.replace("\\", "/"))  # some systems write zips so
        if not parts or any(_ignored(part) for part in parts):
            continue
        folders.update(parts[:depth] for depth in range(1, len(parts)))
        if info.is_dir():
            folders.add(parts)
        elif info.flag_bits & 1:
            raise InputError(f"{path} is encrypted; unpack it, or make a zip without a password")
        else:
            files[parts] = SourceFile(info.filename, parts, info.file_size, info.CRC)
    return list(files.values()), sorted(folders)


def _parts(key: str) -> Parts:
    # Systems spell accented letters as one character or as two.
    return tuple(part for part in unicodedata.normalize("NFC", key).split("/") if part not in ("", "."))


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BEHIND
