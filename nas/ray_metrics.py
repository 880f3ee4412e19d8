"""What Ray shows of a search: metrics for Prometheus, and which trial each worker is at.

Ray's dashboard lists the workers of a node by the titles of their processes. An actor's own name is settled when it
starts, and one actor runs many trials, so it is the title that names the trial.
"""

import collections
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ray._raylet import setproctitle  # type: ignore[attr-defined, unused-ignore]
from ray.util.metrics import Counter, Gauge, Histogram

from nas.metrics import (
    BEST_ACCURACY,
    BEST_LATENCY,
    BEST_REWARD,
    CHILD_PROGRESS,
    CHILD_TRIAL,
    ENTROPY,
    GAIN,
    PHASE_SECONDS,
    PHASE_SPREAD,
    QUEUE,
    TRIALS,
    Metric,
)
from nas.search import Candidate, Outcome, Search, Trial
from nas.training import Phase

_STATES = ("finished", "reused", "failed")
_BOUNDARIES = [0.1 * 2**step for step in range(20)]  # seconds, to 14 hours
_REFRESH_SECONDS = 1.0  # the shortest time between two of Ray's exports
_DOING: dict[Phase, str] = {"build": "building", "train": "epoch 1", "validate": "validating"}


class _Gauges:
    """Gauges that keep their values: Ray drops one that is not set anew between two of its exports."""

    def __init__(self, run: str, **tags: str) -> None:
        self._tags = {"run": run, **tags}
        self._gauges: dict[Metric, Gauge] = {}
        self._values: dict[tuple[Metric, str], float] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._refresh, name="metrics", daemon=True).start()

    def set(self, metric: Metric, value: float | None, state: str = "") -> None:
        """Set a metric, which has states or has none; None leaves it as it is."""
        if value is None:
            return
        if metric not in self._gauges:
            self._gauges[metric] = Gauge(metric.name, _help(metric), ("run", *metric.tags))
        self._values[metric, state] = value
        self._record(metric, state, value)

    def close(self) -> None:
        """Let them be dropped."""
        self._closed.set()

    def _record(self, metric: Metric, state: str, value: float) -> None:
        self._gauges[metric].set(value, self._tags | ({"state": state} if state else {}))

    def _refresh(self) -> None:
        while not self._closed.wait(_REFRESH_SECONDS):
            for (metric, state), value in list(self._values.items()):
                self._record(metric, state, value)


class WatchedSearch:
    """A search of which Ray's metrics are told whenever it hands out a candidate or takes an outcome."""

    def __init__(self, search: Search, run: str) -> None:
        self._search = search
        self._gauges = _Gauges(run)
        self._states: collections.Counter[str] = collections.Counter()
        self._told = 0  # of the results
        self._running = 0
        self._best: Trial | None = None
        self._tell()

    def __enter__(self) -> "WatchedSearch":
        return self

    def __exit__(self, *error: object) -> None:
        self._gauges.close()

    @property
    def done(self) -> bool:
        return self._search.done

    def next(self) -> Candidate | None:
        """Hand out the search's next candidate."""
        candidate = self._search.next()
        self._running += candidate is not None
        self._tell()
        return candidate

    def finish(self, trial: int, outcome: Outcome) -> Trial | None:
        """Give an outcome to the search."""
        self._running -= 1
        result = self._search.finish(trial, outcome)
        self._tell()
        return result

    def _tell(self) -> None:
        results = self._search.results
        for trial in results[self._told :]:
            self._states[trial.state] += 1
            if trial.reward is not None and (self._best is None or trial.reward > (self._best.reward or 0.0)):
                self._best = trial
        self._told = len(results)
        gauges, policy, best = self._gauges, self._search.controller.diagnostics(), self._best
        for state in _STATES:
            gauges.set(TRIALS, self._states[state], state)
        gauges.set(QUEUE, self._running, "running")
        gauges.set(QUEUE, max(0, self._search.trials - len(results) - self._running), "waiting")
        gauges.set(ENTROPY, policy.get("entropy_share"))
        gauges.set(GAIN, policy.get("model_gain"))
        if best is not None:
            gauges.set(BEST_REWARD, best.reward)
            gauges.set(BEST_ACCURACY, best.accuracy)
            gauges.set(BEST_LATENCY, best.latency_ms)


class ChildProgress:
    """Says on a worker which trial it is at, and how far that is; it is what a `ChildEvaluator` tells.

    Without a ``run`` to name them by there are no metrics, and the process's title alone says it.
    """

    def __init__(self, run: str | None) -> None:
        self._gauges = None if run is None else _Gauges(run, pid=str(os.getpid()))
        self._run = run or ""
        self._seconds = Counter(PHASE_SECONDS.name, _help(PHASE_SECONDS), ("run", "phase"))
        self._spread = Histogram(PHASE_SPREAD.name, _help(PHASE_SPREAD), _BOUNDARIES, ("run", "phase"))
        self._name = ""
        self._phase: Phase | None = None
        self._since = 0.0

    @contextmanager
    def at(self, trial: int | None, name: str) -> Iterator[None]:
        """Be at a trial, or at none, while the block runs."""
        self._name = name
        self._show(name)
        self._set(CHILD_TRIAL, -1 if trial is None else trial)
        self._set(CHILD_PROGRESS, 0)
        try:
            yield
            self._end_phase()
        finally:
            self._phase = None
            self._set(CHILD_TRIAL, -1)
            self._set(CHILD_PROGRESS, 0)

    def phase(self, phase: Phase) -> None:
        """Take note that a phase begins."""
        self._end_phase()
        self._phase, self._since = phase, time.monotonic()
        self._show(f"{self._name}, {_DOING[phase]}")

    def epoch(self, done: int, of: int) -> None:
        """Take note of an epoch that ended."""
        self._set(CHILD_PROGRESS, done / of)
        if done < of:
            self._show(f"{self._name}, epoch {done + 1} of {of}")

    def _end_phase(self) -> None:
        if self._phase is not None and self._gauges is not None:
            seconds, tags = time.monotonic() - self._since, {"run": self._run, "phase": self._phase}
            self._seconds.inc(seconds, tags)
            self._spread.observe(seconds, tags)

    def _set(self, metric: Metric, value: float) -> None:
        if self._gauges is not None:
            self._gauges.set(metric, value)

    def _show(self, text: str) -> None:
        setproctitle(f"ray::{text}")  # "ray::" is how Ray knows its own


def _help(metric: Metric) -> str:
    return f"{metric.description} ({metric.unit})"
