"""Trials on Ray Tune.

An adapter joins `Trials`, a search's or NetAdapt's, to Tune: Tune asks it for the next one and reports each one's
outcome. Everything that must survive is written by those themselves; Tune's own state is thrown away.

Tune keeps one idle worker and ends the others; started anew, one takes longer than a short trial, and Tune gives its
trial to whoever is free before it is up: all workers but one would stay idle. So they begin together, each with a trial
in which it waits for the others; and one without work gets a trial in which it waits for the next outcome, which may
bring some (`Outcomes`).
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from nas.loop import Candidate, Trials
from nas.ray_cluster import Placement, Room, check_resources, room
from nas.ray_worker import ChildTrial, Evaluator, Outcomes, name_of
from nas.search import Outcome
from nas.stopping import held
from search_spaces import FileError, arch_to_dict

PATIENCE, PATIENCE_SECONDS = 10.0, 600.0  # times the longest trial, and at least so long, before one counts as hung

Result = TypeVar("Result")


@dataclass(slots=True)
class TrialClock:
    """Measures what running the trials cost beyond the trials themselves; start-up is left out."""

    first_start: float = float("inf")
    last_end: float = 0.0
    trial_seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Note a trial that ended now, on a monotonic clock, and took this long."""
        self.last_end = now
        self.first_start = min(self.first_start, now - seconds)
        self.trial_seconds += seconds
        self.longest = max(self.longest, seconds)

    def deadline(self) -> float | None:
        """Give the seconds after which a trial hangs: many times the longest so far; None before there is one."""
        return max(PATIENCE_SECONDS, PATIENCE * self.longest) if self.longest else None

    def overhead(self, workers: int) -> float | None:
        """Give (wall time - trial seconds / workers) / wall time, or None where no trial ran."""
        wall = self.last_end - self.first_start
        return (wall - self.trial_seconds / workers) / wall if wall > 0 else None


def run_on_ray(
    trials: Trials[Candidate], evaluate: Evaluator, placement: Placement, run: str | None = None
) -> TrialClock:
    """Run trials on the Ray cluster that this process is connected to, until they are done.

    ``run`` is what the workers call the run in their metrics; without a name they keep none.

    What ``trials`` raise ends it, once those that run are done. So does a ``FileError`` of an evaluator: no other try
    mends a full disk, and it is no fault of the network's.
    """
    clock = TrialClock()
    if trials.done:
        return clock
    check_resources(placement)
    outcomes = ray.remote(num_cpus=0)(Outcomes).remote()
    adapter = _SearchAdapter(trials, placement, clock, outcomes)
    resources = {"cpu": placement.cpus_per_trial, "gpu": placement.gpus_per_trial}
    child = tune.with_parameters(ChildTrial, evaluate=evaluate, outcomes=outcomes, run=run)
    trainable = tune.with_resources(child, resources)
    trainable.__qualname__ = "Child"  # what the dashboard calls its actors
    with tempfile.TemporaryDirectory(prefix="nas-tune-") as storage:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=adapter,
                num_samples=-1,  # the trials know when they are done
                reuse_actors=True,  # a process a trial costs 1.4 s, a reused one 0.07 s
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_folder,
            ),
            run_config=tune.RunConfig(name="search", storage_path=storage, verbose=0, callbacks=[_Forgets()]),
        )
        tuner.fit()
    if adapter.fault is not None:
        raise adapter.fault
    return clock


class _Forgets(tune.Callback):  # type: ignore[misc, unused-ignore]
    """Empties what Tune keeps of a trial that is done: the run folder has it, and searches are long."""

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        trial.config.pop("arch", None)
        trial.last_result.pop("config", None)
        for kept in (trial.metric_analysis, trial.metric_n_steps):
            kept.clear()


class _SearchAdapter(Searcher):
    """Joins `Trials` to Tune.

    Tune pickles its searcher when it starts and saves it now and then. The copy holds nothing: what is to survive is in
    the run folder, and the object that Tune goes on to use is this one. What a searcher raises, Tune logs and goes on:
    it is kept in ``fault``, and nothing more is suggested.
    """

    def __init__(self, trials: Trials[Candidate], placement: Placement, clock: TrialClock, outcomes: Any) -> None:
        super().__init__()
        self._trials: Trials[Candidate] | None = trials
        self._placement = placement
        self._room = Room(placement)
        self._muster: int | None = None  # how many workers begin together
        self._mustered = 0
        self._clock = clock
        self._outcomes = outcomes
        self.fault: Exception | None = None
        self._count = 0  # of the outcomes
        self._running: dict[str, int | None] = {}  # Tune's name of a trial -> ours; None where a worker waits
        self._due: dict[int, tuple[float, float]] = {}  # our name of a trial -> deadline, when

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        trials = self._live()
        finished: Any = Searcher.FINISHED  # a string, which ray's own types leave out
        if self.fault is not None or trials.done:
            return finished  # type: ignore[no-any-return]
        if len(self._running) >= self._room.workers():
            return None
        if self._muster is None:
            wanted = self._room.workers()
            self._muster = min(wanted, room(self._placement)) if wanted > 1 else 0
        if self._mustered < self._muster:
            self._mustered += 1
            self._running[trial_id] = None
            return {"muster": self._muster}
        candidate = self._guarded(trials.next)
        if candidate is None:
            if self.fault is not None or trials.done:
                return finished
            self._running[trial_id] = None
            return {"after": self._count}
        self._running[trial_id] = candidate.trial
        deadline = self._placement.deadline_seconds or self._clock.deadline()
        if deadline is not None:
            self._due[candidate.trial] = deadline, time.monotonic() + deadline
        return {
            "deadline": deadline,
            "trial": candidate.trial,
            "latency_ms": candidate.latency_ms,
            "key": candidate.key,
            "arch": json.dumps(arch_to_dict(candidate.arch)),  # Tune keeps a figure for each number that it can see
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._running:
            return
        trial = self._running.pop(trial_id)
        if trial is None:
            return
        self._guarded(lambda: self._take(trial, {} if error else result or {}))
        self._count += 1
        self._outcomes.add.remote()

    def _take(self, trial: int, result: dict[str, Any]) -> None:
        if "file_error" in result:
            raise FileError(result["file_error"])
        if result:
            outcome = Outcome(**{field.name: result[field.name] for field in fields(Outcome)})
        else:
            outcome = Outcome(None, 0.0, f"the worker process {self._end_of(trial)}", network_fault=False)
        self._due.pop(trial, None)
        self._clock.add(outcome.seconds, time.monotonic())
        self._live().finish(trial, outcome)

    def _end_of(self, trial: int) -> str:
        seconds, due = self._due.get(trial, (0.0, float("inf")))
        return "died" if time.monotonic() < due else f"was ended at its deadline of {seconds:g} s, or died later"

    def _guarded(self, call: Callable[[], Result]) -> Result | None:
        """Call, and keep what it raises."""
        try:
            with held():
                return call()
        except Exception as error:
            self.fault = self.fault or error
            return None

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise RuntimeError("trials are resumed from their run folder, not by Tune")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_trials": None, "_clock": None, "_outcomes": None, "fault": None}

    def _live(self) -> Trials[Candidate]:
        if self._trials is None:
            raise RuntimeError("this is Tune's pickled copy of the searcher; it holds no search")
        return self._trials


def _trial_name(trial: TuneTrial) -> str:
    return name_of(trial.config)


def _trial_folder(trial: TuneTrial) -> str:
    return f"trial-{trial.config['trial']}" if "trial" in trial.config else f"wait-{trial.trial_id}"
