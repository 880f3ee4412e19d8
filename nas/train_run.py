"""One training from its configuration to its end: the fitting, the exported file, the report, all in one folder."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from latency import time_onnx
from nas.checkpoint import load_checkpoint
from nas.display import task_display
from nas.environment import available_cores, describe_environment
from nas.fitted import EpochResult, Watch, best_of
from nas.fitting import BEST, fit_task
from nas.open_task import open_task
from nas.ray_setup import prepare
from nas.recorded import check_free, new_folder, write_atomically
from nas.run_folder import RunFolder
from nas.stopping import StoppedError
from nas.tasks import Exporting, Task
from nas.tensorboard import TensorBoardLog
from nas.train_config import TrainConfig, recorded_train_config
from nas.train_display import TrainDisplay
from nas.train_report import TrainReport, write_train_report
from nas.training import DivergedError
from search_spaces import InputError, save_arch

METRICS, ONNX, SUMMARY, PICTURES = "metrics.jsonl", "model.onnx", "summary.json", 12


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What a training ended with; metrics are fractions, those of the best epoch on the validation images.

    ``onnx_largest_difference`` and ``host_ms`` are None for a task that exports nothing.
    """

    folder: str
    task: str
    epochs: int
    best_epoch: int
    metrics: dict[str, float]
    last_metrics: dict[str, float]
    loss: float
    seconds: float
    params: int
    onnx_largest_difference: float | None
    host_ms: float | None


@dataclass(slots=True)
class TrainRun:
    """A checked training in its folder, its data open, ready to be completed."""

    folder: Path
    config: TrainConfig
    task: Task
    console: Console
    resumed: bool

    def complete(self) -> TrainSummary:
        """Train what is left, export the best epoch's network, and write the report."""
        try:
            with RunFolder(self.folder).locked():
                return self._complete()
        except OSError as error:
            raise InputError(
                f"cannot write to {self.folder}: {error.strerror or error}; make room, then go on with: nas-train "
                f"--resume {self.folder}"
            ) from error

    def _complete(self) -> TrainSummary:
        task = self.task
        history = self._fit(task)
        model = best_model(task, self.folder)
        difference, host_ms = self._export(task, model)
        summary = self._summary(task, history, model, difference, host_ms)
        write_atomically(self.folder / SUMMARY, json.dumps(asdict(summary), indent=2))
        report = TrainReport(self.config, summary_facts(summary), tuple(history), describe_environment())
        write_train_report(self.folder, report, task.pictures(model, PICTURES))
        return summary

    def _fit(self, task: Task) -> list[EpochResult]:
        config = self.config
        steps = max(1, len(task.train) // config.schedule.batch_size)
        log = TensorBoardLog(self.folder)
        display = TrainDisplay(self.console, config.schedule.epochs_for(steps), steps)

        def note(history: Sequence[EpochResult]) -> None:
            lines = [json.dumps(asdict(result)) + "\n" for result in history]
            write_atomically(self.folder / METRICS, "".join(lines))
            log.epoch(history)
            display.epoch(history)

        try:
            with display.shown(), contextlib.closing(log):
                return self._fit_here_or_on_workers(task, Watch(display.step, note))
        except DivergedError as error:
            rate = config.schedule.learning_rate
            raise InputError(f"{error}; begin again with a --learning-rate below {rate:g}") from error
        except (StoppedError, KeyboardInterrupt):
            self.console.print(f"go on with: nas-train --resume {self.folder}", soft_wrap=True)
            raise

    def _fit_here_or_on_workers(self, task: Task, watch: Watch) -> list[EpochResult]:
        config = self.config
        if config.workers > 1:
            prepare(None)
            from nas.ray_cluster import ray_cluster
            from nas.ray_training import fit_on_workers  # ray takes seconds to import

            with ray_cluster(None):
                return fit_on_workers(config, self.folder, resume=self.resumed, watch=watch)
        return fit_task(
            task,
            config.schedule,
            config.seed,
            folder=self.folder,
            resume=self.resumed,
            evaluate_every=config.evaluate_every,
            device=config.device,
            threads=config.threads,
            watch=watch,
        ).history

    def _export(self, task: Task, model: nn.Module) -> tuple[float | None, float | None]:
        """Write and time the ONNX file of a task that has one; give its difference from torch and its milliseconds."""
        if not isinstance(task, Exporting):
            return None, None
        path = self.folder / ONNX
        return task.export(model, path), time_onnx(path).median_ms

    def _summary(
        self,
        task: Task,
        history: Sequence[EpochResult],
        model: nn.Module,
        difference: float | None,
        host_ms: float | None,
    ) -> TrainSummary:
        best = best_of(history)
        return TrainSummary(
            folder=str(self.folder),
            task=task.name,
            epochs=len(history),
            best_epoch=best.epoch,
            metrics=best.metrics,
            last_metrics=history[-1].metrics,
            loss=history[-1].loss,
            seconds=sum(result.seconds for result in history),
            params=sum(parameter.numel() for parameter in model.parameters()),
            onnx_largest_difference=difference,
            host_ms=host_ms,
        )


def check_workers(config: TrainConfig) -> None:
    """Raise ``InputError`` if this machine cannot run so many workers."""
    kind, there = ("GPU", torch.cuda.device_count()) if config.device == "cuda" else ("core", available_cores())
    if config.workers > max(1, there):
        raise InputError(
            f"{config.workers} workers need a {kind} each, and this machine has {there}; ask for fewer with --workers"
        )


def begin(folder: Path, config: TrainConfig, console: Console) -> TrainRun:
    """Begin a training in a new or empty folder; ``InputError`` if the folder already holds one."""
    check_workers(config)
    check_free(folder)
    task = _open(config, console)  # before there is a folder: what cannot be read leaves none behind
    with new_folder(folder, config, describe_environment()):
        save_arch(config.arch, folder / "arch.yaml")
    return TrainRun(folder, config, task, console, resumed=False)


def resume(folder: Path, console: Console) -> TrainRun:
    """Go on with the training in a folder."""
    config = recorded_train_config(folder)
    return TrainRun(folder, config, _open(config, console), console, resumed=(folder / "checkpoint.pt").exists())


def _open(config: TrainConfig, console: Console) -> Task:
    with task_display(console, "decoding images") as progress:
        return open_task(config, progress, lambda text: console.print(text, soft_wrap=True))


def best_model(task: Task, folder: Path) -> nn.Module:
    """Give the network with the weights of the best epoch, on the CPU and in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        model = task.build()
    model.load_state_dict(load_checkpoint(folder / BEST)["weights"])
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def summary_facts(summary: TrainSummary) -> Mapping[str, str]:
    """Put what a training ended with in words, for the report and the terminal."""
    name, value = next(iter(summary.metrics.items()))
    facts = {
        f"best {name}": f"{100 * value:.2f} % (epoch {summary.best_epoch} of {summary.epochs})",
        f"last {name}": f"{100 * summary.last_metrics[name]:.2f} %",
        "last loss": f"{summary.loss:.4f}",
        "trained for": f"{summary.seconds / 60:.1f} minutes",
        "parameters": f"{summary.params:,}",
    }
    if summary.host_ms is not None:
        facts["this host, ONNX Runtime"] = f"{summary.host_ms:.2f} ms"
        facts["ONNX from torch"] = f"at most {summary.onnx_largest_difference:.1g} apart"
    return facts
