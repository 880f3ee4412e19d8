"""nas-export: the files of a trained network that devices run, checked and timed, and a model card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from latency import shipped_tables
from nas.commands import shell

if TYPE_CHECKING:
    from nas.deploy.card import Card

Option = typer.Option
FOLDER = "export"  # in the training's, where none is given


def command(
    path: Annotated[
        Path, typer.Argument(metavar="TRAINING", help="A folder of nas-train or nas-search, or weights (.pt) in it.")
    ],
    onnx: Annotated[bool, Option("--onnx", help="Write model.onnx, float32.")] = False,
    int8: Annotated[bool, Option("--int8", help="Write model.int8.onnx, calibrated on training images.")] = False,
    tflite: Annotated[bool, Option("--tflite", help="Write model.tflite, float32; of classifiers.")] = False,
    out: Annotated[Path | None, Option(help="Folder for the files and their card; else TRAINING/export.")] = None,
    device: Annotated[
        list[str] | None, Option(help="A latency table for the card; again for more. Else all shipped ones.")
    ] = None,
    found_in: Annotated[
        list[Path] | None,
        Option(help="The folder of nas-search or nas-adapt that made the architecture; again for more, first to last."),
    ] = None,
    data: Annotated[str | None, Option(help="Where the training's images are now, if not where they were.")] = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Write a trained network as files, with batch norms folded, and a model card (card.md, card.json).

    Without --onnx, --int8 or --tflite, all that can be made. Each file is compared with torch on validation images and
    timed on this host; the int8 file is judged on all of them.

    Example: nas-export runs/20261121-101500-mobilenet_v3_small --out shipped/
    """
    from nas.deploy.export import Export, export
    from nas.deploy.files import FORMATS

    wanted = {"onnx": onnx, "int8": int8, "tflite": tflite}
    formats = [name for name in FORMATS if wanted[name]]
    folder = out or (path.parent if path.is_file() else path) / FOLDER
    asked = Export(path, folder, formats, device or shipped_tables(), found_in or (), data)
    console = Console(stderr=as_json, highlight=False, markup=False)
    card = export(asked, console)
    for line in _lines(card):
        console.print(line, soft_wrap=True)
    console.print(f"all of it, with card.md and card.json, is in {folder}", soft_wrap=True)
    if as_json:
        from nas.deploy.card import card_to_dict

        shell.print_json({"folder": str(folder), **card_to_dict(card)})


def _lines(card: "Card") -> list[str]:
    """Sum a card up for the terminal."""
    name, value = next(iter(card.scores.metrics.items()))
    interval = card.scores.interval
    sure = f" (95 %: {100 * interval.low:.2f} to {100 * interval.high:.2f} %; {interval.method})" if interval else ""
    lines = [f"{name}: {100 * value:.2f} %{sure}", f"parameters: {card.params:,}; multiply-adds: {card.macs:,}"]
    for file in card.files:
        how = f"{name} {100 * file.scores.metrics[name]:.2f} %" if file.scores else "as torch"
        lines.append(
            f"{file.name}: {file.bytes / 2**20:.2f} MiB, {file.host.median_ms:.2f} ms on this host ({file.runtime}), "
            f"{how}, at most {file.largest_difference:.1g} from torch on {file.compared_images} images"
        )
    estimates = [f"{row.device} {row.ms:.2f} ms" for row in card.latencies if row.file is None]
    return [*lines, f"estimated by tables: {', '.join(estimates)}"]


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-export")


if __name__ == "__main__":
    main()
