"""The files of one NetAdapt: append-only lines of what was judged and kept, and the weights that belong to them.

config.yaml, environment.json    what was asked, what it was made with
table.lut                        the latency table, with the Ops that it lacked
proposals.jsonl, steps.jsonl     one synced line a proposal (`Judged`) and a step (`Kept`)
weights/NNN.pt                   the network that step NNN ended with; 000 is the seed
weights/NNN-<key>.pt             a proposal's, until its step is decided
adapted.yaml, adapted.pt         the network that was reached
report.html                      the page
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from latency import LatencyTable, save_table
from nas.classifier_file import ClassifierFile, load_classifier
from nas.netadapt.adapt import Judged, Kept, base_mark
from search_spaces import FileError

Line = TypeVar("Line", Judged, Kept)


@dataclass(frozen=True, slots=True)
class AdaptFolder:
    """The folder of one run, which exists."""

    path: Path

    @property
    def table(self) -> Path:
        return self.path / "table.lut"

    @property
    def adapted(self) -> Path:
        return self.path / "adapted.pt"

    def weights(self, step: int) -> Path:
        """Name the file of the network that a step ended with."""
        return self.path / "weights" / f"{step:03}.pt"

    def weights_of(self, key: str) -> Path:
        """Name the file of a proposal's weights, which lie there until its step is decided."""
        return self.path / "weights" / f"{key}.pt"

    def load_base(self, key: str) -> ClassifierFile:
        """Load the network that a proposal narrows: its step's before, or one that may become that."""
        step, mark, _ = key.split("-", 2)
        before = int(step) - 1
        for path in self.path.glob(f"weights/{before:03}-*.pt"):
            if base_mark(path.stem) == mark:
                with contextlib.suppress(FileError):  # its step was decided just now
                    return load_classifier(path)
        return load_classifier(self.weights(before))

    def write_table(self, table: LatencyTable) -> None:
        """Write the table as it is now."""
        save_table(table, self.table)

    def append_judged(self, judged: Judged) -> None:
        """Write a proposal's line to disk, for good."""
        _append(self.path / "proposals.jsonl", TypeAdapter(Judged).dump_json(judged))

    def append_kept(self, kept: Kept) -> None:
        """Write a step's line to disk, for good, and give its weights their place."""
        _append(self.path / "steps.jsonl", TypeAdapter(Kept).dump_json(kept))
        self.settle(kept)

    def settle(self, kept: Kept) -> None:
        """Move the weights of a decided step to their place and drop the others'; again, it changes nothing."""
        chosen = self.weights_of(kept.key)
        if chosen.exists():
            chosen.replace(self.weights(kept.step))
        for other in chosen.parent.glob(f"{kept.step:03}-*.pt"):
            other.unlink()

    def drop_proposals(self) -> None:
        """Remove the weights of all that were not kept, once the run is done."""
        for other in self.path.glob("weights/*-*.pt"):
            other.unlink()

    def read_kept(self) -> list[Kept]:
        """Read the steps; the last one's weights are in their place afterwards."""
        steps = _read(self.path / "steps.jsonl", Kept)
        for step in steps[-1:]:
            self.settle(step)
            if not self.weights(step.step).exists():
                raise FileError(f"{self.weights(step.step)} is missing; restore it from a copy")
        return steps

    def read_judged(self) -> list[Judged]:
        """Read all proposals' lines in the order in which they were finished."""
        return _read(self.path / "proposals.jsonl", Judged)

    def unfinished(self, step: int) -> list[Judged]:
        """Read the proposals from a step on that need not be judged again: their accuracy and weights are there."""
        lines = [judged for judged in self.read_judged() if judged.step >= step and judged.accuracy is not None]
        return [judged for judged in lines if self.weights_of(judged.key).exists()]


def _append(path: Path, line: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; make room, and go on with --resume") from error


def _read(path: Path, kind: type[Line]) -> list[Line]:
    """Read all lines; half a line at the end, which a kill left, is cut off."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    lines = []
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            lines.append(TypeAdapter(kind).validate_python(json.loads(text)))
        except (ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors
            raise FileError(f"{path} line {number} is not of this run: restore the file from a copy") from error
    return lines
