"""Trials on Ray Tune.

An adapter joins `Trials`, a search's or NetAdapt's, to Tune: Tune asks it for the next one and reports each one's
outcome. Everything that must survive is written by those themselves; Tune's own state is thrown away.

Tune keeps one idle worker and ends the others; started anew, one takes longer than a short trial, and Tune gives its
trial to whoever is free before it is up: all workers but one would stay idle. So they begin together, each with a trial
in which it waits for the others; and one without work gets a trial in which it waits for the next outcome, which may
bring some (`_Outcomes`).
"""

import asyncio
import atexit
import contextlib
import faulthandler
import functools
import json
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from nas.children import ChildEvaluator
from nas.loop import Candidate, Trials
from nas.ray_metrics import ChildProgress
from nas.ray_setup import has_token
from nas.search import Outcome
from nas.siblings import SIBLINGS
from nas.stopping import held
from search_spaces import Arch, FileError, InputError, arch_from_dict, arch_to_dict

PATIENCE, PATIENCE_SECONDS = 10.0, 600.0  # times the longest trial, and at least so long, before one counts as hung
MUSTER_SECONDS = 60.0  # that workers which are up wait for the others
ROOM_SECONDS = 5.0  # between two looks at how much room the cluster has

Result = TypeVar("Result")


class Evaluator(Protocol):
    """Trains and judges one network on a worker; must bear pickling."""

    def __call__(self, arch: Arch, key: str) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Placement:
    """Where trials run: how many at a time, and what each may use."""

    workers: int | None  # None: as many as the cluster has room for, at any moment
    cpus_per_trial: int
    gpus_per_trial: float = 0.0
    deadline_seconds: float | None = None  # of a trial; None: see `TrialClock.deadline`


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


