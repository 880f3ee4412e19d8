"""The controllers by name."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from controllers.contract import Controller, Known, check_sizes
from controllers.options import NoOptions, read_options
from search_spaces import InputError

Options = Mapping[str, object] | None


def create(
    name: str, sizes: Sequence[int], seed: int = 0, options: Options = None, known: Known | None = None
) -> Controller:
    """Make a controller for decisions with these numbers of choices.

    ``known`` says what is known of a network's reward before it is trained; only controllers with a reward model ask.
    Raises InputError for an unknown controller or option, or sizes that leave nothing to choose.
    """
    if name not in _MAKERS:
        close = difflib.get_close_matches(name, _MAKERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"unknown controller {name!r}; known are {', '.join(names())}{hint}")
    return _MAKERS[name](check_sizes(sizes), seed, options, known)


def names() -> list[str]:
    """Return the names that ``create`` knows, sorted."""
    return sorted(_MAKERS)


# The makers import late: asking for a name, or drawing at random, needs no tensor library.


def _reinforce(sizes: tuple[int, ...], seed: int, options: Options, known: Known | None) -> Controller:
    from controllers.reinforce import Reinforce, ReinforceOptions

    return Reinforce(sizes, seed, read_options("reinforce", ReinforceOptions, options), known)


def _ppo(sizes: tuple[int, ...], seed: int, options: Options, known: Known | None) -> Controller:
    from controllers.ppo import Ppo, PpoOptions

    return Ppo(sizes, seed, read_options("ppo", PpoOptions, options), known)


def _evolution(sizes: tuple[int, ...], seed: int, options: Options, known: Known | None) -> Controller:
    from controllers.evolution import Evolution, EvolutionOptions

    return Evolution(sizes, seed, read_options("evolution", EvolutionOptions, options))


def _random(sizes: tuple[int, ...], seed: int, options: Options, known: Known | None) -> Controller:
    from controllers.random_search import RandomSearch

    read_options("random", NoOptions, options)
    return RandomSearch(sizes, seed)


_MAKERS: dict[str, Callable[[tuple[int, ...], int, Options, Known | None], Controller]] = {
    "evolution": _evolution,
    "ppo": _ppo,
    "random": _random,
    "reinforce": _reinforce,
}
