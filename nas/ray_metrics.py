"""What Ray shows of a search: metrics for Prometheus, and which trial each worker is at.

Ray's dashboard lists the workers of a node by the titles of their processes. An actor's own name is settled when it
starts, and one actor runs many trials, so it is the title that names the trial.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ray._raylet import setproctitle  # type: ignore[attr-defined, unused-ignore]
from ray.util.metrics import Gauge, Histogram

from nas.metrics import (
    BEST_ACCURACY,
    BEST_LATENCY,
    BEST_REWARD,
    CHILD_PROGRESS,
    CHILD_TRIAL,
    ENTROPY,
    GAIN,
    PHASE_SECONDS,
    QUEUE,
    TRIALS,
    Metric,
)
from nas.search import Candidate, Outcome, Search, Trial
from nas.training import Phase

_STATES = ("finished", "reused", "failed")
_SECONDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0]
_DOING: dict[Phase, str] = {"build": "building", "train": "epoch 1", "validate": "validating"}


class WatchedSearch:
    """A search of which Ray's metrics are told whenever it hands out a candidate or takes an outcome."""

    def __init__(self, search: Search, run: str) -> None:
        self._search = search
        self._gauges = {
            metric: _gauge(metric, {"run": run})
            for metric in (TRIALS, QUEUE, BEST_REWARD, BEST_ACCURACY, BEST_LATENCY, ENTROPY, GAIN)
        }
        self._states: Counter[str] = Counter()
        self._told = 0  # of the results
        self._running = 0
        self._best: Trial | None = None
        self._tell()

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
        for state in _STATES:
            self._gauges[TRIALS].set(self._states[state], {"state": state})
        self._gauges[QUEUE].set(self._running, {"state": "running"})
        self._gauges[QUEUE].set(max(0, self._search.trials - len(results) - self._running), {"state": "waiting"})
        policy = self._search.controller.diagnostics()
        best = self._best
        told = {ENTROPY: policy.get("entropy_share"), GAIN: policy.get("model_gain")}
        if best is not None:
            told |= {BEST_REWARD: best.reward, BEST_ACCURACY: best.accuracy, BEST_LATENCY: best.latency_ms}
        for metric, value in told.items():
            if value is not None:
                self._gauges[metric].set(value)


class ChildProgress:
    """Says on a worker which trial it is at, and how far that is; it is what a `ChildEvaluator` tells.

    Without a ``run`` to name them by there are no metrics, and the process's title alone says it.
    """

    def __init__(self, run: str | None) -> None:
        tags = {"run": run or "", "pid": str(os.getpid())}
        self._trial = _gauge(CHILD_TRIAL, tags)
        self._progress = _gauge(CHILD_PROGRESS, tags)
        self._seconds = _histogram(PHASE_SECONDS, tags)
        self._measured = run is not None
        self._name = ""
        self._phase: Phase | None = None
        self._since = 0.0

    @contextmanager
    def at(self, trial: int | None, name: str) -> Iterator[None]:
        """Be at a trial, or at none, while the block runs."""
        self._name = name
        self._show(name)
        self._set(self._trial, -1 if trial is None else trial)
        self._set(self._progress, 0)
        try:
            yield
            self._end_phase()
        finally:
            self._phase = None
            self._set(self._trial, -1)
            self._set(self._progress, 0)

    def phase(self, phase: Phase) -> None:
        """Take note that a phase begins."""
        self._end_phase()
        self._phase, self._since = phase, time.monotonic()
        self._show(f"{self._name}, {_DOING[phase]}")

    def epoch(self, done: int, of: int) -> None:
        """Take note of an epoch that ended."""
        self._set(self._progress, done / of)
        if done < of:
            self._show(f"{self._name}, epoch {done + 1} of {of}")

    def _end_phase(self) -> None:
        if self._phase is not None and self._measured:
            self._seconds.observe(time.monotonic() - self._since, {"phase": self._phase})

    def _set(self, gauge: Gauge, value: float) -> None:
        if self._measured:
            gauge.set(value)

    def _show(self, text: str) -> None:
        setproctitle(f"ray::{text}")  # "ray::" is how Ray knows its own


def _gauge(metric: Metric, tags: dict[str, str]) -> Gauge:
    gauge = Gauge(metric.name, f"{metric.description} ({metric.unit})", ("run", *metric.tags))
    gauge.set_default_tags(tags)
    return gauge


def _histogram(metric: Metric, tags: dict[str, str]) -> Histogram:
    described = f"{metric.description} ({metric.unit})"
    histogram = Histogram(metric.name, described, _SECONDS, ("run", *metric.tags))
    histogram.set_default_tags(tags)
    return histogram
