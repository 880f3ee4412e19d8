"""The model card of an exported network (Mitchell et al. 2019): one record, as JSON and as Markdown.

The Markdown begins with the YAML that model hubs read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date as Date
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml

from nas.deploy.deployable import Scores
from nas.deploy.files import ModelFile
from nas.deploy.found import Found
from nas.deploy.latencies import Latency
from nas.deploy.trained import Training
from nas.recorded import write_atomically
from nas.report_data import flatten

CARD_JSON, CARD_TEXT = "card.json", "card.md"
_HUB_TASKS = {
    "classification": "image-classification",
    "detection": "object-detection",
    "segmentation": "image-segmentation",
}


@dataclass(frozen=True, slots=True)
class Data:
    """The images that a network was trained and judged on; ``image_size`` is (height, width) in pixels."""

    name: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    train_images: int
    validation_images: int


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a network: ``scores`` are torch's in float32, MAdds and parameters those of `Count`."""

    name: str
    task: str
    made: Date
    network: str
    data: Data
    scores: Scores
    params: int
    macs: int
    files: Sequence[ModelFile]
    latencies: Sequence[Latency]
    training: Training
    found: Sequence[Found]
    limits: Sequence[str]
    environment: Mapping[str, Any]


def write_card(card: Card, folder: Path) -> None:
    """Write ``card.json`` and ``card.md``."""
    write_atomically(folder / CARD_JSON, json.dumps(card_to_dict(card), indent=2))
    write_atomically(folder / CARD_TEXT, card_text(card))


def card_to_dict(card: Card) -> dict[str, Any]:
    """Give a card as plain data: fractions, milliseconds, bytes."""
    return asdict(card) | {"made": card.made.isoformat()}


def card_text(card: Card) -> str:
    """Give a card as Markdown."""
    page = jinja2.Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    page.filters |= {"cell": _cell, "percent": _percent, "mib": _mib}
    text = resources.files("nas").joinpath("page", "card.md").read_text(encoding="utf-8")
    merit = next(iter(card.scores.metrics))
    return page.from_string(text).render(
        card=card, merit=merit, hub=_hub_header(card, merit), settings=list(flatten(card.training.settings))
    )


def _hub_header(card: Card, merit: str) -> str:
    """Give what model hubs read; the licence is the publisher's to add."""
    result = {
        "task": {"type": _HUB_TASKS[card.task]},
        "dataset": {"name": card.data.name, "type": card.data.name, "split": "validation"},
        "metrics": [{"type": merit, "value": card.scores.metrics[merit]}],
    }
    formats = sorted({Path(file.name).suffix.lstrip(".") for file in card.files})
    header = {
        "pipeline_tag": _HUB_TASKS[card.task],
        "tags": ["neural-architecture-search", *formats],
        "model-index": [{"name": card.name, "results": [result]}],
    }
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip()


def _cell(value: object) -> str:
    """Make text of others, such as a class's name, safe inside a line and a table."""
    text = " ".join(str(value).split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in text)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _mib(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"
