"""Who drives trials: the contract that a search and NetAdapt keep to, and the driver in this process.

`nas.ray_trials` is the other driver.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from nas.search import Outcome
from nas.stopping import held
from search_spaces import Arch


class Candidate(Protocol):
    """A network that is to be evaluated, and the trial number under which to report it."""

    @property
    def trial(self) -> int: ...

    @property
    def arch(self) -> Arch: ...

    @property
    def key(self) -> str: ...

    @property
    def latency_ms(self) -> float: ...


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate, covariant=True)


class Trials(Protocol[AnyCandidate]):
    """Hands out candidates and takes what became of them; it decides what is next, and when it is done."""

    @property
    def done(self) -> bool: ...

    def next(self) -> AnyCandidate | None:
        """Give the next candidate; None where there is none, now or ever."""
        ...

    def finish(self, trial: int, outcome: Outcome) -> object:
        """Take what became of a candidate."""
        ...


def run_in_process(trials: Trials[AnyCandidate], evaluate: Callable[[AnyCandidate], Outcome]) -> None:
    """Evaluate one candidate after another until nothing is left: for evaluators that answer fast, and for tests."""
    while (candidate := trials.next()) is not None:
        outcome = evaluate(candidate)
        with held():
            trials.finish(candidate.trial, outcome)
