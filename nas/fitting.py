"""The one training loop: fits any `Task`, repeatably, and goes on exactly where it was stopped."""

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.averaging import averaged
from nas.checkpoint import check_same, load_checkpoint, save_checkpoint
from nas.fitted import EpochResult, Fitted, Watch
from nas.optimizer import optimizer_for
from nas.schedule import Schedule
from nas.stopping import StoppedError, sigterm_noted
from nas.tasks import Batch, Task, to_device
from nas.training import DivergedError, precision, torch_state

CHECKPOINT, BEST, LAST = "checkpoint.pt", "best.pt", "last.pt"


def fit_task(
    task: Task,
    schedule: Schedule,
    seed: int,
    *,
    folder: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Train the task's network from scratch; ``DivergedError`` if the loss leaves the numbers.

    ``folder`` exists and gets the state after every epoch (``checkpoint.pt``) and the averaged weights of the last and
    the best one. On SIGTERM the state is written at the next step, and ``StoppedError`` raised. ``resume`` goes on from
    it; on a CPU with the same ``threads`` the result is that of an uninterrupted run, bit for bit.
    """
    with torch_state(seed, device, threads), sigterm_noted() as stopping:
        fitting = _Fitting(task, schedule, seed, torch.device(device), folder, watch or Watch(), stopping)
        if resume:
            fitting.restore()
        else:
            fitting.save()  # what is killed in its first epoch can be resumed, too
        fitting.run()
    return Fitted(fitting.average.module, fitting.history)


@dataclass(slots=True)
class _Fitting:
    """The state of a training: ``epoch`` epochs and ``step`` steps of the next are done."""

    task: Task
    schedule: Schedule
    seed: int
    device: torch.device
    folder: Path | None
    watch: Watch
    stopping: Callable[[], bool]
    epoch: int = 0
    step: int = 0
    total: float = 0.0  # of this epoch's losses
    seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)
    random_state: torch.Tensor | None = None  # torch's, at the step to go on from
    model: nn.Module = field(init=False)
    average: torch.optim.swa_utils.AveragedModel = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    rng: np.random.Generator = field(init=False)
    begun: dict[str, Any] = field(init=False)  # the state of rng when the epoch began
    steps: int = field(init=False)
    epochs: int = field(init=False)

    def __post_init__(self) -> None:
        self.model = self.task.build()
        self.model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = self.schedule.batch_norm_momentum
        self.average = averaged(self.model, self.schedule.ema_decay)
        self.optimizer = optimizer_for(self.model, self.schedule)
        self.rng = np.random.default_rng(self.seed)
        self.begun = dict(self.rng.bit_generator.state)
        self.steps = self.task.steps_per_epoch(self.schedule.batch_size)
        self.epochs = self.schedule.epochs_for(self.steps)

    def run(self) -> None:
        """Train the epochs that are not done yet."""
        while self.epoch < self.epochs:
            self._train_epoch()
            self.epoch, self.step = self.epoch + 1, 0
            self.average.eval()
            with torch.no_grad(), precision(self.device):
                metrics = self.task.evaluate(self.average.module)
            self._close_epoch(metrics)

    def _train_epoch(self) -> None:
        """Take the epoch's steps that are not done yet."""
        self.model.train()
        self.begun = dict(self.rng.bit_generator.state)
        batches = self.task.batches(self.rng, self.schedule.batch_size)
        for _ in itertools.islice(batches, self.step):
            pass  # done before it was stopped; they must be drawn again for the generator to be where it was
        if self.random_state is not None:
            torch.set_rng_state(self.random_state)
            self.random_state = None
        begin = time.perf_counter()
        for batch in batches:
            loss = self._take_step(batch)
            self.step += 1
            self.total += loss
            now = time.perf_counter()
            self.seconds, begin = self.seconds + now - begin, now
            self.watch.on_step(self.epoch + 1, self.step, loss)
            if self.stopping():
                self.save()
                raise StoppedError(self.epoch, self.step)

    def _take_step(self, batch: Batch) -> float:
        rate = self.schedule.learning_rate_at(self.epoch + (self.step + 1) / self.steps, self.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with precision(self.device):
            loss = self.task.loss(self.model, to_device(batch, self.device))
        if not math.isfinite(value := loss.item()):
            raise DivergedError(self.epoch + 1, self.step + 1)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.schedule.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip_norm)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return value

    def _close_epoch(self, metrics: dict[str, float]) -> None:
        rate = self.schedule.learning_rate_at(self.epoch, self.epochs)
        speed = self.steps * self.schedule.batch_size / self.seconds
        result = EpochResult(self.epoch, self.total / self.steps, rate, self.seconds, speed, metrics)
        is_best = all(result.merit > before.merit for before in self.history)
        self.history.append(result)
        self.total = self.seconds = 0.0
        self.begun = dict(self.rng.bit_generator.state)
        if self.folder is not None:
            for name in [BEST, LAST] if is_best else [LAST]:
                save_checkpoint(self.folder / name, self._weights(result))
        self.save()  # last: what it says is done is on disk
        self.watch.on_epoch(self.history)

    def _weights(self, result: EpochResult) -> dict[str, Any]:
        about = {"task": self.task.name, "about": self.task.describe()}
        return {**about, "result": dataclasses.asdict(result), "weights": self.average.module.state_dict()}

    def save(self) -> None:
        """Write the state to disk."""
        if self.folder is None:
            return
        values = {
            "identity": self._identity(),
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
            "seconds": self.seconds,
            "history": [dataclasses.asdict(result) for result in self.history],
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": json.dumps(self.begun),  # whole numbers of 128 bits
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        save_checkpoint(self.folder / CHECKPOINT, values)

    def restore(self) -> None:
        """Take up the state that is on disk; ``InputError`` if it is that of another training."""
        if self.folder is None:
            raise ValueError("to resume takes the folder of the training")
        state = load_checkpoint(self.folder / CHECKPOINT)
        check_same(json.loads(state["identity"]), json.loads(self._identity()), self.folder)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.total = state["epoch"], state["step"], state["total"]
        self.seconds = state["seconds"]
        self.history = [EpochResult(**result) for result in state["history"]]
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.random_state = state["torch"]
        if state["cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def _identity(self) -> str:
        """Give, as JSON, what a resumed training must have in common with the one that was stopped."""
        schedule = {f"schedule {name}": value for name, value in dataclasses.asdict(self.schedule).items()}
        return json.dumps({"task": self.task.name, "seed": self.seed, **schedule, **self.task.describe()})
