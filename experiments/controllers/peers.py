"""Other projects' optimisers, by their own packages (requirements.txt), with their own defaults."""

import warnings

from methods import Method, Told, Value
from tasks import Tokens


def make(name: str, sizes: tuple[int, ...], seed: int, options: dict[str, Value]) -> Method:
    """Make a peer by its name; options are those of the peer's sampler."""
    if name == "optuna-tpe":
        return Optuna("TPESampler", sizes, seed, options)
    if name == "optuna-nsga2":
        return Optuna("NSGAIISampler", sizes, seed, options)
    if name == "pyglove-evolution":
        return PyGlove(sizes, seed, options)
    raise SystemExit(f"unknown method {name!r}; methods.py and peers.py say which there are")


class Optuna:
    """A sampler of Optuna, asked and told."""

    def __init__(self, sampler: str, sizes: tuple[int, ...], seed: int, options: dict[str, Value]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._study = optuna.create_study(
            direction="maximize", sampler=getattr(optuna.samplers, sampler)(seed=seed, **options)
        )
        self._decisions = {
            f"{index:03}": optuna.distributions.CategoricalDistribution(range(size)) for index, size in enumerate(sizes)
        }
        self._asked: list[optuna.trial.Trial] = []

    def ask(self, n: int) -> list[Tokens]:
        self._asked = [self._study.ask(self._decisions) for _ in range(n)]
        return [tuple(trial.params[name] for name in self._decisions) for trial in self._asked]

    def tell(self, results: Told) -> None:
        for trial, (_, reward) in zip(self._asked, results, strict=True):
            self._study.tell(trial, reward)


class PyGlove:
    """Regularised evolution of PyGlove."""

    def __init__(self, sizes: tuple[int, ...], seed: int, options: dict[str, Value]) -> None:
        import pyglove

        space = pyglove.List([pyglove.oneof(range(size)) for size in sizes])
        self._algorithm = pyglove.evolution.regularized_evolution(seed=seed, **options)
        self._algorithm.setup(pyglove.dna_spec(space))
        self._asked: list[pyglove.DNA] = []

    def ask(self, n: int) -> list[Tokens]:
        self._asked = [self._algorithm.propose() for _ in range(n)]
        return [tuple(dna.to_numbers()) for dna in self._asked]

    def tell(self, results: Told) -> None:
        for dna, (_, reward) in zip(self._asked, results, strict=True):
            self._algorithm.feedback(dna, reward)
