"""The page on a training: one HTML file that needs no network, with the curves and what the network says of images."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nas.charts import Chart, line_chart
from nas.fitted import EpochResult, best_of, judged
from nas.network_table import describe
from nas.pages import PAGE, Fact, render_page
from nas.recorded import config_to_dict, write_atomically
from nas.train_config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What the page is about; ``facts`` are shown first, as labels and values."""

    config: TrainConfig
    facts: Mapping[str, str]
    history: Sequence[EpochResult]
    environment: Mapping[str, Any]


def write_train_report(folder: Path, report: TrainReport, pictures: Sequence[Image.Image]) -> Path:
    """Write ``report.html`` into a training's folder."""
    path = folder / PAGE
    write_atomically(path, render(report, pictures))
    return path


def render(report: TrainReport, pictures: Sequence[Image.Image]) -> str:
    """Make the page; the template escapes whatever comes from files."""
    config = report.config
    return render_page(
        "train.html",
        title=f"{config.arch.name}: {config.task} on {Path(config.data).name}",
        lead=describe(config.arch),
        facts=[Fact(label, value) for label, value in report.facts.items()],
        config={name: value for name, value in config_to_dict(config).items() if name != "arch"},
        environment=report.environment,
        data={"charts": _charts(report.history)},
        summaries=_summaries(report.history),
        metrics=report.history[-1].metrics,
        pictures=[_data_uri(picture) for picture in pictures],
    )


def _charts(history: Sequence[EpochResult]) -> dict[str, Chart]:
    seen = judged(history)
    name = next(iter(seen[0].metrics))
    losses, merits = [result.loss for result in history], [100 * result.merit for result in seen]
    return {
        "loss": line_chart("epoch", "training loss", [result.epoch for result in history], {"loss": losses}),
        "merit": line_chart("epoch", f"{name} (%)", [result.epoch for result in seen], {name: merits}),
    }


def _summaries(history: Sequence[EpochResult]) -> dict[str, str]:
    """Say in words what each chart shows, for those who do not see it."""
    first, last = history[0], history[-1]
    best = best_of(history)
    return {
        "loss": f"Mean training loss of each epoch: {first.loss:.3f} in the first, {last.loss:.3f} in the last.",
        "merit": f"On the validation images, by the averaged weights: at best {100 * best.merit:.2f} % "
        f"after epoch {best.epoch}, {100 * last.merit:.2f} % after the last.",
    }


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
