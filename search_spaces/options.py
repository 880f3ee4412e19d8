"""Named options of a stage or head, and the tokens that pick one choice of each; one that is no choice has no token."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any


def take(options: Mapping[str, tuple[Any, ...]], tokens: list[int]) -> dict[str, Any]:
    """Pick one choice of each option, using up a token for each that leaves a choice."""
    return {name: choices[tokens.pop(0)] if len(choices) > 1 else choices[0] for name, choices in options.items()}


def choices_of(options: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Yield every combination of the options as its tokens and its picks, in token order."""
    open_sizes = [range(len(choices)) for choices in options.values() if len(choices) > 1]
    for tokens in itertools.product(*open_sizes):
        yield tokens, take(options, list(tokens))
