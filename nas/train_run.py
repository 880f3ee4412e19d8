"""One training from its configuration to its end: the fitting, the exported file, the report, all in one folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from torch import nn

from latency import time_onnx
from nas.checkpoint import load_checkpoint
from nas.display import task_display
from nas.environment import describe_environment
from nas.finish import ONNX_TOLERANCE
from nas.fitted import EpochResult, Fitted, Watch
from nas.fitting import BEST, fit_task
from nas.open_task import open_task
from nas.run_folder import RunFolder, check_free, write_atomically
from nas.stopping import StoppedError
from nas.tasks import Exporting, Task
from nas.train_config import CONFIG, TrainConfig, config_to_dict, recorded_train_config
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
    """A checked training in its folder, ready to be completed."""

    folder: Path
    config: TrainConfig
    console: Console
    resumed: bool

    def complete(self) -> TrainSummary:
        """Train what is left, export the best epoch's network, and write the report."""
        with RunFolder(self.folder).locked():
            with task_display(self.console, "decoding images") as progress:
                task = open_task(self.config, progress, lambda text: self.console.print(text, soft_wrap=True))
            fitted = self._fit(task)
            model = best_model(task, self.folder)
            difference, host_ms = self._export(task, model)
            summary = self._summary(task, fitted, model, difference, host_ms)
            write_atomically(self.folder / SUMMARY, json.dumps(asdict(summary), indent=2))
            report = TrainReport(self.config, summary_facts(summary), tuple(fitted.history), describe_environment())
            write_train_report(self.folder, report, task.pictures(model, PICTURES))
        return summary

    def _fit(self, task: Task) -> Fitted:
        config = self.config
        steps = task.steps_per_epoch(config.schedule.batch_size)
        display = TrainDisplay(self.console, config.schedule.epochs_for(steps), steps)

        def note(history: Sequence[EpochResult]) -> None:
            lines = [json.dumps(asdict(result)) + "\n" for result in history]
            write_atomically(self.folder / METRICS, "".join(lines))
            display.epoch(history)

        watch = Watch(display.step, note)
        settings: dict[str, Any] = {"device": config.device, "threads": config.threads, "resume": self.resumed}
        try:
            with display.shown():
                return fit_task(task, config.schedule, config.seed, folder=self.folder, watch=watch, **settings)
        except DivergedError as error:
            rate = config.schedule.learning_rate
            raise InputError(f"{error}; begin again with a --learning-rate below {rate:g}") from error
        except (StoppedError, KeyboardInterrupt):
            self.console.print(f"go on with: nas-train --resume {self.folder}", soft_wrap=True)
            raise

    def _export(self, task: Task, model: nn.Module) -> tuple[float | None, float | None]:
        """Write and time the ONNX file of a task that has one; give its difference from torch and its milliseconds."""
        if not isinstance(task, Exporting):
            return None, None
        path = self.folder / ONNX
        difference = task.export(model, path)
        if difference > ONNX_TOLERANCE:
            raise RuntimeError(f"{path.name} differs from torch by {difference:.2g}, more than {ONNX_TOLERANCE:g}")
        return difference, time_onnx(path).median_ms

    def _summary(
        self, task: Task, fitted: Fitted, model: nn.Module, difference: float | None, host_ms: float | None
    ) -> TrainSummary:
        history, best = fitted.history, fitted.best
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


def begin(folder: Path, config: TrainConfig, console: Console) -> TrainRun:
    """Begin a training in a new or empty folder; ``InputError`` if the folder already holds one."""
    check_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment.json").write_text(json.dumps(describe_environment(), indent=2), encoding="utf-8")
        save_arch(config.arch, folder / "arch.yaml")
        # last: a folder with a config.yaml holds a training
        write_atomically(folder / CONFIG, yaml.safe_dump(config_to_dict(config), sort_keys=False))
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; give another folder with --out") from error
    return TrainRun(folder, config, console, resumed=False)


def resume(folder: Path, console: Console) -> TrainRun:
    """Go on with the training in a folder."""
    return TrainRun(folder, recorded_train_config(folder), console, resumed=(folder / "checkpoint.pt").exists())


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
