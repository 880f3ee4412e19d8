"""Which short schedule ranks networks as a long one does, for each second of CPU?

Trains random networks by several short schedules and by one long schedule, and prints for each short one its rank
correlation with the long one, its mean accuracy and its CPU seconds. See README.md for the commands and the results.
"""

import argparse
import csv
import itertools
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas
from scipy.stats import kendalltau, spearmanr

from nas.data import load_data
from nas.recipe import Recipe, recipe_for
from nas.training import DivergedError, train
from search_spaces import Arch, load_space, proxy_arch, reference


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recipe with the proxy task's other two numbers."""

    name: str
    recipe: Recipe
    resolution: int = 32
    smallest_map: int = 2


BASE = Recipe(epochs=2, batch_size=32, learning_rate=0.1, label_smoothing=0.0, warm_up=0.1)
LONG = Schedule("long", replace(BASE, epochs=12, label_smoothing=0.1))
SCHEDULES = [
    Schedule("batch 16, 2 epochs", replace(BASE, batch_size=16, learning_rate=0.07)),
    Schedule("batch 32, 2 epochs", BASE),
    Schedule("batch 32, 2 epochs, warm-up 0.2", replace(BASE, warm_up=0.2)),
    Schedule("batch 32, 3 epochs", replace(BASE, epochs=3)),
    Schedule("batch 64, 4 epochs, rate 0.2", replace(BASE, epochs=4, batch_size=64, learning_rate=0.2)),
    Schedule("batch 32, 4 epochs", replace(BASE, epochs=4)),
    LONG,
]


def networks(space_name: str, count: int) -> list[Arch]:
    """Draw random networks, after two published ones."""
    space, rng = load_space(space_name), random.Random(0)
    published = [reference("mobilenet_v3_small"), reference("mnasnet_small")]
    return (published + [space.decode(space.sample(rng)) for _ in range(count)])[:count]


def measure(options: argparse.Namespace) -> None:
    """Train every network by every schedule asked for, and add one row each as they end."""
    schedules = [schedule for schedule in SCHEDULES if schedule.name in (options.schedule or [schedule.name])]
    limits = {"train_images": options.train_images, "validation_images": options.validation_images}
    data = {pixels: load_data(options.data, pixels, **limits) for pixels in {s.resolution for s in schedules}}
    with options.out.open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        if file.tell() == 0:
            rows.writerow(["network", "seed", "schedule", "accuracy", "cpu_seconds"])
        for index, arch in enumerate(networks(options.space, options.networks)):
            for schedule, seed in itertools.product(schedules, options.seed):
                task = data[schedule.resolution]
                child = proxy_arch(arch, schedule.resolution, len(task.classes), schedule.smallest_map)
                begin = time.process_time()  # not the clock on the wall: the machine may be busy
                try:
                    accuracy = train(child, task, recipe_for(schedule.recipe, task.name), seed, threads=1).accuracy
                except DivergedError:
                    accuracy = 0.0
                seconds = time.process_time() - begin
                rows.writerow([index, seed, schedule.name, f"{accuracy:.4f}", f"{seconds:.2f}"])
                file.flush()


def summarise(paths: list[Path]) -> None:
    """Print a line for each schedule: of one seed's accuracies against the mean of the long schedule's seeds.

    The long schedule's own line is one of its seeds against the other ones' mean: how well any schedule could do.
    """
    rows = pandas.concat([pandas.read_csv(path) for path in paths])
    accuracies = rows.pivot(index="network", columns=["schedule", "seed"], values="accuracy").dropna()
    seconds = rows.groupby("schedule")["cpu_seconds"].mean()
    print(f"{len(accuracies)} networks, seeds {sorted(rows['seed'].unique().tolist())}\n")
    print("| schedule | Spearman | Kendall | mean accuracy | CPU seconds a child |\n|---|---|---|---|---|")
    for name in rows["schedule"].unique():
        ranks = []
        for seed, values in accuracies[name].items():
            others = accuracies[LONG.name].drop(columns=seed if name == LONG.name else [])
            ranks.append([test(values, others.mean(axis=1)).statistic for test in (spearmanr, kendalltau)])
        rank, tau = (sum(column) / len(column) for column in zip(*ranks, strict=True))
        mean = 100 * accuracies[name].to_numpy().mean()
        print(f"| {name} | {rank:.2f} | {tau:.2f} | {mean:.1f} % | {seconds[name]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mnasnet_small")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--train-images", type=int)
    parser.add_argument("--validation-images", type=int)
    parser.add_argument("--schedule", action="append", help="one of the names; again for more (default: all)")
    parser.add_argument("--seed", type=int, action="append", help="again for more (default: 0 and 1)")
    parser.add_argument("--out", type=Path, default=Path("proxy_schedule.csv"))
    parser.add_argument("--summarise", type=Path, nargs="+", help="only print the table of what these files hold")
    options = parser.parse_args()
    options.seed = options.seed or [0, 1]
    if not options.summarise:
        measure(options)
    summarise(options.summarise or [options.out])


if __name__ == "__main__":
    main()
