"""nas-train: train a network from scratch, for use."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.commands import shell
from nas.commands.network import load_network, sized_network
from nas.commands.recipe import chosen_schedule, with_schedule_options
from nas.environment import available_cores
from nas.train_config import CONFIG_NAMES, train_config
from search_spaces import FileError, InputError

if TYPE_CHECKING:
    from nas.train_run import TrainRun

Option = typer.Option
STOPPED = 128 + 15  # the exit status of what SIGTERM ended


@with_schedule_options
def command(
    context: typer.Context,
    arch: Annotated[
        str | None, typer.Argument(help="A reference network's name, or an architecture in YAML or JSON.")
    ] = None,
    data: Annotated[
        str | None,
        Option(help="Images. classification: digits, or class/name.jpg; detection: VOC's layout; segmentation: masks."),
    ] = None,
    task: Annotated[str | None, Option(help="classification, detection or segmentation.")] = None,
    width: Annotated[float | None, Option(help="Width multiplier of a reference network.")] = None,
    resolution: Annotated[int | None, Option(help="Input resolution, in pixels.")] = None,
    smallest_map: Annotated[
        int | None, Option(help="A classifier's strides are dropped until its last map has so many pixels a side (2).")
    ] = None,
    min_scale: Annotated[
        str | None,
        Option(help="Detection: scale of the first map's anchors, as a share of the image (0.2), or auto: by boxes."),
    ] = None,
    head: Annotated[str | None, Option(help="Segmentation: lraspp or raspp.")] = None,
    filters: Annotated[int | None, Option(help="Segmentation: channels of the head, 128 (the default) or 256.")] = None,
    output_stride: Annotated[
        int | None, Option(help="Segmentation: image over last map, 16 (the default) or 32.")
    ] = None,
    crop: Annotated[
        float | None, Option(help="Segmentation: share of the images' sides that a training view has (1).")
    ] = None,
    ignored_labels: Annotated[
        list[int] | None,
        Option("--ignore-label", help="Segmentation: a label that is neither learned nor scored; again for more."),
    ] = None,
    train_images: Annotated[int | None, Option(help="Classification: train on at most so many.")] = None,
    validation_images: Annotated[int | None, Option(help="Classification: validate on at most so many.")] = None,
    skip_bad_images: shell.SkipBadImages = None,
    evaluate_every: Annotated[
        int | None, Option(help="Judge the network after every so many epochs, and after the last one (1).")
    ] = None,
    seed: shell.Seed = None,
    workers: Annotated[int | None, Option(help="Processes that share every batch, by Ray Train (1).")] = None,
    threads: Annotated[int | None, Option(help="Threads of the CPU, of all workers; else one for each core.")] = None,
    device: Annotated[str | None, Option(help="cpu or cuda; else cuda where there is one.")] = None,
    out: Annotated[Path | None, Option(help="Folder of the training; else runs/<time>-<network>.")] = None,
    resume: shell.Resume = None,
    preset: Annotated[
        str | None, Option(help="The recipe: paper, or small for up to tens of thousands of images (the default).")
    ] = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
    **recipe: Any,
) -> None:
    """Train a network from scratch: weights, an ONNX file, metrics of each epoch, a report.

    Example: nas-train mobilenet_v3_small --data flowers/ --resolution 96
    """
    given = shell.given(context)
    console = Console(stderr=as_json, highlight=False, markup=False)
    if resume is not None:
        shell.refuse_beside_resume(context, given)
    _complete(_begun(given, console) if resume is None else _resumed(resume, console), as_json)


def _begun(given: dict[str, Any], console: Console) -> "TrainRun":
    for name, word, what in (("arch", "ARCH", "the network to train"), ("data", "--data", "the images to train on")):
        if name not in given:
            raise InputError(f"{word} is missing: {what} (or go on with a training by --resume DIR)")
    data = given["data"]
    if data != "digits" and not Path(data).exists():
        raise FileError(f"there are no data at {data}; give a folder or a zip, or the word digits")
    load = sized_network if given.get("task", "classification") == "classification" else load_network
    arch = load(given["arch"], given.get("width"), given.get("resolution"))
    resolved = {
        "arch": arch,
        "data": data if data == "digits" else str(Path(data).resolve()),
        "schedule": chosen_schedule(given.get("preset"), given),
        "threads": given.get("threads", available_cores()),
        "device": _device(given.get("device")),
    }
    config = train_config({name: given[name] for name in CONFIG_NAMES if name in given} | resolved, "command line")
    from nas.train_run import begin  # torch takes seconds

    folder = given.get("out") or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{arch.name}"
    return begin(folder, config, console)


def _resumed(folder: Path, console: Console) -> "TrainRun":
    from nas.train_run import resume

    return resume(folder, console)


def _complete(run: "TrainRun", as_json: bool) -> None:
    from dataclasses import asdict

    from nas.stopping import StoppedError
    from nas.train_run import summary_facts

    try:
        summary = run.complete()
    except StoppedError as error:
        run.console.print(f"{error}", soft_wrap=True)
        raise typer.Exit(STOPPED) from error
    for label, value in summary_facts(summary).items():
        run.console.print(f"{label}: {value}", soft_wrap=True)
    run.console.print(f"all of it is in {run.folder}", soft_wrap=True)
    if as_json:
        shell.print_json(asdict(summary))


def _device(named: str | None) -> str:
    import torch  # takes seconds

    if named in (None, "cpu", "cuda") and (named != "cuda" or torch.cuda.is_available()):
        return named or ("cuda" if torch.cuda.is_available() else "cpu")
    raise InputError(f"--device must be cpu, or cuda on a machine that torch finds a GPU in; got {named}")


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-train")


if __name__ == "__main__":
    main()
