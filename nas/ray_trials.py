"""Trials on Ray Tune.

Each of Tune's trials is a worker, which evaluates one candidate after another: Tune places the workers, sees which of
them end, and passes on what they report. `Dispatch` says who works on what. So Tune keeps the same for 10 candidates
and for 10,000, none costs the start of a process, and a worker without work waits where it is. Everything that must
survive is written by the trials themselves; Tune's own state is thrown away.
"""

import gc
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import GetTimeoutError, RayActorError, RayError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.dispatch import Dispatch, TrialClock
from nas.loop import Candidate, Trials
from nas.ray_cluster import Placement, Room, check_resources
from nas.ray_worker import Evaluator, Mailbox, Worker
from nas.search import Outcome, SearchFailedError
from search_spaces import FileError

STILLBORN = 5  # workers that ended before they were up, in a row: no further one will soon fare better
STILLBORN_SECONDS = 60.0  # between further tries, where others work
TRIES = 20  # of Tune, which may end over the end of a worker


def run_on_ray(
    trials: Trials[Candidate], evaluate: Evaluator, placement: Placement, run: str | None = None
) -> TrialClock:
    """Run trials on the Ray cluster that this process is connected to, until they are done.

    ``run`` is what the workers call the run in their metrics; without a name they keep none.

    What ``trials`` raise ends it, once those that run are done. So does a ``FileError`` of an evaluator: no other try
    mends a full disk, and it is no fault of the network's. ``SearchFailedError`` where no worker comes up.
    """
    if trials.done:
        return TrialClock()
    check_resources(placement)
    mailbox = _mailbox()
    dispatch = Dispatch(trials, lambda worker, job: mailbox.put.remote(worker, job), placement.deadline_seconds)
    resources = {"cpu": placement.cpus_per_trial, "gpu": placement.gpus_per_trial}
    worker = tune.with_parameters(Worker, evaluator=(ray.put(evaluate),), mailbox=mailbox, run=run)
    trainable = tune.with_resources(worker, resources)
    trainable.__qualname__ = "Child"  # what the dashboard calls its actors
    for tries_left in reversed(range(TRIES)):
        try:
            _run(trainable, _Workers(dispatch, placement, mailbox), dispatch)
            break
        except Exception as error:
            # Tune knows two ways in which Ray says that a worker ended, and takes any other for an error of its own
            if dispatch.fault is not None:
                raise dispatch.fault from error
            if not (isinstance(error.__cause__, RayError) and tries_left):
                raise
        dispatch.abandon()
        gc.collect()  # Tune's actors, of which nobody knows any more
    ray.kill(mailbox)
    if dispatch.fault is not None:
        raise dispatch.fault
    return dispatch.clock


def _run(trainable: Any, workers: "_Workers", dispatch: Dispatch) -> None:
    """Let Tune run workers until there is nothing left to do."""
    with tempfile.TemporaryDirectory(prefix="nas-tune-") as storage:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=workers,
                num_samples=-1,  # the trials know when they are done
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="search", storage_path=storage, verbose=0, callbacks=[_Ends(workers)], stop=_Deserted(dispatch)
            ),
        )
        tuner.fit()


def _mailbox() -> Any:
    """Start one on this process's own node, which ends with it; others may go while the trials run."""
    actor: Any = ray.remote(Mailbox)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    calls = 10_000  # at a time: each worker waits in one
    return actor.options(num_cpus=0, max_concurrency=calls, scheduling_strategy=here).remote()


class _Unpicklable:
    """Tune pickles what it is given, and goes on to use the object itself; the copy is an empty one."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class _Workers(_Unpicklable, Searcher):
    """Tells Tune how many workers there are to be, and `Dispatch` of those that come, report and go."""

    def __init__(self, dispatch: Dispatch, placement: Placement, mailbox: Any) -> None:
        super().__init__()
        self._dispatch = dispatch
        self._mailbox = mailbox
        self._room = Room(placement)
        self._starting: set[str] = set()
        self._up: set[str] = set()
        self._stillborn = 0  # in a row
        self._not_before = 0.0  # the next try, where they were many

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self._dispatch.over:
            finished: Any = Searcher.FINISHED  # a string, which ray's own types leave out
            return finished  # type: ignore[no-any-return]
        if len(self._starting) + len(self._up) >= self._room.workers() or time.monotonic() < self._not_before:
            return None
        self._starting.add(trial_id)
        return {"worker": trial_id}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "up" in result:
            self._stillborn = 0
            self._starting.discard(trial_id)
            self._up.add(trial_id)
            self._dispatch.join(trial_id)
        elif "file_error" in result:
            self._dispatch.fail(FileError(result["file_error"]), trial_id)
        else:
            self._dispatch.take(trial_id, Outcome(**{field.name: result[field.name] for field in fields(Outcome)}))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._stillborn += error and trial_id in self._starting
        if error and trial_id in self._up and not self._has_mailbox():
            text = "the actor that hands out the candidates died; go on with --resume"
            self._dispatch.fail(SearchFailedError(text))
        self._starting.discard(trial_id)
        self._up.discard(trial_id)
        self._dispatch.leave(trial_id)

    def _has_mailbox(self) -> bool:
        try:
            ray.get(self._mailbox.ping.remote(), timeout=30)
        except RayActorError:
            return False
        except GetTimeoutError:  # busy
            pass
        return True

    def give_up(self, reason: str) -> None:
        """End the search where no worker comes up, or wait where others work; ``reason``: why the last one did not."""
        if self._stillborn < STILLBORN or self._dispatch.over:
            return
        if self._up:
            self._not_before = time.monotonic() + STILLBORN_SECONDS
        else:
            text = f"{STILLBORN} workers in a row ended before they could take a candidate; the last one: {reason}"
            self._dispatch.fail(SearchFailedError(text))

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise RuntimeError("trials are resumed from their run folder, not by Tune")


class _Ends(_Unpicklable, tune.Callback):  # type: ignore[misc, unused-ignore]
    """Learns why a worker ended."""

    def __init__(self, workers: _Workers) -> None:
        self._workers = workers

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        said = [] if trial.error_file is None else Path(trial.error_file).read_text(errors="replace").splitlines()
        last = [line.strip() for line in said if line.strip()][-1:]
        self._workers.give_up(last[0] if last else "Ray's logs may say why")


class _Deserted(_Unpicklable, tune.Stopper):  # type: ignore[misc, unused-ignore]
    """Ends all where there is nothing left to do: a worker that there was no room for would be waited for."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._dispatch.over and self._dispatch.deserted


def _name(trial: TuneTrial) -> str:
    return f"worker-{trial.config['worker']}"
