"""Published figures beside computed ones: how near they are, and how both stand in a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Verdict = Literal["within 1 %", "within a digit", "residual"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """A count as printed, and as computed in the same unit; ``note`` says what is known of one that differs."""

    printed: str
    computed: float
    note: str = ""

    @property
    def error(self) -> float:
        """The relative error of what was computed, as a fraction."""
        return self.computed / float(self.printed) - 1

    @property
    def verdict(self) -> Verdict:
        """How near it is: within 1 %, or else within one unit of the last printed digit, or neither."""
        if abs(self.error) <= TOLERANCE:
            return "within 1 %"
        unit = 10.0 ** -decimals(self.printed)
        return "within a digit" if abs(self.computed - float(self.printed)) <= unit else "residual"

    def headers(self, name: str) -> list[str]:
        return [name, "here", "error"]

    def cells(self, notes: Sequence[str]) -> list[str]:
        marks = {"within 1 %": "", "within a digit": " d", "residual": " **residual**"}[self.verdict]
        if self.note:
            marks += f" [{notes.index(self.note) + 1}]"
        return [self.printed, f"{self.computed:.{decimals(self.printed) + 2}f}", f"{self.error:+.1%}{marks}"]


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency as printed, and as a table estimates it; ``left_out_ms`` is the estimate of a fit without it."""

    printed: str
    estimate_ms: float
    left_out_ms: float | None = None
    note: str = ""

    @property
    def error(self) -> float:
        return self.estimate_ms / float(self.printed) - 1

    def headers(self, name: str) -> list[str]:
        return [name, "estimate", "error"] + ([] if self.left_out_ms is None else ["error, left out"])

    def cells(self, notes: Sequence[str]) -> list[str]:
        mark = f" [{notes.index(self.note) + 1}]" if self.note else ""
        digits = max(1, decimals(self.printed))
        cells = [self.printed, f"{self.estimate_ms:.{digits}f}", f"{self.error:+.1%}{mark}"]
        if self.left_out_ms is not None:
            cells.append(f"{self.left_out_ms / float(self.printed) - 1:+.1%}")
        return cells


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that has nothing to be compared with."""

    text: str
    note: str = ""

    def headers(self, name: str) -> list[str]:
        return [name]

    def cells(self, notes: Sequence[str]) -> list[str]:
        return [self.text]


class Entry(Protocol):
    """What one row holds under one name: some cells side by side."""

    @property
    def note(self) -> str: ...

    def headers(self, name: str) -> list[str]: ...

    def cells(self, notes: Sequence[str]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One network of a table."""

    name: str
    entries: Mapping[str, Entry]


def decimals(printed: str) -> int:
    """Count the digits behind the point of a printed number."""
    return len(printed.partition(".")[2])


def grid(rows: Sequence[Row], what: str = "network") -> str:
    """Lay rows of ``what`` out as a Markdown table, notes below it; all rows have the entries of the first."""
    notes = list(dict.fromkeys(entry.note for row in rows for entry in row.entries.values() if entry.note))
    header = [what, *(text for name, entry in rows[0].entries.items() for text in entry.headers(name))]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        lines.append([row.name, *(text for entry in row.entries.values() for text in entry.cells(notes))])
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    footnotes = "".join(f"\n\n[{number}] {note}" for number, note in enumerate(notes, 1))
    return text + footnotes
