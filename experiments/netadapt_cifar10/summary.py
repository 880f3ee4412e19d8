"""The table of the study, in Markdown, and the curve of its NetAdapt as a drawing (which needs matplotlib).

python experiments/netadapt_cifar10/summary.py runs/netadapt_cifar10 --curve experiments/netadapt_cifar10/curve.png
"""

import argparse
import csv
import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t


@dataclass(frozen=True)
class Method:
    """All trainings from scratch of one method."""

    name: str
    latencies_ms: list[float]
    accuracies: list[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def half_interval(self) -> float:
        """Half of the mean's 95 % interval, by Student's t."""
        count = len(self.accuracies)
        if count < 2:
            return float("nan")
        return float(t.ppf(0.975, count - 1)) * statistics.stdev(self.accuracies) / count**0.5


def read(path: Path) -> list[Method]:
    """Read ``results.csv``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_name: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_name[row["method"]].append(row)
    return [
        Method(name, [float(row["latency_ms"]) for row in own], [float(row["accuracy"]) for row in own])
        for name, own in by_name.items()
    ]


def table(methods: list[Method]) -> str:
    """Give the table, the most accurate method first."""
    lines = ["| method | latency, ms | accuracy of each seed, % | mean, % |", "|---|---|---|---|"]
    for method in sorted(methods, key=lambda method: -method.mean):
        ms = " / ".join(f"{value:.2f}" for value in sorted(set(method.latencies_ms)))
        each = " / ".join(f"{100 * value:.2f}" for value in method.accuracies)
        lines.append(f"| {method.name} | {ms} | {each} | {100 * method.mean:.2f} ± {100 * method.half_interval:.2f} |")
    return "\n".join(lines)


def draw(path: Path, methods: list[Method], steps: list[tuple[float, float]]) -> None:
    """Draw accuracy over latency: NetAdapt's steps, fine-tuned, as a line; all trainings from scratch as dots."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    axes.plot(
        *zip(*((ms, 100 * value) for ms, value in steps), strict=True), color="0.6", label="NetAdapt's steps, held-out"
    )
    for method in methods:
        axes.plot(method.latencies_ms, [100 * value for value in method.accuracies], "o", alpha=0.75, label=method.name)
    axes.set(xlabel="latency on pixel1 (ms)", ylabel="accuracy (%); dots: from scratch, validation")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Print the table, and draw the curve where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the study")
    parser.add_argument("--curve", type=Path, help="file to draw to")
    given = parser.parse_args()
    methods = read(given.folder / "results.csv")
    print(table(methods))
    if given.curve:
        lines = (given.folder / "adapt" / "steps.jsonl").read_text(encoding="utf-8").splitlines()
        steps = [(step["latency_ms"], step["accuracy"]) for step in map(json.loads, lines)]
        draw(given.curve, methods, steps)


if __name__ == "__main__":
    main()
