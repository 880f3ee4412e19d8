"""One export from a training to a folder that can be shipped: its files, each checked and timed, and their card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from latency import load_table
from nas.deploy.card import Card, Data, write_card
from nas.deploy.deployable import Deployable, Scores
from nas.deploy.files import FORMATS, FormatName, ModelFile, formats_for, write_file
from nas.deploy.found import Found, found_in
from nas.deploy.latencies import Latency, estimated, measured
from nas.deploy.limits import limits_of
from nas.deploy.trained import TrainedNetwork, Weights, open_trained
from nas.environment import describe_environment
from nas.network_table import describe
from nas.recorded import CONFIG
from nas.run_folder import RunFolder
from search_spaces import FileError, InputError, arch_from_dict, count_ops, save_arch

ARCH = "arch.yaml"


@dataclass(frozen=True, slots=True)
class Export:
    """What is asked for.

    ``path``: the folder of a training or a search, or weights in one. ``formats``: none for all that can be made.
    ``devices``: latency tables. ``found_in``: the folders of nas-search and nas-adapt that the architecture came from,
    the first one first. ``data``: where the images are now.
    """

    path: Path
    out: Path
    formats: Sequence[FormatName]
    devices: Sequence[str]
    found_in: Sequence[Path] = ()
    data: str | None = None


def export(asked: Export, console: Console) -> Card:
    """Write the files, ``arch.yaml``, ``card.json`` and ``card.md``; ``InputError`` comes before any of it."""
    weights = Weights.at(asked.path)
    found = found_in(asked.found_in or ([weights.folder] if weights.from_search else []), weights.given())
    tables = [load_table(device) for device in asked.devices]
    _check_free(asked.out)
    trained = open_trained(weights, asked.data, console)
    formats = formats_for(trained.network, asked.formats, lambda text: console.print(text, soft_wrap=True))
    estimates = [estimated(trained.network.ops(), table) for table in tables]
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        with RunFolder(asked.out).locked():
            files = [_written(trained.network, name, asked.out, console) for name in formats]
            save_arch(arch_from_dict(trained.about["arch"]), asked.out / ARCH)
            with console.status("judging the network on the validation images"):
                scores = trained.network.scores(trained.network.model)
            measurements = _Measured(scores, files, [*estimates, *map(measured, files)])
            card = _card(trained, measurements, found, weights.chosen_by_validation)
            write_card(card, asked.out)
    except OSError as error:
        raise FileError(f"cannot write to {asked.out}: {error.strerror}; make room, or give another --out") from error
    return card


@dataclass(frozen=True, slots=True)
class _Measured:
    """What an export finds out."""

    scores: Scores
    files: Sequence[ModelFile]
    latencies: Sequence[Latency]


def _card(trained: TrainedNetwork, measurements: _Measured, found: Sequence[Found], chosen_by_validation: bool) -> Card:
    network, about = trained.network, trained.about
    arch, costs = arch_from_dict(about["arch"]), count_ops(network.ops())
    data = _data(network, about)
    return Card(
        name=f"{arch.name} on {data.name}",
        task=network.task.name,
        made=date.today(),
        network=describe(arch),
        data=data,
        scores=measurements.scores,
        params=costs.params,
        macs=costs.macs,
        files=measurements.files,
        latencies=measurements.latencies,
        training=trained.training,
        found=found,
        limits=tuple(limits_of(network.task.name, data, measurements.files, found, chosen_by_validation)),
        environment=describe_environment(),
    )


def _data(network: Deployable, about: Mapping[str, Any]) -> Data:
    images, size = network.data, about["resolution"]
    height, width = size if isinstance(size, list | tuple) else (size, size)
    name, classes = Path(about["data"]).name, tuple(about["classes"])
    return Data(name, classes, (height, width), len(images.train), len(images.validation))


def _written(network: Deployable, name: FormatName, folder: Path, console: Console) -> ModelFile:
    with console.status(f"writing, checking and timing {FORMATS[name].file}"):
        return write_file(network, name, folder)


def _check_free(folder: Path) -> None:
    """Raise ``InputError`` for a folder whose own files would be written over."""
    if (folder / CONFIG).exists():
        raise InputError(f"{folder} holds a training or a search, whose files would be lost; give another --out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --out takes a folder")
