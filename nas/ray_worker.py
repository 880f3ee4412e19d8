"""What runs on a worker: one candidate after another, each a trial of Ray Tune's."""

import asyncio
import contextlib
import faulthandler
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import ray
from ray import tune

from nas.children import ChildEvaluator
from nas.ray_metrics import ChildProgress
from nas.search import Outcome
from search_spaces import Arch, FileError, arch_from_dict

MUSTER_SECONDS = 60.0  # that workers which are up wait for the others


class Evaluator(Protocol):
    """Trains and judges one network on a worker; must bear pickling."""

    def __call__(self, arch: Arch, key: str) -> Outcome: ...


class Outcomes:
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


class ChildTrial(tune.Trainable):
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
        with self._progress.at(self._candidate.get("trial"), name_of(self._candidate)):
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


def name_of(candidate: Mapping[str, Any]) -> str:
    if "trial" not in candidate:
        return "waits for work"
    return f"trial {candidate['trial']}: {candidate['latency_ms']:.1f} ms"
