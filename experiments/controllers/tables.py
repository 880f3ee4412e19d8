"""Print the tables of what run.py wrote, and draw the curves (these need matplotlib).

A cell is the mean regret over the seeds and the half width of its 95 % interval (Student's t); the last columns are
the mean of a row's regret less the other's at the same seed: below 0, the row is better.

    python experiments/controllers/tables.py FILE.csv [--against reinforce] [--best-of logits] [--curves curves.png]
"""

import argparse
import csv
import statistics
from collections import defaultdict
from pathlib import Path

from scipy.stats import t as student

Regrets = dict[int, float]  # by seed
Table = dict[str, dict[int, Regrets]]  # by method, by mark


def read(paths: list[Path]) -> dict[str, Table]:
    """Read the files: a table for each task, noise and batch."""
    tables: dict[str, Table] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                noise = "" if float(row["noise"]) == 1 else f", noise x {float(row['noise']):g}"
                table = tables[f"{row['task']}, batches of {row['batch']}{noise}"]
                for column in row:
                    if column.startswith("at_"):
                        table[row["method"]][int(column[3:])][int(row["seed"])] = float(row[column])
    return tables


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % interval."""
    if len(values) < 2:
        return statistics.fmean(values), float("nan")
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), float(half)


def with_best_of(table: Table, prefix: str) -> Table:
    """Replace methods whose names begin alike by one row that has, at each mark, the best of them."""
    alike = {name: marks for name, marks in table.items() if name.startswith(prefix)}
    if len(alike) < 2:
        return table
    best: dict[int, Regrets] = {}
    for mark in next(iter(alike.values())):
        best[mark] = min((marks[mark] for marks in alike.values()), key=lambda seeds: statistics.fmean(seeds.values()))
    others = {name: marks for name, marks in table.items() if name not in alike}
    return {**others, f"{prefix}, best of {len(alike)}": best}


def cell(regrets: Regrets) -> str:
    """Return the mean and its interval."""
    mean, half = interval(list(regrets.values()))
    return f"{mean:.2f} ± {half:.2f}"


def difference(regrets: Regrets, other: Regrets) -> str:
    """Return the mean difference over the seeds that both have, and its interval."""
    both = [regrets[seed] - other[seed] for seed in regrets if seed in other]
    if not both or regrets is other:
        return ""
    mean, half = interval(both)
    return f"{mean:+.2f} ± {half:.2f}"


def print_table(title: str, table: Table, marks: list[int], against: str) -> None:
    """Print one table, best at the last mark first."""
    print(f"\n**{title}**\n")
    compared = [f"less {against}, {mark}" for mark in marks] if against in table else []
    print(f"| method | seeds | {' | '.join([*(f'at {mark}' for mark in marks), *compared])} |")
    print(f"|{'---|' * (2 + len(marks) + len(compared))}")
    for name, row in sorted(table.items(), key=lambda item: statistics.fmean(item[1][marks[-1]].values())):
        cells = [cell(row[mark]) for mark in marks]
        cells += [difference(row[mark], table[against][mark]) for mark in marks] if compared else []
        print(f"| {name} | {len(row[marks[-1]])} | {' | '.join(cells)} |")


def draw(tables: dict[str, Table], path: Path) -> None:
    """Draw mean regret over evaluations, with its interval, a panel for each table."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(tables), figsize=(5 * len(tables), 4.5), layout="constrained", squeeze=False
    )
    names = sorted({name for table in tables.values() for name in table})
    lines = {}
    for panel, (title, table) in zip(panels[0], tables.items(), strict=True):
        for name, row in table.items():
            marks = sorted(row)
            means, halves = zip(*(interval(list(row[mark].values())) for mark in marks), strict=True)
            colour = pyplot.get_cmap("tab20")(names.index(name) % 20)
            (lines[name],) = panel.plot(marks, means, color=colour)
            low, high = ([mean + side * half for mean, half in zip(means, halves, strict=True)] for side in (-1, 1))
            panel.fill_between(marks, low, high, color=colour, alpha=0.15)
        panel.set(title=title, xlabel="evaluations", ylabel="regret, reward points", ylim=(0, None))
        panel.set_yscale("symlog", linthresh=0.01)
    figure.legend([lines[name] for name in names], names, loc="outside lower center", ncols=4, fontsize="small")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print tables, draw curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--marks", type=int, nargs="+", default=[100, 200, 500])
    parser.add_argument("--against", default="reinforce", metavar="METHOD")
    parser.add_argument("--best-of", nargs="*", default=[], metavar="PREFIX", help="one row for names that begin so")
    parser.add_argument("--curves", type=Path, metavar="FILE.png")
    given = parser.parse_args()
    tables = read(given.files)
    for prefix in given.best_of:
        tables = {title: with_best_of(table, prefix) for title, table in tables.items()}
    for title, table in tables.items():
        print_table(title, table, given.marks, given.against)
    if given.curves:
        draw(tables, given.curves)


if __name__ == "__main__":
    main()
