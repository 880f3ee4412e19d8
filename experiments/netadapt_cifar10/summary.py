"""The table of the study, in Markdown, and the curve of its NetAdapt as a drawing.

python experiments/netadapt_cifar10/summary.py runs/netadapt_cifar10 --curve experiments/netadapt_cifar10/curve.svg
"""

import argparse
import csv
import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from scipy.stats import t

WIDTH, HEIGHT, MARGIN = 640, 380, 56  # pixels
COLOURS = {"NetAdapt": "#c2410c", "random proposals": "#66727f", "seed": "#1b2733"}
OTHER = "#2563a8"


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


def curve(methods: list[Method], steps: list[tuple[float, float]]) -> str:
    """Draw accuracy over latency: NetAdapt's steps, fine-tuned, as a line; all trainings from scratch as dots."""
    dots = [
        (ms, value, method.name)
        for method in methods
        for ms, value in zip(method.latencies_ms, method.accuracies, strict=True)
    ]
    all_ms, all_values = ([one[axis] for one in [*steps, *[(ms, value) for ms, value, _ in dots]]] for axis in (0, 1))

    def place(ms: float, value: float) -> tuple[float, float]:
        x = (ms - min(all_ms)) / (max(all_ms) - min(all_ms))
        y = (value - min(all_values)) / (max(all_values) - min(all_values))
        return MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*step) for step in steps))
    parts = [f'<polyline points="{line}" fill="none" stroke="{COLOURS["NetAdapt"]}" stroke-width="2"/>']
    for ms, value, name in dots:
        x, y = place(ms, value)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS.get(name, OTHER)}" fill-opacity="0.75"/>')
    for index, name in enumerate(dict.fromkeys(name for _, _, name in dots)):
        parts.append(text(WIDTH - MARGIN - 170, HEIGHT - MARGIN - 14 * index - 8, name, COLOURS.get(name, OTHER)))
    parts += [
        text(4, HEIGHT - MARGIN, f"{100 * min(all_values):.1f} %"),
        text(4, MARGIN, f"{100 * max(all_values):.1f} %"),
        text(MARGIN, HEIGHT - 20, f"{min(all_ms):.1f} ms"),
        text(WIDTH - MARGIN - 40, HEIGHT - 20, f"{max(all_ms):.1f} ms"),
        text(MARGIN, 24, "line: held-out accuracy of NetAdapt's steps; dots: validation, from scratch"),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    return "\n".join(
        [f'{head} font-size="12">', '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""]
    )


def text(x: float, y: float, words: str, colour: str = "#1b2733") -> str:
    """Write words at a place, in pixels."""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{escape(words)}</text>'


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
        given.curve.write_text(curve(methods, steps), encoding="utf-8")


if __name__ == "__main__":
    main()
