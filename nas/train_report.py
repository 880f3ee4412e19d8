"""The page on a training: one HTML file that needs no network, with the curves and what the network says of images."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image
from plotly.offline import get_plotlyjs

from nas.charts import Chart, line_chart
from nas.fitted import EpochResult, best_of, judged
from nas.network_table import describe
from nas.report import PAGE, resource, script_hash
from nas.report_data import flatten
from nas.run_folder import write_atomically
from nas.train_config import TrainConfig, config_to_dict


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
    scripts = [get_plotlyjs(), resource("report.js")]
    config = report.config
    charts = _charts(report.history)
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return page.from_string(resource("train.html")).render(
        title=f"{config.arch.name}: {config.task} on {Path(config.data).name}",
        description=describe(config.arch),
        facts=report.facts,
        charts=charts,
        summaries=_summaries(report.history),
        metrics=report.history[-1].metrics,
        pictures=[_data_uri(picture) for picture in pictures],
        config=list(flatten({name: value for name, value in config_to_dict(config).items() if name != "arch"})),
        environment=list(flatten(report.environment)),
        styles=Markup(resource("report.css")),  # ours, as are the scripts
        scripts=[Markup(script) for script in scripts],
        policy="script-src " + " ".join(script_hash(script) for script in scripts),
        data={"charts": charts},
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
