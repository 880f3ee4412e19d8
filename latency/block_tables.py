"""Block latency tables as others publish them (`latency.block_rows`), as tables of ours.

A file is YAML, a row a block: its name, and the mean of its times, their number, and their variance or deviation. One
time for two Ops is shared out by the numbers that each reads: a guess, but their sum, which a network needs, is none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt

from latency.block_rows import EXAMPLE, row_ops
from latency.source import SourceFacts
from latency.table import LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import FileError, Op, check
from search_spaces.arch import Activation
from search_spaces.checked import read_text

UNSTATED = "unstated"
Unit = Literal["ms", "us"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MS = {"ms": 1.0, "us": 1e-3}
_P90 = NormalDist().inv_cdf(0.9)  # standard deviations above the mean
_SHOWN_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class BlockTable:
    """A file's times, by Op. ``shared`` are rows that time two Ops; ``unknown`` rows that no Op says, each with why."""

    name: str
    timings: Mapping[Op, Timing]
    shared: tuple[str, ...]
    unknown: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Imported:
    """A table made of a file, the Ops that were asked for and it lacks, and the file's rows that are not in it."""

    table: LatencyTable
    missing: tuple[Op, ...]
    unknown: Mapping[str, str]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mean: Annotated[FiniteFloat, Field(gt=0)]
    count: PositiveInt | None = None
    var: Annotated[FiniteFloat, Field(ge=0)] | None = None
    std: Annotated[FiniteFloat, Field(ge=0)] | None = None

    def timing(self, unit_ms: float) -> Timing:
        """Take the mean for the median, and the spread for a normal one; without a spread that fits, give none."""
        mean = self.mean * unit_ms
        deviation = self.std if self.var is None else self.var**0.5
        if self.count is None or deviation is None or (reach := _P90 * deviation * unit_ms) >= mean:
            return Timing(mean)
        return Timing(mean, mean - reach, mean + reach, self.count)


def import_block_table(
    path: Path,
    facts: SourceFacts,
    made_on: Date,
    ops: Iterable[Op] = (),
    *,
    unit: Unit = "ms",
    activation: Activation = "relu6",
) -> Imported:
    """Make a table of a file, and say which of ``ops`` it lacks; `read_block_table` explains the options."""
    blocks = read_block_table(path, unit=unit, activation=activation)
    table = block_table_to_lut(blocks, facts, made_on)
    return Imported(table, tuple(table.missing(ops)), blocks.unknown)


def unstated(device: str, threads: int = 1) -> SourceFacts:
    """Give a header's facts for a file of which nothing is known but the device."""
    return SourceFacts(device, UNSTATED, UNSTATED, threads, UNSTATED, UNSTATED)


def read_block_table(path: Path, *, unit: Unit = "ms", activation: Activation = "relu6") -> BlockTable:
    """Read a published table; ``FileError`` with all that is wrong with it.

    ``unit`` is that of its times: no file says, and the authors' are in milliseconds. ``activation`` is that of a table
    whose rows have no ``hs``.
    """
    rows = _rows(path)
    ends: Activation = "hswish" if any("-hs:" in key for key in rows) else activation
    found: dict[str, list[Op]] = {}
    unknown: dict[str, str] = {}
    for key in rows:
        try:
            ops = row_ops(key, activation, ends)
            _refuse_twice(ops, found)
            found[key] = ops
        except ValueError as error:
            unknown[key] = str(error)
    if not found:
        raise FileError(f"{path} has no row that is a block; one is named as {EXAMPLE}")
    timings: dict[Op, Timing] = {}
    for key, timing in _timings(rows, found, path, _MS[unit]).items():
        timings |= _share(found[key], timing)
    shared = tuple(key for key, ops in found.items() if len(ops) > 1)
    return BlockTable(path.name, timings, shared, unknown)


def block_table_to_lut(blocks: BlockTable, facts: SourceFacts, made_on: Date) -> LatencyTable:
    """Give a published table our form; ``made_on`` is the day of the import, since no file says that of measuring."""
    notes = f"Imported from {blocks.name}; its means stand as medians, p10 and p90 as a normal spread has them."
    if blocks.shared:
        notes += f" One time for two Ops, shared out by the numbers that each reads: {', '.join(blocks.shared)}."
    if blocks.unknown:
        notes += f" Rows left out: {len(blocks.unknown)}."
    header = TableHeader(
        device=facts.device,
        provenance="measured",
        runtime=facts.runtime,
        runtime_version=facts.runtime_version,
        threads=facts.threads,
        dtype=facts.dtype,
        clock_policy=facts.clock_policy,
        date=made_on,
        entries=len(blocks.timings),
        overhead_ms=0.0,
        notes=notes,
    )
    return LatencyTable(header, blocks.timings)


def missing_keys(table: LatencyTable, space_ops: Iterable[Op]) -> list[str]:
    """List the keys of a space's Ops that a table lacks."""
    return [op.key for op in table.missing(space_ops)]


def _rows(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        node: Any = yaml.compose(text, _LOADER)
        data = yaml.load(text, _LOADER)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that is none
        raise FileError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise FileError(f"{path} must hold a mapping of rows, got {type(data).__name__}")
    names = Counter(str(key.value) for key, _ in node.value)  # of two rows with one name, the data hold the last
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise FileError(f"{path} has rows of the same name, and only one can be right: {', '.join(twice)}")
    return {str(key): row for key, row in data.items()}


def _timings(rows: Mapping[str, Any], known: Iterable[str], path: Path, unit_ms: float) -> dict[str, Timing]:
    timings, problems = {}, []
    for key in known:
        try:
            row = check(_Row, rows[key], key)
            if row.var is not None and row.std is not None:
                raise FileError(f"{key}: give var or std, not both")
            timings[key] = row.timing(unit_ms)
        except FileError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise FileError(f"{path}: {shown}")
    return timings


def _refuse_twice(ops: Iterable[Op], found: Mapping[str, list[Op]]) -> None:
    for op in ops:
        for key, others in found.items():
            if op in others:
                raise ValueError(f"the Op {op.key} is that of {key} already")


def _share(ops: list[Op], timing: Timing) -> dict[Op, Timing]:
    """Share one time out over Ops by the numbers that each reads: inputs and weights. Parts have no spread."""
    if len(ops) == 1:
        return {ops[0]: timing}
    reads = [op.height * op.width * op.in_channels + sum(conv.weights for conv in op.convolutions()) for op in ops]
    return {op: Timing(timing.median_ms * read / sum(reads)) for op, read in zip(ops, reads, strict=True)}
