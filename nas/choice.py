"""The final choice of a search: which of its networks becomes the seed."""

from collections.abc import Iterable
from dataclasses import dataclass

from nas.search import Trial
from nas.target import Target


@dataclass(frozen=True, slots=True)
class Choice:
    """The seed's trial; ``instead`` says what was chosen where no network hits the target, and is empty otherwise."""

    trial: Trial
    instead: str = ""


def choose_seed(results: Iterable[Trial], target: Target) -> Choice | None:
    """Choose the most accurate network that hits the target; None where no trial finished.

    Where none hits it, the best reward among those that are fast enough, or else of all.
    """
    finished = [trial for trial in results if trial.reward is not None and trial.state != "failed"]
    hits = [trial for trial in finished if target.hits(trial.latency_ms)]
    fast = [trial for trial in finished if target.meets(trial.latency_ms)]
    if hits:
        return Choice(max(hits, key=lambda trial: (trial.accuracy or 0.0, *_by_reward(trial))))
    near = f"{100 * target.tolerance:g} %"
    if fast:
        missed = f"no network lies within {near} of the target: the seed has the best reward of those below it"
        return Choice(max(fast, key=_by_reward), missed)
    if finished:
        missed = f"every network is more than {near} above the target: the seed has the best reward of all"
        return Choice(max(finished, key=_by_reward), missed)
    return None


def _by_reward(trial: Trial) -> tuple[float, int]:
    """Put the best reward first, and of equal ones the earliest."""
    return trial.reward or 0.0, -trial.trial
