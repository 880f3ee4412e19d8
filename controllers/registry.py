"""The controllers by name."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from controllers.contract import Controller, check_sizes
from controllers.options import NoOptions, read_options
from search_spaces import InputError

Options = Mapping[str, object] | None


def create(name: str, sizes: Sequence[int], seed: int = 0, options: Options = None) -> Controller:
    """Make a controller for decisions with these numbers of choices.

    Raises InputError for an unknown controller or option, or sizes that leave nothing to choose.
    """
    if name not in _MAKERS:
        close = difflib.get_close_matches(name, _MAKERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"unknown controller {name!r}; known are {', '.join(names())}{hint}")
    return _MAKERS[name](check_sizes(sizes), seed, options)


def names() -> list[str]:
    """Return the names that ``create`` knows, sorted."""
    return sorted(_MAKERS)


# The makers import late: asking for a name, or drawing at random, needs no tensor library.


def _reinforce(sizes: tuple[int, ...], seed: int, options: Options) -> Controller:
    from controllers.reinforce import Reinforce, ReinforceOptions

    return Reinforce(sizes, seed, read_options("reinforce", ReinforceOptions, options))


def _evolution(sizes: tuple[int, ...], seed: int, options: Options) -> Controller:
    from controllers.evolution import Evolution, EvolutionOptions

    return Evolution(sizes, seed, read_options("evolution", EvolutionOptions, options))


def _random(sizes: tuple[int, ...], seed: int, options: Options) -> Controller:
    from controllers.random_search import RandomSearch

    read_options("random", NoOptions, options)
    return RandomSearch(sizes, seed)


_MAKERS: dict[str, Callable[[tuple[int, ...], int, Options], Controller]] = {
    "evolution": _evolution,
    "random": _random,
    "reinforce": _reinforce,
}
