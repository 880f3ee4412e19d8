"""Policy updates as ``updates.jsonl`` holds them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.search import PolicyUpdate


def number(value: Any) -> float | None:
    """Take a finite number from a file; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        taken = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return taken if math.isfinite(taken) else None


def read_updates(path: Path) -> list[PolicyUpdate]:
    """Read the policy updates; a line that is not one, such as a last one cut short, is left out."""
    updates: list[PolicyUpdate] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and number(row.get("trials")) is not None:
            updates.append(_update(row, len(updates) + 1))
    return updates


def _update(row: Mapping[str, Any], count: int) -> PolicyUpdate:
    """Make an update of a line; what is no number in it is left out."""
    told = {name: value for name, value in ((name, number(entry)) for name, entry in row.items()) if value is not None}
    trials, mean_reward = int(told.pop("trials")), told.pop("mean_reward", math.nan)
    entropies = row.get("decision_entropies")
    shares = [number(entry) for entry in entropies] if isinstance(entropies, list) else []
    complete = tuple(share for share in shares if share is not None)
    told.pop("update", None)
    return PolicyUpdate(count, trials, mean_reward, told, complete if len(complete) == len(shares) else ())
