"""The one training loop: fits any `Task`, repeatably, and goes on exactly where it was stopped."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.averaging import averaged
from nas.batch_norm import synchronised
from nas.batches import Batches
from nas.checkpoint import check_same, load_checkpoint, save_checkpoint
from nas.fitted import EpochResult, Fitted, Watch
from nas.optimizer import optimizer_for
from nas.schedule import Schedule
from nas.stopping import StoppedError, sigterm_noted
from nas.tasks import Batch, Task, to_device
from nas.team import Team, this_team
from nas.training import DivergedError, precision, torch_state

CHECKPOINT, BEST, LAST = "checkpoint.pt", "best.pt", "last.pt"


def fit_task(
    task: Task,
    schedule: Schedule,
    seed: int,
    *,
    folder: Path | None = None,
    resume: bool = False,
    evaluate_every: int = 1,
    device: str = "cpu",
    threads: int | None = None,
    watch: Watch | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Fitted:
    """Train the task's network from scratch; ``DivergedError`` if the loss leaves the numbers.

    ``folder`` exists and gets the state after every epoch (``checkpoint.pt``) and the averaged weights of the last and
    the best one that were judged; ``evaluate_every`` so many epochs one is, and the last. On SIGTERM, or when
    ``stopping`` says so, the state is written after the step, and ``StoppedError`` raised. ``resume`` goes on from it;
    on a CPU with the same ``threads`` the result is that of an uninterrupted run, bit for bit. Called by each process
    of a team (`nas.team`), these train one network, and the first one's result counts.
    """
    with torch_state(seed, device, threads), sigterm_noted() as terminated:
        settings = (seed, torch.device(device), folder, evaluate_every, watch or Watch(), stopping or terminated)
        fitting = _Fitting(task, schedule, *settings)
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
    evaluate_every: int
    watch: Watch
    stopping: Callable[[], bool]
    epoch: int = 0
    step: int = 0
    total: float = 0.0  # of this epoch's losses
    seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)
    team: Team = field(init=False)
    batches: Batches = field(init=False)
    model: nn.Module = field(init=False)
    loss: nn.Module = field(init=False)
    average: torch.optim.swa_utils.AveragedModel = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    epochs: int = field(init=False)

    def __post_init__(self) -> None:
        self.team = this_team()
        self.batches = Batches(self.task, self.schedule.batch_size, self.schedule.accumulate, self.seed, self.team)
        self.epochs = self.schedule.epochs_for(self.batches.steps)
        self.model = self.task.build()
        self.model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = self.schedule.batch_norm_momentum
        self.average = averaged(self.model, self.schedule.ema_decay)
        self.optimizer = optimizer_for(self.model, self.schedule)
        if self.team.size > 1 and self.schedule.sync_batch_norm:
            self.model = synchronised(self.model, self.device)
        self.loss = self.team.loss_of(self.task, self.model)

    def run(self) -> None:
        """Train the epochs that are not done yet."""
        while self.epoch < self.epochs:
            self._train_epoch()
            self.epoch, self.step = self.epoch + 1, 0
            due = self.epoch % self.evaluate_every == 0 or self.epoch == self.epochs
            self._close_epoch(self._judge() if due and self.team.leads else {})

    def _judge(self) -> dict[str, float]:
        self.average.eval()
        with torch.no_grad(), precision(self.device):
            return self.task.evaluate(self.average.module)

    def _train_epoch(self) -> None:
        """Take the epoch's steps that are not done yet."""
        self.model.train()
        begin = time.perf_counter()
        for parts in self.batches.epoch(self.epoch, self.step, self.device):
            loss = self._take_step(parts)
            self.step += 1
            self.total += loss
            now = time.perf_counter()
            self.seconds, begin = self.seconds + now - begin, now
            self.watch.on_step(self.epoch + 1, self.step, loss)
            if self.team.sums([self.stopping()], self.device)[0]:  # any of them was told to
                self.save()
                raise StoppedError(self.epoch, self.step)

    def _take_step(self, parts: Sequence[tuple[Batch, float]]) -> float:
        torch.manual_seed(self._torch_seed())
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.device)
        for number, (batch, share) in enumerate(parts, 1):
            with self.team.gradients(self.loss, shared=number == len(parts)):
                with precision(self.device):
                    loss = self.loss(to_device(batch, self.device)) * share
                (loss * self.team.size).backward()  # gradients are averaged over processes, and these are to be added
            total += loss.detach()
        value = self.team.sums([total.item()], self.device)[0]
        if not math.isfinite(value):
            raise DivergedError(self.epoch + 1, self.step + 1)
        self._update()
        return value

    def _update(self) -> None:
        rate = self.schedule.learning_rate_at(self.epoch + (self.step + 1) / self.batches.steps, self.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.schedule.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip_norm)
        self.optimizer.step()
        if self.team.leads:
            self.average.update_parameters(self.model)

    def _torch_seed(self) -> int:
        """Give a seed for what the network draws in a step, so that any step can be begun with."""
        place = [self.seed, self.epoch, self.step, self.team.rank + 1]
        return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])

    def _close_epoch(self, metrics: dict[str, float]) -> None:
        rate = self.schedule.learning_rate_at(self.epoch, self.epochs)
        speed = self.batches.steps * self.batches.images / self.seconds
        result = EpochResult(self.epoch, self.total / self.batches.steps, rate, self.seconds, speed, metrics)
        is_best = all(result.merit > before.merit for before in self.history)
        self.history.append(result)
        self.total = self.seconds = 0.0
        if self.folder is not None and metrics:
            for name in [BEST, LAST] if is_best else [LAST]:
                save_checkpoint(self.folder / name, self._weights(result))
        self.save()  # last: what it says is done is on disk
        if self.team.leads:
            self.watch.on_epoch(self.history)

    def _weights(self, result: EpochResult) -> dict[str, Any]:
        about = {"task": self.task.name, "about": self.task.describe()}
        return {**about, "result": dataclasses.asdict(result), "weights": self.average.module.state_dict()}

    def save(self) -> None:
        """Write the state to disk."""
        if self.folder is None or not self.team.leads:
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

    def _identity(self) -> str:
        """Give, as JSON, what a resumed training must have in common with the one that was stopped."""
        schedule = {f"schedule {name}": value for name, value in dataclasses.asdict(self.schedule).items()}
        same = {"task": self.task.name, "seed": self.seed, "evaluate_every": self.evaluate_every}
        return json.dumps({**same, "workers": self.team.size, **schedule, **self.task.describe()})
