"""Hardware-aware neural architecture search: what programs import."""

from typing import TYPE_CHECKING, Any

from nas.siblings import check_siblings

check_siblings()  # before anything of a sibling is imported; Ray workers run it, too

from latency import LatencyTable, MissingOpsError, load_table
from nas.rewards import absolute_reward, hard_reward, soft_reward
from search_spaces import (
    Arch,
    Block,
    Count,
    InputError,
    SearchSpace,
    count,
    load_arch,
    load_space,
    reference,
    references,
    save_arch,
    shipped_spaces,
)

if TYPE_CHECKING:
    from nas.network import build

__all__ = [
    "Arch",
    "Block",
    "Count",
    "InputError",
    "LatencyTable",
    "MissingOpsError",
    "SearchSpace",
    "absolute_reward",
    "build",
    "count",
    "hard_reward",
    "load_arch",
    "load_space",
    "load_table",
    "reference",
    "references",
    "save_arch",
    "shipped_spaces",
    "soft_reward",
]


def __getattr__(name: str) -> Any:
    """Import `build` when it is first used: torch takes seconds, and most commands do without it."""
    if name == "build":
        from nas.network import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
