"""How much faster is a child's training here than a plain loop over the same network?

Takes turns between the two, so that whatever else the machine does meets both, and prints images per second and their
ratio, medians over the rounds. See README.md for the recorded figures.
"""

import argparse
import concurrent.futures
import multiprocessing
import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.convolution import Convolution
from nas.data import ImageData, load_data
from nas.network import build
from nas.recipe import Recipe
from nas.training import fit
from search_spaces import Arch, proxy_arch, reference

Rate = tuple[float, float]  # images per second, images per second of CPU


def plain_rate(arch: Arch, data: ImageData, recipe: Recipe) -> Rate:
    """Train as torch's tutorials do: float32, NCHW, SGD; no augmentation and no schedule, which cost time too."""
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(data.images[data.train], 3, 1))).float() / 255
    labels = torch.from_numpy(data.labels[data.train])
    model = build(arch)
    for module in model.modules():
        if isinstance(module, Convolution):
            module.__class__ = nn.Conv2d  # torch's own, as a plain loop has it
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)
    order = torch.randperm(len(pixels)).split(recipe.batch_size)
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in order:
        _plain_step(model, optimizer, pixels[batch], labels[batch])
    return len(pixels) / (time.perf_counter() - wall), len(pixels) / (time.process_time() - cpu)


def _plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def our_rate(arch: Arch, data: ImageData, recipe: Recipe) -> Rate:
    """Train as a search does."""
    ends: list[float] = []
    model = build(arch, batch_norm_momentum=recipe.batch_norm_momentum)
    cpu = time.process_time()
    trained = fit(model, data, recipe, 0, on_epoch=lambda *_: ends.append(time.process_time()))
    return trained.images_per_second, len(data.train) / (ends[-1] - cpu)


def one(which: str, name: str, batch_size: int, threads: int) -> Rate:
    """Measure one loop in this process: one round to warm up, one that counts."""
    torch.set_num_threads(threads)
    data = load_data("digits", 32, train_images=512)
    recipe = Recipe(epochs=1, batch_size=batch_size, flip=False)
    arch = proxy_arch(reference(name), 32, 10)
    measure = plain_rate if which == "plain" else our_rate
    measure(arch, data, recipe)
    return measure(arch, data, recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(
        f"{options.threads} threads, batch {options.batch_size}: images per second (per CPU second), median of rounds"
    )
    for name in ("mobilenet_v3_small", "mnasnet_small"):
        rates: dict[str, list[Rate]] = {"plain": [], "ours": []}
        for _ in range(options.rounds):
            for which, measured in rates.items():
                # a process for each: ours tells the allocator to keep memory, which the plain loop must not enjoy
                context = multiprocessing.get_context("spawn")
                with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
                    measured.append(pool.submit(one, which, name, options.batch_size, options.threads).result())
        medians = {
            which: [statistics.median(column) for column in zip(*rows, strict=True)] for which, rows in rates.items()
        }
        plain, ours = medians["plain"], medians["ours"]
        print(
            f"{name}: plain {plain[0]:.0f} ({plain[1]:.0f}), ours {ours[0]:.0f} ({ours[1]:.0f}), "
            f"ratio {ours[0] / plain[0]:.2f} ({ours[1] / plain[1]:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
