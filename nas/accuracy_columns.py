"""What the columns of a file of known accuracies say, and how a row of it is read."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.points import Tokens
from search_spaces import Decision, FileError

TOKENS, LATENCY = "tokens", "latency_ms"
SCALES = {"accuracy": 1.0, "accuracy_percent": 100.0}
NAMED_COLUMNS = 3  # in one message
TOKEN_DIGITS = 4  # more is a mistake, and a decision of a million choices fills the memory


@dataclass(frozen=True, slots=True)
class Listed:
    """What a row says of a network: its accuracy in [0, 1], None where it fails, and its latency, if there is one."""

    accuracy: float | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns say what; ``decisions`` has the choices by name where they stand in columns of their own."""

    names: tuple[str, ...]
    decisions: Mapping[str, Mapping[str, int]] | None
    accuracy: str
    unused: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, names: Sequence[str], decisions: Sequence[Decision] | None) -> "Columns":
        """Find the columns; ``FileError`` if what a search needs is missing, or stands there twice."""
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FileError(f"{path} has column {twice[0]!r} twice; give each column a name of its own")
        accuracy = [name for name in SCALES if name in names]
        if len(accuracy) != 1:
            raise FileError(
                f"{path} must have one column accuracy (in [0, 1]) or accuracy_percent, it has "
                f"{'both' if accuracy else ', '.join(names) or 'nothing'}"
            )
        taken = {accuracy[0], LATENCY, TOKENS}
        by_name = None
        if TOKENS not in names:
            by_name = _choices_by_name(path, names, decisions)
            taken |= by_name.keys()
        return cls(tuple(names), by_name, accuracy[0], tuple(name for name in names if name not in taken))

    def row(self, cells: Sequence[str]) -> Mapping[str, str]:
        """Give a row's cells by their columns; ``ValueError`` unless it has one for each."""
        if len(cells) != len(self.names):
            raise ValueError(f"it has {len(cells)} cells for {len(self.names)} columns")
        return dict(zip(self.names, cells, strict=True))

    def tokens(self, row: Mapping[str, str]) -> Tokens:
        """Read a row's tokens; ``ValueError`` says what is wrong with them."""
        if self.decisions is None:
            return _parse_tokens(row[TOKENS])
        return tuple(_choice(name, choices, row[name]) for name, choices in self.decisions.items())

    def listed(self, row: Mapping[str, str]) -> Listed:
        """Read a row's figures; ``ValueError`` says what is wrong with them."""
        text, scale = row[self.accuracy].strip(), SCALES[self.accuracy]
        accuracy = _number(self.accuracy, text) / scale if text else None
        if accuracy is not None and not 0 <= accuracy <= 1:
            hint = "; a column in percent is named accuracy_percent" if scale == 1 and accuracy <= 100 else ""
            raise ValueError(f"{self.accuracy} must be 0 to {scale:g}, got {text}{hint}")
        latency = _number(LATENCY, row[LATENCY].strip()) if LATENCY in row else None
        if latency is not None and not 0 < latency < math.inf:
            raise ValueError(f"{LATENCY} must be a positive number, got {row[LATENCY]}")
        return Listed(accuracy, latency)


def _choices_by_name(
    path: Path, names: Sequence[str], decisions: Sequence[Decision] | None
) -> Mapping[str, Mapping[str, int]]:
    """Give the tokens of every decision's choices, by their text in a file."""
    if decisions is None:
        raise FileError(f"{path} has no column {TOKENS}; add it, or give the --space whose decisions its columns are")
    missing = [decision.name for decision in decisions if decision.name not in names]
    if missing:
        raise FileError(
            f"{path} has neither a column {TOKENS} nor one for every decision of the space; it lacks "
            f"{', '.join(missing[:NAMED_COLUMNS])}{', ...' if len(missing) > NAMED_COLUMNS else ''}"
        )
    return {
        decision.name: {_plain(str(choice)): token for token, choice in enumerate(decision.choices)}
        for decision in decisions
    }


def _choice(name: str, choices: Mapping[str, int], text: str) -> int:
    token = choices.get(_plain(text))
    if token is None:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {text!r}")
    return token


def _plain(text: str) -> str:
    """Write numbers in one way: 3 for 3.0, which tables are full of."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text.strip()


def _parse_tokens(text: str) -> Tokens:
    """Read ``0122``, ``0 1 2 2``, ``0-1-2-2``, ``0,1,2,2`` or ``[0, 1, 2, 2]``."""
    bare = text.strip().strip("[]()").strip()
    parts = re.split(r"[\s,\-]+", bare)
    if len(parts) == 1:
        parts = list(bare)
    if not all(part.isascii() and part.isdigit() and len(part) <= TOKEN_DIGITS for part in parts) or not parts:
        raise ValueError(f"tokens must be integers from 0 on, such as 0122 or 0-1-2-2, got {text!r}")
    return tuple(int(part) for part in parts)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None
