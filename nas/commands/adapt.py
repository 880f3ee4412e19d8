"""nas-adapt: narrow a trained network, layer by layer, to a latency target (NetAdapt)."""

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.commands import shell
from nas.commands.network import load_network
from nas.config import DIGITS
from nas.recipe import FINAL, Recipe
from search_spaces import Arch, FileError, InputError, load_arch

if TYPE_CHECKING:
    from nas.netadapt.places import Places
    from nas.netadapt.run import AdaptRun

Option = typer.Option

# what nas-search and nas-adapt leave in their folders: a network, as it is to be deployed, and its weights
_IN_FOLDERS = (("seed.yaml", "seed.pt"), ("adapted.yaml", "adapted.pt"))
_TRAINED = "best.pt"  # nas-train's, whose network is deployed as it was trained, strides and size


def command(
    context: typer.Context,
    arch: Annotated[str | None, typer.Argument(help="A reference network, an architecture's file, a run.")] = None,
    target_ms: Annotated[
        float | None, Option(help="Latency that the network should have on the device, in ms.")
    ] = None,
    target: Annotated[float | None, Option(help="The same as a share of the seed's latency, such as 0.7.")] = None,
    weights: Annotated[
        Path | None, Option(help="The seed's checkpoint; else the folder's, or the seed is trained first.")
    ] = None,
    data: Annotated[str | None, Option(help="Images: digits, a folder class/name.jpg, or a zip of one.")] = None,
    device: Annotated[str | None, Option(help="Latency table: a shipped name or a file (pixel1).")] = None,
    dtype: Annotated[str | None, Option(help="Refuse a table for another type: float32, int8.")] = None,
    delta: Annotated[float | None, Option(help="Share of the seed's latency that a step must save (0.01).")] = None,
    steps: Annotated[
        int | None, Option(help="Steps that fine-tune a proposal (100; for the paper's ImageNet, 10,000).")
    ] = None,
    batch_size: Annotated[int | None, Option(help="Images a step (32).")] = None,
    learning_rate: Annotated[float | None, Option(help="Of the fine-tuning's first step (0.02).")] = None,
    seed_epochs: Annotated[int | None, Option(help="Epochs of training a seed without weights.")] = None,
    select: Annotated[
        str | None, Option(help="ratio: the most accuracy per ms saved (the default); or the highest accuracy.")
    ] = None,
    keep: Annotated[
        str | None, Option(help="norm: the channels whose filters weigh most (the default); or first-n.")
    ] = None,
    held_out: Annotated[float | None, Option(help="Share of the training images to judge proposals on (0.2).")] = None,
    train_images: Annotated[int | None, Option(help="Use at most so many training images.")] = None,
    resolution: Annotated[
        int | None, Option(help="Of the images that a seed without weights is trained on (32).")
    ] = None,
    seed: shell.Seed = None,
    workers: Annotated[
        int | None, Option(min=1, help="Proposals at a time, on Ray; 1: in this process. Else one a core.")
    ] = None,
    threads: Annotated[int | None, Option(min=1, help="Threads of each (1); others change the last digits.")] = None,
    gpus_per_trial: Annotated[float | None, Option(min=0, help="Share of a GPU that each gets (0).")] = None,
    out: Annotated[Path | None, Option(help="Folder of the run; else runs/<time>-<network>-adapted.")] = None,
    resume: shell.Resume = None,
    skip_bad_images: shell.SkipBadImages = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Adapt a trained network to a latency target, layer by layer (NetAdapt).

    Example: nas-adapt runs/small --target 0.7 --data flowers/
    """
    given = shell.given(context)
    console = Console(stderr=as_json, highlight=False, markup=False)
    places = _places(given)
    if resume is not None:
        shell.refuse_beside_resume(context, given)
    run = _resumed(resume, places, console) if resume is not None else _begun(given, places, console)
    _complete(run, as_json)


def _places(given: dict[str, Any]) -> "Places":
    """Take out of what was given where proposals are judged, which a resumed run may change."""
    from nas.environment import available_cores
    from nas.netadapt.places import Places  # torch takes seconds: help need not wait for it

    threads = given.pop("threads", 1)
    workers = given.pop("workers", max(1, available_cores() // threads))
    return Places(workers, threads, given.pop("gpus_per_trial", 0.0))


def _begun(given: dict[str, Any], places: "Places", console: Console) -> "AdaptRun":
    if "arch" not in given:
        raise InputError("ARCH is missing: the network to adapt (or go on with a run by --resume DIR)")
    if ("target_ms" in given) == ("target" in given):
        raise InputError("give the target once: --target-ms in ms, or --target as a share of the seed's latency")
    for name in ("target", "delta"):
        if name in given and not 0 < given[name] < 1:
            raise InputError(f"--{name} is a share of the seed's latency, between 0 and 1, got {given[name]}")
    if "data" not in given:
        raise InputError("--data is missing: the images that proposals are fine-tuned and judged on")
    network, weights = find_seed(given.pop("arch"), given.pop("weights", None))
    if weights is not None and "resolution" in given:
        raise InputError("--resolution is for a seed without weights; the checkpoint's is taken")
    out = given.pop("out", None) or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{network.name}-adapted"
    from latency import load_table
    from nas.netadapt.start import begin

    device = given.setdefault("device", "pixel1")
    table = load_table(device, dtype=given.pop("dtype", None))
    goal = given.pop("target", None), given.pop("delta", 0.01)
    given |= _recipes(given)
    if given["data"] != DIGITS:
        given["data"] = str(Path(given["data"]).resolve())
    return begin(out, {"arch": network, **given}, goal, table, weights, places, console)


def _recipes(given: dict[str, Any]) -> dict[str, Recipe]:
    """Take the numbers of the fine-tuning and of the seed's training out of what was given, and put them in place."""
    from nas.netadapt.config import FINE_TUNING

    tuning = {name: given.pop(name) for name in ("batch_size", "learning_rate") if name in given}
    epochs = {"epochs": given.pop("seed_epochs"), "least_steps": 0} if "seed_epochs" in given else {}
    return {"recipe": replace(FINE_TUNING, **tuning), "seed_recipe": replace(FINAL, **epochs)}


def find_seed(name_or_path: str, weights: Path | None) -> tuple[Arch, Path | None]:
    """Give a reference network, the one in a file, or the one that a run ended with; and its weights, if there are any.

    ``weights`` go before those in the run's folder.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        return load_network(name_or_path), weights
    for network, checkpoint in _IN_FOLDERS:
        if (folder / network).is_file():
            beside = folder / checkpoint
            return load_arch(folder / network), weights or (beside if beside.is_file() else None)
    if (folder / _TRAINED).is_file():
        from nas.classifier_file import load_classifier

        return load_classifier(folder / _TRAINED).arch, weights or folder / _TRAINED
    known = ", ".join([*(network for network, _ in _IN_FOLDERS), _TRAINED])
    raise FileError(f"{folder} holds none of {known}; give a folder of nas-search, nas-train or nas-adapt, or a file")


def _resumed(folder: Path, places: "Places", console: Console) -> "AdaptRun":
    from nas.netadapt.start import resume

    return resume(folder, places, console)


def _complete(run: "AdaptRun", as_json: bool) -> None:
    summary = run.complete()
    for line in summary.lines():
        run.console.print(line, soft_wrap=True)
    if as_json:
        shell.print_json(asdict(summary))
    if not summary.reached:
        raise InputError(summary.shortfall())


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-adapt")


if __name__ == "__main__":
    main()
