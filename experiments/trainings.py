"""Collect what nas-train wrote: a table of final figures, printed, and the learning curves of all epochs as CSV."""

import argparse
import csv
import json
from pathlib import Path
from typing import Any


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a training's summary and its epochs."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads((folder / "summary.json").read_text(encoding="utf-8")), [json.loads(line) for line in lines]


def row(folder: Path, summary: dict[str, Any], epochs: list[dict[str, Any]]) -> str:
    """Give a training's figures as a row of Markdown; metrics are those of the best epoch."""
    seconds = sum(epoch["seconds"] for epoch in epochs)
    metrics = ", ".join(f"{name} {100 * value:.1f} %" for name, value in summary["metrics"].items())
    last = next(iter(summary["last_metrics"].values()))
    cells = [
        folder.name,
        f"{summary['params']:,}",
        metrics,
        f"{100 * last:.1f} %",
        f"{summary['best_epoch']} of {summary['epochs']}",
        f"{seconds / 60:.1f}",
        f"{summary['host_ms']:.2f}",
        f"{summary['onnx_largest_difference']:.1g}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of trainings, which nas-train wrote")
    parser.add_argument("--curves", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    columns = (
        "training",
        "parameters",
        "best epoch",
        "last epoch",
        "best of",
        "minutes",
        "host, ms",
        "ONNX from torch",
    )
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|---|")
    with options.curves.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["training", "epoch", "loss", "seconds", "metric", "value"])
        for folder in options.folders:
            summary, epochs = read(folder)
            print(row(folder, summary, epochs))
            for epoch in epochs:
                start = [folder.name, epoch["epoch"], f"{epoch['loss']:.4f}", f"{epoch['seconds']:.1f}"]
                metrics = list((epoch["metrics"] or {}).items())[:1]  # the figure of merit; not every epoch is judged
                writer.writerow([*start, *(metrics[0][0], f"{metrics[0][1]:.4f}")] if metrics else [*start, "", ""])


if __name__ == "__main__":
    main()
