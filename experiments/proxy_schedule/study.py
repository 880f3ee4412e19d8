"""Which short schedule ranks networks as a long one does, for each second of CPU?

Trains random networks by several short schedules and by one long schedule, and prints for each short one its rank
correlation with the long one, its mean accuracy and its CPU seconds. See README.md for the commands and the results.
"""

import argparse
import csv
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.stats import kendalltau, spearmanr

from nas.data import load_data
from nas.recipe import PROXY, Recipe, recipe_for
from nas.training import DivergedError, train
from search_spaces import Arch, load_space, proxy_arch, reference


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recipe with the proxy task's other two numbers."""

    name: str
    recipe: Recipe
    resolution: int = 32
    smallest_map: int = 2


SHORT = Recipe(epochs=2, batch_size=32, learning_rate=0.1, label_smoothing=0.0, warm_up=0.2)
SMALL_BATCH = replace(SHORT, batch_size=16, learning_rate=0.07)
LONG = Schedule("long", replace(SHORT, epochs=10, label_smoothing=0.1))
SCHEDULES = [
    Schedule("batch 32", SHORT),
    Schedule("batch 16", SMALL_BATCH),
    Schedule("batch 32, last map 1", replace(SHORT, epochs=3), smallest_map=1),
    Schedule("batch 16, last map 1", replace(SMALL_BATCH, epochs=3), smallest_map=1),
    Schedule("batch 16, 16 px", SMALL_BATCH, resolution=16),
    Schedule("preset", PROXY),
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
            rows.writerow(["network", "schedule", "accuracy", "cpu_seconds"])
        for index, arch in enumerate(networks(options.space, options.networks)):
            for schedule in schedules:
                task = data[schedule.resolution]
                child = proxy_arch(arch, schedule.resolution, len(task.classes), schedule.smallest_map)
                begin = time.process_time()  # not the clock on the wall: the machine may be busy
                try:
                    accuracy = train(child, task, recipe_for(schedule.recipe, task.name), 0, threads=1).accuracy
                except DivergedError:
                    accuracy = 0.0
                rows.writerow([index, schedule.name, f"{accuracy:.4f}", f"{time.process_time() - begin:.2f}"])
                file.flush()


def summarise(path: Path) -> None:
    """Print a line for each schedule."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    finished = {row["network"] for row in rows if row["schedule"] == LONG.name}
    accuracies: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: int(row["network"])):
        if row["network"] in finished:
            accuracies.setdefault(row["schedule"], []).append(float(row["accuracy"]))
            seconds.setdefault(row["schedule"], []).append(float(row["cpu_seconds"]))
    print(f"{len(finished)} networks\n")
    print("| schedule | Spearman | Kendall | mean accuracy | CPU seconds a child |\n|---|---|---|---|---|")
    for name, values in accuracies.items():
        if len(values) < len(finished):
            continue  # this schedule has not been run on all of them
        rank, tau = (test(values, accuracies[LONG.name]).statistic for test in (spearmanr, kendalltau))
        mean, cost = (sum(numbers) / len(numbers) for numbers in (values, seconds[name]))
        print(f"| {name} | {rank:.2f} | {tau:.2f} | {100 * mean:.1f} % | {cost:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mnasnet_small")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--train-images", type=int)
    parser.add_argument("--validation-images", type=int)
    parser.add_argument("--schedule", action="append", help="one of the names; again for more (default: all)")
    parser.add_argument("--out", type=Path, default=Path("proxy_schedule.csv"))
    parser.add_argument("--summarise", action="store_true", help="only print the table of what --out holds")
    options = parser.parse_args()
    if not options.summarise:
        measure(options)
    summarise(options.out)


if __name__ == "__main__":
    main()
