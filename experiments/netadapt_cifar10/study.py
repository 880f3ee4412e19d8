"""NetAdapt against a width multiplier and random narrowing, at equal latency, all trained from scratch alike.

    python experiments/netadapt_cifar10/study.py --data cifar10_train.zip --out runs/netadapt_cifar10

What lies in ``--out`` already is not done again. `summary.py` makes the table and the curve.
"""

import argparse
import csv
import os
import random
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from latency import load_table
from nas.data import load_data
from nas.environment import available_cores
from nas.netadapt.places import Places
from nas.netadapt.prices import Prices
from nas.netadapt.proposals import Proposer
from nas.netadapt.start import begin, resume
from nas.recipe import FINAL
from nas.training import train
from search_spaces import Arch, load_arch, proxy_arch, reference

RESOLUTION, DEVICE = 32, "pixel1"
COLUMNS = ("method", "seed", "width", "latency_ms", "accuracy", "seconds")
Row = dict[str, str | int | float]


def options() -> argparse.Namespace:
    """Read the command line; the defaults take about 70 minutes on two cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10's training images as class folders, or a zip of them")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--network", default="mobilenet_v2", help="a reference network")
    parser.add_argument("--width", type=float, default=0.5, help="its width multiplier")
    parser.add_argument("--share", type=float, default=0.7, help="of the seed's latency that is to be left")
    parser.add_argument("--delta", type=float, default=0.01, help="share of it that a step must save")
    parser.add_argument("--steps", type=int, default=60, help="that fine-tune each proposal")
    parser.add_argument("--seed-epochs", type=int, default=12, help="of training the seed")
    parser.add_argument("--epochs", type=int, default=12, help="of training each network from scratch")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each method")
    parser.add_argument("--smallest-map", type=int, default=2, help="pixels a side that strides leave of an image")
    parser.add_argument("--train-images", type=int, default=8000)
    parser.add_argument("--validation-images", type=int, default=5000)
    return parser.parse_args()


def adapted(given: argparse.Namespace, seed: Arch) -> Arch:
    """Run NetAdapt, or go on with it, and give the network that it ends with."""
    folder, places, console = given.out / "adapt", Places(available_cores()), Console()
    if not (folder / "adapted.yaml").exists():
        if (folder / "config.yaml").exists():
            run = resume(folder, places, console)
        else:
            values = {"arch": seed, "device": DEVICE, "data": given.data, "steps": given.steps}
            values |= {"train_images": given.train_images, "resolution": RESOLUTION}
            values |= {"smallest_map": given.smallest_map}
            values |= {"seed_recipe": replace(FINAL, epochs=given.seed_epochs, least_steps=0)}
            run = begin(folder, values, (given.share, given.delta), load_table(DEVICE), None, places, console)
        run.complete()
    return load_arch(folder / "adapted.yaml")


def multiplied(given: argparse.Namespace, limit_ms: float, prices: Prices) -> dict[str, tuple[Arch, float]]:
    """Scale the seed's widths: to the largest that keeps to the limit, and to the next larger network, which does not.

    Widths are multiples of 8, so that no multiplier meets a latency; the two stand on either side of it.
    """
    found: dict[str, tuple[Arch, float]] = {}
    for thousandths in range(200, 1001, 5):
        width = round(given.width * thousandths / 1000, 5)
        arch = reference(given.network, width=width)
        if prices.exactly(arch) > limit_ms:
            return found | {"width multiplier, next larger": (arch, width)}
        found["width multiplier"] = (arch, width)
    return found


def narrowed_at_random(seed: Arch, limit_ms: float, delta: float, prices: Prices, rng: random.Random) -> Arch:
    """Take NetAdapt's proposals at random until the limit is kept."""
    arch, latency_ms = seed, prices.exactly(seed)
    propose = Proposer.of(seed, prices, delta * latency_ms)
    while latency_ms > limit_ms:
        chosen = rng.choice(propose(arch, latency_ms))
        arch, latency_ms = chosen.arch, chosen.latency_ms
    return arch


def contenders(given: argparse.Namespace) -> dict[tuple[str, int], tuple[Arch, float]]:
    """Give all networks that are to be trained, by method and seed; each with its width multiplier."""
    seed, prices = reference(given.network, width=given.width), Prices(load_table(DEVICE))
    result = adapted(given, seed)
    limit_ms = prices.exactly(result)
    networks = {"seed": (seed, given.width), "NetAdapt": (result, given.width)}
    networks |= multiplied(given, limit_ms, prices)
    all_of_them = {(method, number): pair for method, pair in networks.items() for number in range(given.seeds)}
    for number in range(given.seeds):
        arch = narrowed_at_random(seed, limit_ms, given.delta, prices, random.Random(number))
        all_of_them["random proposals", number] = arch, given.width
    return all_of_them


def trained(
    data: str, limits: Mapping[str, int], epochs: int, smallest_map: int, arch: Arch, seed: int
) -> tuple[float, float]:
    """Train a network; give its seconds, after its accuracy on the validation images, which NetAdapt never saw."""
    os.nice(5)
    images = load_data(data, RESOLUTION, **limits)
    recipe = replace(FINAL, epochs=epochs, least_steps=0)
    result = train(proxy_arch(arch, RESOLUTION, len(images.classes), smallest_map), images, recipe, seed, threads=1)
    return result.accuracy, result.seconds


def train_all(given: argparse.Namespace, networks: Mapping[tuple[str, int], tuple[Arch, float]]) -> None:
    """Train the networks that have no row yet, one on each core; each row is written as it comes."""
    path, prices = given.out / "results.csv", Prices(load_table(DEVICE))
    done = {(row["method"], int(row["seed"])) for row in read_rows(path)}
    limits = {"train_images": given.train_images, "validation_images": given.validation_images}
    one = partial(trained, given.data, limits, given.epochs, given.smallest_map)
    with ProcessPoolExecutor(available_cores()) as pool:
        # seeds first, so that what is there early holds all methods
        order = sorted((key for key in networks if key not in done), key=lambda key: key[1])
        waiting = {pool.submit(one, networks[key][0], key[1]): key for key in order}
        for future in as_completed(waiting):
            (method, seed), (accuracy, seconds) = waiting[future], future.result()
            arch, width = networks[method, seed]
            latency_ms = round(prices.exactly(arch), 4)
            row = (method, seed, width, latency_ms, round(accuracy, 4), round(seconds, 1))
            append_row(path, dict(zip(COLUMNS, row, strict=True)))
            print(f"{method}, seed {seed}: {latency_ms:.2f} ms, {accuracy:.2%}", flush=True)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the results so far."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: Row) -> None:
    """Write one result, with the header before the first."""
    is_first = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS)
        if is_first:
            rows.writeheader()
        rows.writerow(row)


def main() -> None:
    """Do what is not done yet."""
    given = options()
    given.out.mkdir(parents=True, exist_ok=True)
    train_all(given, contenders(given))


if __name__ == "__main__":
    main()
