"""Measurements on disk as they are made, so that a killed build goes on where it was."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from latency.protocol import Measurement
from latency.source import Chain, SourceFacts
from search_spaces import FileError, Op

FORMAT = 1


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    part: str
    chain: tuple[str, ...]
    cold_ms: tuple[PositiveFloat, ...]
    warm_ms: tuple[PositiveFloat, ...]
    reference_ms: tuple[PositiveFloat, ...]
    calls: PositiveInt
    load: NonNegativeInt
    shares: tuple[NonNegativeFloat, ...] = ()


class Journal:
    """An append-only file of measurements from one device and runtime: JSON lines after one that says what it is.

    Its parts are measured apart: the same chain may stand in several.
    """

    def __init__(self, path: Path, facts: SourceFacts) -> None:
        """Open or begin the file; ``FileError`` if it holds measurements of something else, or another build has it."""
        self.path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)  # let go when this process ends, however it does
        except Timeout as error:
            raise FileError(f"another build is writing {path}; wait for its end, or give another --out") from error
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from error
        self.loads = 0  # batches so far; each measurement knows the number of its own
        self._taken: dict[tuple[str, Chain], list[Measurement]] = {}
        self._about = {"format": FORMAT, **asdict(facts)}
        if path.exists():
            self._read()
        else:
            self._append([self._about])

    def close(self) -> None:
        """Let others have the file."""
        self._lock.release()

    def add(self, part: str, measurements: Iterable[Measurement]) -> None:
        """Keep measurements; they are on the disk when this returns."""
        new = list(measurements)
        self._append([_line(part, one) for one in new])
        for one in new:
            self._keep(part, one)

    def taken(self, part: str, chain: Chain) -> list[Measurement]:
        """Give a chain's measurements, each in one batch, in the order in which they were taken."""
        return self._taken.get((part, chain), [])

    def _keep(self, part: str, one: Measurement) -> None:
        self._taken.setdefault((part, one.chain), []).append(one)
        self.loads = max(self.loads, one.loads[0] + 1)

    def _append(self, lines: Iterable[Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {error.strerror}") from error

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole, _, cut = text.rpartition("\n")
        if cut:  # killed in the middle of a line: what follows must begin a new one
            os.truncate(self.path, len((whole + "\n").encode()) if whole else 0)
        lines = whole.split("\n") if whole else []
        if not lines:
            self._append([self._about])
            return
        self._check_about(lines[0])
        for number, line in enumerate(lines[1:], 2):
            try:
                found = _Line.model_validate_json(line)
                chain = tuple(Op.parse(key) for key in found.chain)
            except (ValidationError, ValueError) as error:
                raise FileError(
                    f"{self.path} line {number} is no measurement; delete the file to start over"
                ) from error
            loads = (found.load,) * len(found.warm_ms)
            samples = found.cold_ms, found.warm_ms, found.reference_ms
            self._keep(found.part, Measurement(chain, *samples, found.calls, loads, found.shares))

    def _check_about(self, line: str) -> None:
        try:
            about = json.loads(line)
        except ValueError:
            about = None
        if about != self._about:
            raise FileError(
                f"{self.path} holds measurements of something else ({_short(about)}; this is {_short(self._about)}); "
                "delete it, or give another --out"
            )


def _line(part: str, one: Measurement) -> dict[str, Any]:
    values = {name: value for name, value in asdict(one).items() if name != "loads"}
    return {"part": part} | values | {"chain": [op.key for op in one.chain], "load": one.loads[0]}


def _short(about: Any) -> str:
    if not isinstance(about, dict):
        return "unreadable"
    return ", ".join(
        str(about.get(name)) for name in ("device", "runtime", "runtime_version", "threads", "clock_policy")
    )