@contextmanager
def ray_cluster(address: str | None) -> Iterator[str]:
    """Start Ray on this machine, or join the cluster at ``address``; yields the dashboard's address."""
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run folder is the record
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "RAY_AIR_NEW_OUTPUT": "0",  # the older one keeps silent when asked to
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial is a line in the record, not a page here
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        context = ray.init(
            address=address or "local",
            runtime_env={"working_dir": _code()} if address else None,
            include_dashboard=None if address else True,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError) as error:
        if address is None:
            raise
        there = "" if has_token() else ", where there is none"
        raise InputError(
            f"cannot join a Ray cluster at {address}; start one with: ray start --head. If its head asks for a token, "
            f"what ray get-auth-token prints there belongs into ~/.ray/auth_token here{there}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray took it, and would end the process where it stands
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()


@functools.cache
def _code() -> str:
    """Copy our packages into one folder, which a cluster's nodes get; what we import must be installed there."""
    folder, home = Path(tempfile.mkdtemp(prefix="nas-code-")), Path(__file__).parent.parent
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("nas", *SIBLINGS):
        shutil.copytree(home / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return str(folder)


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
    _check_resources(placement)
    outcomes = ray.remote(num_cpus=0)(_Outcomes).remote()
    adapter = _SearchAdapter(trials, placement, clock, outcomes)
    resources = {"cpu": placement.cpus_per_trial, "gpu": placement.gpus_per_trial}
    child = tune.with_parameters(_ChildTrial, evaluate=evaluate, outcomes=outcomes, run=run)
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


def _check_resources(placement: Placement) -> None:
    """Raise ``InputError`` if no trial could ever start, which Tune would wait for without a word."""
    cluster = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, needed in (("CPU", placement.cpus_per_trial), ("GPU", placement.gpus_per_trial)):
        if needed > cluster.get(name, 0):
            raise InputError(f"a trial asks for {needed:g} {name}, and the Ray cluster has {cluster.get(name, 0):g}")


class _Outcomes:
    """An actor that counts outcomes, so that workers can wait for the next one, and lets them begin together."""

    def __init__(self) -> None:
        self._count = 0
        self._arrived = 0
        self._changed = asyncio.Condition()

    async def muster(self, together: int, seconds: float) -> None:
        """Wait until so many workers are up, or no longer than this."""
        async with self._changed:
            self._arrived += 1
            self._changed.notify_all()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(lambda: self._arrived >= together), seconds)

    async def add(self) -> None:
        """Count one more."""
        async with self._changed:
            self._count += 1
            self._changed.notify_all()

    async def wait_beyond(self, count: int) -> None:
        """Wait until there are more than so many."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._count > count)


@contextmanager
def _ended_after(seconds: float | None) -> Iterator[None]:
    """End this process where the block takes longer, whatever it hangs in; what it was doing goes to its log."""
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class _ChildTrial(tune.Trainable):
    """One candidate on a worker, or a wait for one; the actor is used again for the next."""

    def setup(
        self,
        config: dict[str, Any],
        evaluate: Evaluator | None = None,
        outcomes: Any = None,
        run: str | None = None,
    ) -> None:
        assert evaluate is not None  # with_parameters always gives it
        self._candidate = config
        self._progress = ChildProgress(run)
        self._evaluate = evaluate.watched(self._progress) if isinstance(evaluate, ChildEvaluator) else evaluate
        self._outcomes = outcomes

    def step(self) -> dict[str, Any]:
        with self._progress.at(self._candidate.get("trial"), _name_of(self._candidate)):
            return self._step()

    def _step(self) -> dict[str, Any]:
        if "muster" in self._candidate:
            ray.get(self._outcomes.muster.remote(self._candidate["muster"], MUSTER_SECONDS))
            return {"done": True}
        if "after" in self._candidate:
            ray.get(self._outcomes.wait_beyond.remote(self._candidate["after"]))
            return {"done": True}
        start = time.monotonic()
        try:
            with _ended_after(self._candidate["deadline"]):
                arch = arch_from_dict(json.loads(self._candidate["arch"]))
                outcome = self._evaluate(arch, self._candidate["key"])
        except FileError as error:
            return {"done": True, "file_error": str(error)}
        except Exception as error:  # a failed child is an outcome, never an exception in the driver
            seconds, text = time.monotonic() - start, f"{type(error).__name__}: {error}"
            outcome = Outcome(None, seconds, text, network_fault=False)  # the network's own faults are outcomes already
        return asdict(outcome) | {"done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._candidate = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: a trial is one step, and Tune asks at its end all the same."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing."""


class _Forgets(tune.Callback):  # type: ignore[misc, unused-ignore]
    """Empties what Tune keeps of a trial that is done: the run folder has it, and searches are long."""

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        trial.config.pop("arch", None)
        trial.last_result.pop("config", None)
        for kept in (trial.metric_analysis, trial.metric_n_steps):
            kept.clear()


class _Room:
    """How many trials the cluster can run at a time; nodes join and leave."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._looked = float("-inf")
        self._workers = placement.workers or 1

    def workers(self) -> int:
        """Look now and then, where no number was asked for."""
        if self._placement.workers is None and time.monotonic() - self._looked > ROOM_SECONDS:
            self._looked = time.monotonic()
            self._workers = max(1, room(self._placement))
        return self._workers


def room(placement: Placement) -> int:
    """Say how many such trials the nodes of the cluster can run at a time."""
    needed = {"CPU": float(placement.cpus_per_trial), "GPU": placement.gpus_per_trial}
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    fits = [[int(has.get(name, 0) / need + 1e-9) for name, need in needed.items() if need] for has in alive]
    return sum(min(counts) for counts in fits)


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
        self._room = _Room(placement)
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
    return _name_of(trial.config)


def _name_of(candidate: Mapping[str, Any]) -> str:
    if "trial" not in candidate:
        return "waits for work"
    return f"trial {candidate['trial']}: {candidate['latency_ms']:.1f} ms"


def _trial_folder(trial: TuneTrial) -> str:
    return f"trial-{trial.config['trial']}" if "trial" in trial.config else f"wait-{trial.trial_id}"
