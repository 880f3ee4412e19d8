"""Collect the runs of this experiment into trials.csv, print their table, and draw curves.png (needs matplotlib)."""

import argparse
import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path

import yaml

HERE = Path(__file__).parent
COLUMNS = ("controller", "seed", "trial", "latency_ms", "accuracy", "reward", "state", "seconds")
LIMIT_MS = 15.3  # the target and its 2 %
WINDOW = 20
Row = dict[str, str]
Runs = dict[tuple[str, str], list[Row]]


def collect(folders: list[Path]) -> None:
    """Write the trials of all runs, in the order in which they finished, to one file."""
    with (HERE / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for folder in folders:
            config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
            owner = {"controller": config["controller"], "seed": config["seed"]}
            for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines():
                rows.writerow(json.loads(line) | owner)


def read() -> Runs:
    """Read trials.csv, by controller and seed."""
    runs: Runs = defaultdict(list)
    with (HERE / "trials.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            runs[row["controller"], row["seed"]].append(row)
    return runs


def rewards(rows: list[Row]) -> list[float]:
    return [float(row["reward"] or 0) for row in rows]


def best_so_far(values: list[float]) -> list[float]:
    return [max(values[: count + 1]) for count in range(len(values))]


def moving_mean(values: list[float]) -> list[float]:
    return [statistics.fmean(values[max(0, end - WINDOW) : end]) for end in range(1, len(values) + 1)]


def print_table(runs: Runs) -> None:
    print(
        f"| controller | seed | best reward at 25 / 50 / 100 | mean reward, first {WINDOW} / last {WINDOW} | "
        f"mean latency of the last {WINDOW}, ms | best accuracy within {LIMIT_MS} ms | failed | trial seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (controller, seed), rows in sorted(runs.items()):
        values, best = rewards(rows), best_so_far(rewards(rows))
        within = [float(row["accuracy"]) for row in rows if row["accuracy"] and float(row["latency_ms"]) <= LIMIT_MS]
        late = statistics.fmean(float(row["latency_ms"]) for row in rows[-WINDOW:])
        failed = sum(row["state"] == "failed" for row in rows)
        seconds = statistics.fmean(float(row["seconds"]) for row in rows)
        print(
            f"| {controller} | {seed} | {' / '.join(f'{best[min(n, len(best)) - 1]:.3f}' for n in (25, 50, 100))} | "
            f"{statistics.fmean(values[:WINDOW]):.3f} / {statistics.fmean(values[-WINDOW:]):.3f} | {late:.1f} | "
            f"{100 * max(within):.1f} % of {len(within)} | {failed} | {seconds:.1f} |"
        )


def draw(runs: Runs) -> None:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), sharex=True, layout="constrained")
    for (controller, seed), rows in sorted(runs.items()):
        colour = {"reinforce": "tab:blue", "random": "tab:orange"}[controller]
        style = "-" if seed == "0" else "--"
        values = rewards(rows)
        left.plot(best_so_far(values), style, color=colour, label=f"{controller}, seed {seed}")
        right.plot(moving_mean(values), style, color=colour)
    left.set(title="best reward so far", xlabel="trial", ylabel="reward")
    right.set(title=f"mean reward of the last {WINDOW} trials", xlabel="trial")
    left.legend()
    figure.savefig(HERE / "curves.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collect", type=Path, nargs="+", metavar="RUN", help="run folders to make trials.csv from")
    options = parser.parse_args()
    if options.collect:
        collect(options.collect)
    print_table(read())
    draw(read())


if __name__ == "__main__":
    main()
