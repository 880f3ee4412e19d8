"""Begin a NetAdapt, or go on with one: everything that can be wrong is checked before anything is computed."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from latency import LatencyTable, load_table
from nas.classifier_file import load_classifier
from nas.data import ImageData, load_data
from nas.display import task_display
from nas.environment import describe_environment
from nas.netadapt.config import AdaptConfig, adapt_config
from nas.netadapt.fine_tuning import hold_out
from nas.netadapt.folder import AdaptFolder
from nas.netadapt.places import Places
from nas.netadapt.prices import Prices
from nas.netadapt.proposals import Proposer
from nas.netadapt.run import AdaptRun
from nas.netadapt.seed import check_classes, check_network
from nas.recipe import recipe_for
from nas.recorded import check_free, new_folder, read_config
from search_spaces import Arch, InputError, read_yaml


def begin(
    path: Path,
    values: dict[str, Any],
    goal: tuple[float | None, float],
    table: LatencyTable,
    weights: Path | None,
    places: Places,
    console: Console,
) -> AdaptRun:
    """Check everything, and begin a run in a new or empty folder.

    ``values`` are those of an `AdaptConfig`. ``goal``: the target, where ``values`` lack ``target_ms``, and what each
    step must save, as shares of the seed's latency.
    """
    check_free(path)
    places.check()
    prices = Prices(table)
    config = _with_latencies(values, goal, prices)
    trained = load_classifier(weights) if weights is not None else None
    if trained is not None and weights is not None:
        check_network(config.arch, trained, weights)
        config = replace(config, resolution=trained.arch.resolution)
    data = _data(config, console)
    if trained is not None and weights is not None:
        check_classes(data.classes, trained, weights)
    recipes = recipe_for(config.recipe, data.name), recipe_for(config.seed_recipe, data.name)
    config = replace(config, recipe=recipes[0], seed_recipe=recipes[1])
    folder = _folder(path, config, prices.table, weights, data)
    console.print(f"latency table {table.header.sentence()}", soft_wrap=True)
    console.print(f"run folder: {path}", soft_wrap=True)
    return _run(folder, config, prices, data, places, console)


def resume(path: Path, places: Places, console: Console) -> AdaptRun:
    """Open a run to go on with it; ``InputError`` if its data are not what they were."""
    config, folder = read_config(AdaptConfig, path, "nas-adapt"), AdaptFolder(path)
    places.check()
    data = _data(config, console)
    recorded = read_yaml(path / "environment.json").get("data")
    if recorded != data.fingerprint:
        raise InputError(f"the data changed since the run in {path} began; start a new run with another --out")
    return _run(folder, config, Prices(load_table(folder.table)), data, places, console)


def _run(
    folder: AdaptFolder, config: AdaptConfig, prices: Prices, data: ImageData, places: Places, console: Console
) -> AdaptRun:
    prices.on_grown = folder.write_table
    return AdaptRun(folder, config, prices, data, places, console)


def _with_latencies(values: dict[str, Any], goal: tuple[float | None, float], prices: Prices) -> AdaptConfig:
    """Fill in what depends on the seed's latency, and check that the target can be reached at all."""
    arch: Arch = values["arch"]
    seed_ms = prices.exactly(arch)
    share, delta = goal
    if share is not None:
        values = values | {"target_ms": share * seed_ms}
    config = adapt_config(values | {"delta_ms": delta * seed_ms}, "command line")
    if config.target_ms < seed_ms:
        _check_reachable(config, seed_ms, prices)
    return config


def _check_reachable(config: AdaptConfig, seed_ms: float, prices: Prices) -> None:
    """Raise ``InputError`` where it is plain from the start that the target cannot be reached."""
    arch, propose = config.arch, Proposer.of(config.arch, prices, config.delta_ms)
    about = f"{arch.name} takes {seed_ms:.4g} ms on {prices.table.header.device}"
    lowest_ms = propose.lowest_ms(arch)
    if lowest_ms is not None and config.target_ms < lowest_ms:
        raise InputError(
            f"a target of {config.target_ms:.4g} ms is out of reach: {about}, and {lowest_ms:.4g} ms where all its "
            "widths are as small as they can be; give a larger target, or start from a smaller network or resolution"
        )
    if not propose(arch, seed_ms):
        raise InputError(
            f"no width of {arch.name} can be made smaller so that it saves {config.delta_ms:.4g} ms: {about}; "
            f"{prices.refusals() or 'give a smaller --delta'}"
        )


def _data(config: AdaptConfig, console: Console) -> ImageData:
    with task_display(console, "packing images") as report:
        data = load_data(
            config.data,
            config.resolution,
            train_images=config.train_images,
            skip_bad_images=config.skip_bad_images,
            on_progress=report,
            on_skipped=lambda name, why: console.print(f"skipped {name}: {why}", soft_wrap=True),
        )
    return hold_out(data, config.held_out)


def _folder(path: Path, config: AdaptConfig, table: LatencyTable, weights: Path | None, data: ImageData) -> AdaptFolder:
    folder = AdaptFolder(path)
    with new_folder(path, config, describe_environment() | {"data": data.fingerprint}):
        folder.weights(0).parent.mkdir(exist_ok=True)
        folder.write_table(table)
        if weights is not None:
            shutil.copyfile(weights, folder.weights(0))
    return folder
