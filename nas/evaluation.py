"""How a search's networks come by their latencies and accuracies: training on images, or a table of known ones."""

from collections.abc import Callable, Mapping
from typing import Protocol

from rich.console import Console

from nas.config import SearchConfig
from nas.display import SearchDisplay
from nas.points import Points, Tokens
from nas.rewards import Reward
from nas.run_folder import RunFolder
from nas.search import Search, Trial
from nas.seed import FinalTraining
from search_spaces import SearchSpace


class Evaluation(Protocol):
    """Evaluates a search's networks, and makes of the winner what can be made of it."""

    @property
    def config(self) -> SearchConfig:
        """The search, with the space and the device that were chosen for it."""
        ...

    @property
    def costly(self) -> bool:
        """Whether an outcome is worth more than the time to have it on disk for good."""
        ...

    @property
    def points(self) -> Points:
        """The networks to choose among."""
        ...

    @property
    def latency_ms(self) -> Callable[[Tokens], float]:
        """A function from tokens to the latency, which can be asked of thousands."""
        ...

    def random_reward(self, reward: Reward) -> float | None:
        """Give the mean reward of all networks, of which random ones get as much; None where it is not known."""
        ...

    def fingerprints(self) -> Mapping[str, str]:
        """Name what the search rests on, each with a text that changes when its contents do."""
        ...

    def run(self, search: Search, display: SearchDisplay, name: str) -> float | None:
        """Run the trials that are left; give the share of the wall time that no trial filled, where it is known.

        ``name`` is the run's, for whoever watches several.
        """
        ...

    def finish(self, folder: RunFolder, seed: Trial) -> FinalTraining | None:
        """Write the files of the seed; None where it can't be trained."""
        ...


def begin_evaluation(config: SearchConfig, console: Console) -> tuple[Evaluation, list[str]]:
    """Open what a new search evaluates with, and give what to say of it; ``InputError`` if it can't be searched."""
    if config.evaluator == "table":
        from nas.by_table import ByTable

        return ByTable.begun(config)
    from nas.by_training import ByTraining

    return ByTraining.begun(config, console)


def resume_evaluation(config: SearchConfig, space: SearchSpace | None, console: Console) -> Evaluation:
    """Open what a recorded search evaluates with; ``space`` is the run's own copy of its space."""
    if config.evaluator == "table":
        from nas.by_table import ByTable

        return ByTable.resumed(config, space)
    from nas.by_training import ByTraining

    assert space is not None  # a search that trains has one
    return ByTraining.resumed(config, space, console)


def stop(search: Search, display: SearchDisplay) -> None:
    """End a search when those of its trials that run are finished, and say so."""
    search.stop()
    display.stopping()
