"""nas-train: train a network from scratch, for use."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nas.commands import shell
from nas.commands.network import load_network
from nas.environment import available_cores
from nas.schedule import Schedule, preset
from search_spaces import FileError, InputError

if TYPE_CHECKING:
    from nas.train_run import TrainRun

Option = typer.Option
DEFAULT_PRESET = "small"
STOPPED = 128 + 15  # the exit status of what SIGTERM ended


def command(
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
    head: Annotated[str | None, Option(help="Segmentation: lraspp or raspp.")] = None,
    ignore_label: Annotated[
        list[int] | None, Option(help="Segmentation: a label that is neither learned nor scored; again for more.")
    ] = None,
    preset_name: Annotated[
        str | None, Option("--preset", help="paper, or small for up to tens of thousands of images (the default).")
    ] = None,
    epochs: Annotated[int | None, Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, Option(help="Images a step; the learning rate goes along.")] = None,
    learning_rate: Annotated[float | None, Option(help="Its peak; else the preset's, for the batch size.")] = None,
    train_images: Annotated[int | None, Option(help="Train on at most so many.")] = None,
    validation_images: Annotated[int | None, Option(help="Validate on at most so many.")] = None,
    seed: Annotated[int | None, Option(help="Seed of all randomness.")] = None,
    threads: Annotated[int | None, Option(help="Threads of the CPU; else one for each core.")] = None,
    device: Annotated[str | None, Option(help="cpu or cuda; else cuda where there is one.")] = None,
    out: Annotated[Path | None, Option(help="Folder of the training; else runs/<time>-<network>.")] = None,
    resume_from: Annotated[Path | None, Option("--resume", help="Go on with the training in this folder.")] = None,
    skip_bad_images: Annotated[
        bool | None, Option("--skip-bad-images", help="Go on without images that cannot be read.")
    ] = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Train a network from scratch: weights, an ONNX file, metrics of each epoch, a report.

    Example: nas-train mobilenet_v3_small --data flowers/ --resolution 96
    """
    given = {
        "ARCH": arch,
        "--data": data,
        "--task": task,
        "--width": width,
        "--resolution": resolution,
        "--smallest-map": smallest_map,
        "--head": head,
        "--ignore-label": ignore_label or None,
        "--preset": preset_name,
        "--epochs": epochs,
        "--batch-size": batch_size,
        "--learning-rate": learning_rate,
        "--train-images": train_images,
        "--validation-images": validation_images,
        "--seed": seed,
        "--threads": threads,
        "--device": device,
        "--out": out,
        "--skip-bad-images": skip_bad_images,
    }
    console = Console(stderr=as_json, highlight=False, markup=False)
    _complete(_resumed(resume_from, given, console) if resume_from else _begun(given, console), as_json)


def _begun(given: dict[str, Any], console: Console) -> "TrainRun":
    for name, what in (("ARCH", "the network to train"), ("--data", "the images to train on")):
        if given[name] is None:
            raise InputError(f"{name} is missing: {what} (or go on with a training by --resume DIR)")
    data = given["--data"]
    if data != "digits" and not Path(data).exists():
        raise FileError(f"there are no data at {data}; give a folder or a zip, or the word digits")
    arch = load_network(given["ARCH"], given["--width"], given["--resolution"])
    values = {
        "arch": arch,
        "data": data if data == "digits" else str(Path(data).resolve()),
        "task": _or(given["--task"], "classification"),
        "schedule": _schedule(given),
        "seed": _or(given["--seed"], 0),
        "threads": _or(given["--threads"], available_cores()),
        "device": _device(given["--device"]),
        "smallest_map": given["--smallest-map"],
        "train_images": given["--train-images"],
        "validation_images": given["--validation-images"],
        "skip_bad_images": bool(given["--skip-bad-images"]),
        "head": given["--head"],
        "ignored_labels": given["--ignore-label"],
    }
    from nas.train_config import train_config

    config = train_config(values, "command line")
    from nas.train_run import begin

    folder = given["--out"] or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{arch.name}"
    return begin(folder, config, console)


def _resumed(folder: Path, given: dict[str, Any], console: Console) -> "TrainRun":
    too_many = [name for name, value in given.items() if value is not None]
    if too_many:
        raise InputError(f"--resume goes on with what the folder records; leave {', '.join(too_many)} away")
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


def _schedule(given: dict[str, Any]) -> Schedule:
    schedule = preset(_or(given["--preset"], DEFAULT_PRESET))
    if given["--batch-size"] is not None:
        if given["--batch-size"] < 1:
            raise InputError(f"--batch-size must be at least 1, got {given['--batch-size']}")
        schedule = schedule.with_batch_size(given["--batch-size"])
    if given["--epochs"] is not None:
        schedule = replace(schedule, epochs=given["--epochs"], least_steps=0)  # as many as asked for
    if given["--learning-rate"] is not None:
        schedule = replace(schedule, learning_rate=given["--learning-rate"])
    return schedule


def _device(named: str | None) -> str:
    import torch  # takes seconds

    if named in (None, "cpu", "cuda") and (named != "cuda" or torch.cuda.is_available()):
        return named or ("cuda" if torch.cuda.is_available() else "cpu")
    raise InputError(f"--device must be cpu, or cuda on a machine that torch finds a GPU in; got {named}")


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-train")


if __name__ == "__main__":
    main()
