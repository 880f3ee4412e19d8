"""Known accuracies: a CSV file with a row for every network of a space, which a search reads in place of training.

    tokens,accuracy,latency_ms
    00,0.71,10.2
    01,0.74,11.9
    02,,12.5

``tokens``: a digit a decision, or integers between spaces, commas or dashes; in their place, a column for each decision
of the space, named as the space names it, with the choice's value. ``accuracy`` is a fraction, ``accuracy_percent`` the
same in percent; an empty cell is a network that fails. ``latency_ms`` may be left out where a latency table is at hand.
"""

import csv
import hashlib
import io
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nas.accuracy_columns import Columns, Listed
from nas.points import Tokens
from search_spaces import FileError, SearchSpace
from search_spaces.checked import read_text

NAMED_PROBLEMS = 3  # in one message; the others are counted


@dataclass(frozen=True, slots=True)
class Accuracies:
    """A file's networks, all of a product of decisions with ``sizes`` choices; ``unused`` are its further columns."""

    path: Path
    sizes: tuple[int, ...]
    rows: Mapping[Tokens, Listed]
    unused: tuple[str, ...]
    fingerprint: str

    @property
    def has_latencies(self) -> bool:
        """Whether it says how fast its networks are."""
        return next(iter(self.rows.values())).latency_ms is not None

    def latency_ms(self, tokens: Tokens) -> float:
        """Look a network's latency up; ``LookupError`` where there are none."""
        latency_ms = self.rows[tokens].latency_ms
        if latency_ms is None:
            raise LookupError(f"{self.path} has no latencies")
        return latency_ms

    def __str__(self) -> str:
        text = f"{self.path.name}, {len(self.rows):,} networks of {len(self.sizes)} decisions"
        failing = sum(row.accuracy is None for row in self.rows.values())
        if failing:
            text += f", {failing:,} of them without an accuracy"
        return f"{text}; columns not used: {', '.join(self.unused)}" if self.unused else text


def load_accuracies(path: Path, space: SearchSpace | None = None) -> Accuracies:
    """Read a file for a space, or for the decisions that its own tokens show; ``FileError`` says what is wrong.

    Every network must have its row. One without would cost a method a trial for the file's sake, and the file would
    have another best network than the space: whoever compares methods is to know.
    """
    text = read_text(path)
    listed, unused = _read(path, text.removeprefix("\ufeff"), space)
    sizes = space.sizes if space else tuple(max(column) + 1 for column in zip(*listed, strict=True))
    _check_complete(path, listed, sizes)
    return Accuracies(path, sizes, listed, unused, hashlib.sha256(text.encode()).hexdigest()[:16])


def _read(path: Path, text: str, space: SearchSpace | None) -> tuple[dict[Tokens, Listed], tuple[str, ...]]:
    """Read the rows by their tokens, and the names of the columns that say nothing to a search."""
    rows = _rows(path, text)
    columns = Columns.of(path, [name.strip() for name in next(rows)[1]], space.decisions if space else None)
    lines: dict[Tokens, int] = {}
    listed: dict[Tokens, Listed] = {}
    problems = []
    for line, cells in rows:
        try:
            row = columns.row(cells)
            tokens = columns.tokens(row)
            if space:
                space.check_tokens(tokens)
            if tokens in lines:
                raise ValueError(f"its tokens stand on line {lines[tokens]} already; list each network once")
            lines[tokens] = line
            listed[tokens] = columns.listed(row)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    _check_rows(path, lines, problems + _uneven(lines))
    return listed, columns.unused


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and all rows that are not empty, with the numbers of their lines."""
    reader = csv.reader(io.StringIO(text))
    try:
        yield 1, next(reader, [])
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise FileError(f"{path} is not a CSV file: line {reader.line_num}: {error}") from error


def _check_rows(path: Path, lines: Mapping[Tokens, int], problems: list[str]) -> None:
    """Raise ``FileError`` that names the first problems, or where there is no row at all."""
    if problems:
        more = f"; and {len(problems) - NAMED_PROBLEMS:,} more" if len(problems) > NAMED_PROBLEMS else ""
        raise FileError(f"{path}: {'; '.join(problems[:NAMED_PROBLEMS])}{more}")
    if not lines:
        raise FileError(f"{path} lists no network; give it a row for each")


def _uneven(lines: Mapping[Tokens, int]) -> list[str]:
    """Name the rows with fewer tokens than others have."""
    longest = max(map(len, lines), default=0)
    return [
        f"line {line}: {len(tokens)} tokens, where others have {longest} "
        "(leading zeros get lost where tokens are read as numbers)"
        for tokens, line in lines.items()
        if len(tokens) < longest
    ]


def _check_complete(path: Path, listed: Mapping[Tokens, Listed], sizes: tuple[int, ...]) -> None:
    """Raise ``FileError`` unless every network of a product of decisions is listed."""
    total = math.prod(sizes)
    if len(listed) == total:
        return
    missing = next(tokens for tokens in itertools.product(*map(range, sizes)) if tokens not in listed)
    raise FileError(
        f"{path} lists {len(listed):,} of the {total:,} networks that {len(sizes)} decisions make, and not "
        f"{'-'.join(map(str, missing))}; give every network a row, with an empty accuracy where it failed"
    )
