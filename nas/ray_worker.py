"""What runs on a worker: one candidate after another, for as long as there are any."""

import asyncio
import contextlib
import faulthandler
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Protocol

import ray
from ray import tune

from nas.children import ChildEvaluator
from nas.dispatch import Job
from nas.ray_metrics import ChildProgress
from nas.search import Outcome
from search_spaces import Arch, FileError


class Evaluator(Protocol):
    """Trains and judges one network on a worker; must bear pickling."""

    def __call__(self, arch: Arch, key: str) -> Outcome: ...


class Mailbox:
    """An actor beside the driver that keeps what each worker is to do next, until it asks."""

    def __init__(self) -> None:
        self._jobs: defaultdict[str, asyncio.Queue[Job | None]] = defaultdict(asyncio.Queue)

    async def put(self, worker: str, job: Job | None) -> None:
        """Leave a job, or None where there is nothing left to do."""
        await self._jobs[worker].put(job)

    async def ping(self) -> None:
        """Answer."""

    async def take(self, worker: str) -> Job | None:
        """Wait for the next job; who gets None does not come again."""
        job = await self._jobs[worker].get()
        if job is None:
            del self._jobs[worker]
        return job


@contextlib.contextmanager
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


class Worker(tune.Trainable):
    """One of Tune's trials: its first step says that it is up, each further one evaluates a candidate."""

    def setup(
        self,
        config: dict[str, Any],
        evaluator: tuple[Any] | None = None,
        mailbox: Any = None,
        run: str | None = None,
    ) -> None:
        """``evaluator``: where in Ray's object store it is; read in a step, of whose errors Tune knows more."""
        assert evaluator is not None  # with_parameters always gives it
        self._name = config["worker"]
        self._progress = ChildProgress(run)
        self._stored = evaluator
        self._evaluate: Evaluator | None = None
        self._mailbox = mailbox

    def step(self) -> dict[str, Any]:
        if self._evaluate is None:
            evaluate: Evaluator = ray.get(self._stored[0])
            self._evaluate = evaluate.watched(self._progress) if isinstance(evaluate, ChildEvaluator) else evaluate
            return {"up": True}
        with self._progress.at(None, "waits for work"):
            job: Job | None = ray.get(self._mailbox.take.remote(self._name))
        if job is None:
            return {"done": True}
        with self._progress.at(job.trial, f"trial {job.trial}: {job.latency_ms:.1f} ms"):
            return _result(self._evaluate, job)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: a candidate is one step."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing."""


def _result(evaluate: Evaluator, job: Job) -> dict[str, Any]:
    start = time.monotonic()
    try:
        with _ended_after(job.deadline_seconds):
            outcome = evaluate(job.arch, job.key)
    except FileError as error:
        return {"file_error": str(error)}
    except Exception as error:  # a failed child is an outcome, never an exception in the driver
        seconds, text = time.monotonic() - start, f"{type(error).__name__}: {error}"
        outcome = Outcome(None, seconds, text, network_fault=False)  # the network's own faults are outcomes already
    return asdict(outcome)
