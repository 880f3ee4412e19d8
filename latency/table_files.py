"""Tables in files: a YAML header, a line of three dashes, then one CSV row an Op."""

import math
import os
import tempfile
from importlib import resources
from pathlib import Path

import yaml

from latency.device import shipped_devices
from latency.table import FORMAT, LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import FileError, InputError, Op, check
from search_spaces.checked import parse_yaml

SUFFIX = ".lut"
COLUMNS = "op,median_ms,p10_ms,p90_ms,runs"
DIVIDER = "---"
_SHOWN_PROBLEMS = 3


def shipped_tables() -> list[str]:
    """List the names of the tables that come with the package."""
    entries = resources.files("latency.tables").iterdir()
    return sorted(entry.name.removesuffix(SUFFIX) for entry in entries if entry.name.endswith(SUFFIX))


def load_table(name_or_path: str | Path, *, dtype: str | None = None, threads: int | None = None) -> LatencyTable:
    """Load a shipped table by name, or a file; ``FileError`` says all that is wrong with it.

    ``dtype`` and ``threads``: what the table must be for, if that is asked.
    """
    table = _load(name_or_path)
    for name, asked in (("dtype", dtype), ("threads", threads)):
        found = getattr(table.header, name)
        if asked is not None and found != asked:
            raise FileError(
                f"table {name_or_path} is for {name} {found}, and {asked} was asked for; build one for that"
            )
    return table


def _load(name_or_path: str | Path) -> LatencyTable:
    name = str(name_or_path)
    if name in shipped_tables():
        text = (resources.files("latency.tables") / f"{name}{SUFFIX}").read_text(encoding="utf-8")
        return table_from_text(text, f"table {name!r}")
    path = Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if name in shipped_devices():
            raise FileError(
                f"there is no table for {name} yet; make one with: nas-build-lut --device {name} --space SPACE "
                f"--out {name}{SUFFIX}, and give that file"
            ) from error
        known = ", ".join(shipped_tables())
        raise FileError(
            f"unknown device or table {name!r}; give one of {known}, or a table file made by nas-build-lut"
        ) from error
    except OSError as error:
        raise FileError(f"cannot read table {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"table {name} is not a text file") from error
    return table_from_text(text, f"table {name}")


def save_table(table: LatencyTable, path: str | Path) -> None:
    """Write a table whole or not at all: a reader, or a crash, never meets half a file."""
    path = Path(path)
    try:
        # in the same folder, since a rename is atomic only within a file system
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(table_to_text(table))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's file is for its owner alone
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def table_to_text(table: LatencyTable) -> str:
    """Give the file's contents; times keep six significant digits."""
    header = yaml.safe_dump(table.header.model_dump(exclude_none=True), sort_keys=False, width=110)
    rows = [_row(op, timing) for op, timing in table.timings.items()]
    return "\n".join([header + DIVIDER, COLUMNS, *rows]) + "\n"


def _row(op: Op, timing: Timing) -> str:
    times = (timing.median_ms, timing.p10_ms, timing.p90_ms)
    cells = ["" if ms is None else f"{ms:.6g}" for ms in times]
    return ",".join([op.key, *cells, "" if timing.runs is None else str(timing.runs)])


def table_from_text(text: str, where: str) -> LatencyTable:
    """Read what `table_to_text` gave; ``FileError`` names ``where`` and what is wrong, and nothing is half-used."""
    head, divider, body = text.partition(f"\n{DIVIDER}\n")
    if not divider:
        raise FileError(f"{where} has no line of {DIVIDER!r} after its header: it was cut, or is not a latency table")
    header = _header(head, where)
    timings = _timings(body, head.count("\n") + 3, where)
    try:
        return LatencyTable(header, timings)
    except InputError as error:
        raise FileError(f"{where}: {error}") from error


def _header(text: str, where: str) -> TableHeader:
    data = parse_yaml(text, f"{where}: the header")
    version = data.get("format")
    if version != FORMAT:  # before all else: of another version we cannot know what is right
        raise FileError(
            f"{where} has format {version!r}, and this version reads format {FORMAT}; "
            "build the table again, or install the version that wrote it"
        )
    return check(TableHeader, data, where)


def _timings(body: str, first_line: int, where: str) -> dict[Op, Timing]:
    lines = body.split("\n")
    if lines[-1] != "":
        raise FileError(f"{where} ends in the middle of a line: it was cut; build it again")
    if lines[0] != COLUMNS:
        raise FileError(f"{where} line {first_line}: expected the columns {COLUMNS}, got {lines[0]!r}")
    timings: dict[Op, Timing] = {}
    problems = []
    for number, line in enumerate(lines[1:-1], first_line + 1):
        try:
            op, timing = _parse_row(line)
            if op in timings:
                raise ValueError(f"{op.key} stands here for the second time")
            timings[op] = timing
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise FileError(f"{where}: {shown}")
    return timings


def _parse_row(line: str) -> tuple[Op, Timing]:
    cells = line.split(",")
    if len(cells) != COLUMNS.count(",") + 1:
        raise ValueError(f"expected {COLUMNS.count(',') + 1} cells, got {len(cells)}")
    key, median, p10, p90, runs = cells
    if runs and not runs.isdecimal():
        raise ValueError(f"runs must be a whole number, got {runs!r}")
    return Op.parse(key), Timing(
        _milliseconds(median) if median else math.nan,
        _milliseconds(p10) if p10 else None,
        _milliseconds(p90) if p90 else None,
        int(runs) if runs else None,
    )


def _milliseconds(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"a time must be a number of milliseconds, got {cell!r}") from None
