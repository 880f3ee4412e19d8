"""One training on several processes by Ray Train, each with its part of every batch (`nas.team`).

The workers open the data themselves, so that nothing large travels. The first one tells this process of its epochs and
writes the checkpoints into the training's folder, which all of them must see; a file there tells them to stop.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Queue

from nas.fitted import EpochResult, Watch
from nas.stopping import StoppedError, sigterm_noted
from nas.train_config import TrainConfig
from nas.training import DivergedError

_STOP = ".stop"
_RAY_SETTINGS = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one more process to start; SIGTERM stops a training
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # how soon it sees that the workers are done
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # a busy machine is no failure
}
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 24 * 3600  # that the others wait while the first one judges the network


@dataclass(frozen=True, slots=True)
class _Order:
    """What a worker is asked to do."""

    config: TrainConfig
    folder: Path
    resume: bool
    line: Queue  # to the process that waits for all of them


def fit_on_workers(config: TrainConfig, folder: Path, *, resume: bool, watch: Watch) -> list[EpochResult]:
    """Train as `nas.fitting.fit_task` does, errors included, on ``config.workers`` processes; give all epochs.

    This process is connected to a Ray cluster.
    """
    (folder / _STOP).unlink(missing_ok=True)
    for name, value in _RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    with (
        tempfile.TemporaryDirectory(prefix="nas-train-") as storage,
        ThreadPoolExecutor(1) as pool,
        sigterm_noted() as stopping,  # after Ray's start, which takes the signal for itself
    ):
        order = _Order(config, folder.resolve(), resume, Queue(actor_options={"num_cpus": 0}))
        listener = _Listener(watch)
        running = pool.submit(_trainer(order, storage).fit)
        try:
            while not running.done():
                time.sleep(_POLL_SECONDS)
                if stopping():
                    (folder / _STOP).touch()
                listener.hear(order.line)
        except BaseException:
            ray.shutdown()  # ends what the thread waits for
            raise
        listener.hear(order.line)
        if listener.error is not None:
            raise listener.error
        running.result()
    return listener.history


class _Listener:
    """Hands on what workers tell."""

    def __init__(self, watch: Watch) -> None:
        self._hear: dict[str, Callable[..., None]] = {
            "step": watch.on_step,
            "epoch": watch.on_epoch,
            "done": self._done,
            "error": self._error,
        }
        self.history: list[EpochResult] = []
        self.error: Exception | None = None

    def hear(self, line: Queue) -> None:
        """Take all that is on the line."""
        for kind, *values in line.get_nowait_batch(line.size()):
            self._hear[kind](*values)

    def _done(self, history: list[EpochResult]) -> None:
        self.history = history

    def _error(self, error: Exception) -> None:
        self.error = self.error or error


def _trainer(order: _Order, storage: str) -> TorchTrainer:
    on_gpu = order.config.device == "cuda"
    return TorchTrainer(
        _work,
        train_loop_config={"order": order},
        scaling_config=ScalingConfig(num_workers=order.config.workers, use_gpu=on_gpu),
        run_config=RunConfig(name="training", storage_path=storage),
        torch_config=TorchConfig(timeout_s=_PATIENCE_SECONDS),
    )


def _work(settings: dict[str, Any]) -> None:
    """Train on one worker, and tell of it; what goes wrong is told, too."""
    from nas.fitting import fit_task
    from nas.open_task import open_task

    order: _Order = settings["order"]
    config = order.config
    try:
        history = fit_task(
            open_task(config, note=lambda text: None),
            config.schedule,
            config.seed,
            folder=order.folder,
            resume=order.resume,
            evaluate_every=config.evaluate_every,
            device=str(get_device()) if config.device == "cuda" else config.device,
            threads=max(1, config.threads // config.workers),
            watch=_telling(order.line),
            stopping=(order.folder / _STOP).exists,
        ).history
    except (DivergedError, StoppedError) as error:
        order.line.put(("error", error))  # all workers end so, after the same step
        return
    except Exception as error:
        order.line.put(("error", error))
        raise
    if ray.train.get_context().get_world_rank() == 0:
        order.line.put(("done", history))


def _telling(line: Queue) -> Watch:
    """Tell of epochs, and now and then of a step."""
    told = 0.0

    def step(epoch: int, number: int, loss: float) -> None:
        nonlocal told
        if ray.train.get_context().get_world_rank() == 0 and time.monotonic() - told > _POLL_SECONDS:
            told = time.monotonic()
            line.put(("step", epoch, number, loss))

    return Watch(step, lambda history: line.put(("epoch", list(history))))
