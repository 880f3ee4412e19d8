"""What does int8 cost in accuracy, and what does it save in time, on this host?

Takes folders that nas-train wrote. Quantises the best network of each in several ways, and compares accuracies on the
validation images; and does the same to the deployed network, 224 px and 1000 classes, and compares times. See README.md
for the commands and the results.
"""

import argparse
import csv
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from latency import time_onnx
from latency.onnx_model import onnx_model, random_layers
from nas.classification import Classification
from nas.data import ImageData, load_data
from nas.export import export_onnx
from nas.network import Network
from nas.open_task import open_task
from nas.quantise import OnnxModule, Quantisation, default_settings, needs_reduced_range, quantise, quantise_best
from nas.train_config import recorded_train_config
from nas.train_run import best_model
from search_spaces import Arch, lower

CALIBRATION_IMAGES = 512
DEPLOYED_PIXELS, DEPLOYED_CLASSES = 224, 1000
# Howard et al. 2019, table 4: points of ImageNet top-1 lost; int8 over float latency on Pixel 1, 2 and 3
PUBLISHED = {
    "mobilenet_v3_large": ("-1.4", "0.86, 0.70, 0.72"),
    "mobilenet_v3_small": ("-2.5", "0.98, 0.77, 0.74"),
    "mobilenet_v2": ("-1.1", "0.81, 0.64, 0.66"),
}
BASE = Quantisation(reduce_range=needs_reduced_range())
WAYS = {
    "per channel": BASE,
    "per tensor": replace(BASE, per_channel=False),
    "weights of 7 bits": replace(BASE, reduce_range=True),
    "stem in int8": replace(BASE, float_stem=False),
    "squeeze-and-excite in float": BASE,  # its nodes differ from network to network
    "h-swish in float": BASE,  # quantised from the file as it is usually written
}
Write = Callable[[Path, bool], None]  # writes the float file, quantisable or as usual
Images = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def copies(write: Write, folder: Path, images: Images) -> dict[str, Path]:
    """Write a network in float, in the way that quantise_best chooses, and in every other way."""
    usual, source = folder / "float.onnx", folder / "quantisable.onnx"
    write(usual, False)
    write(source, True)
    made = {"float": usual, "int8": folder / "int8.onnx"}
    chosen = quantise_best(source, made["int8"], images, default_settings())
    print(f"<!-- chosen: {chosen} -->", flush=True)
    for way, settings in WAYS.items():
        made[way] = folder / f"{way}.onnx"
        if way == "squeeze-and-excite in float":
            settings = replace(settings, float_nodes=squeeze_excite_nodes(source))
        quantise(usual if way == "h-swish in float" else source, made[way], images, settings)
    return made


def squeeze_excite_nodes(path: Path) -> tuple[str, ...]:
    """Name the nodes of all squeeze-and-excites."""
    names = [node.name for node in onnx.load(path).graph.node]
    return tuple(name for name in names if ".squeeze." in name or ".excite." in name)


def accuracies(task: Classification, model: Network, data: ImageData) -> dict[str, float]:
    """Give the accuracy of each copy of a trained network."""
    calibration = data.images[data.train[:: max(1, len(data.train) // CALIBRATION_IMAGES)]]
    with tempfile.TemporaryDirectory() as folder:
        made = copies(lambda path, quantisable: export_onnx(model, path, quantisable), Path(folder), calibration)
        return {way: task.evaluate(OnnxModule(path))["accuracy"] for way, path in made.items()}


def times(arch: Arch, rounds: int) -> dict[str, float]:
    """Time the copies of a network in turns, and give each one's median in milliseconds; weights don't change it."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, arch.resolution, arch.resolution, 3), np.uint8)

    def write(path: Path, quantisable: bool) -> None:
        path.write_bytes(onnx_model(lower(arch), random_layers(), quantisable=quantisable).SerializeToString())

    with tempfile.TemporaryDirectory() as folder:
        made = copies(write, Path(folder), pixels)
        taken = [{way: time_onnx(path, rounds=1).median_ms for way, path in made.items()} for _ in range(rounds)]
    return {way: statistics.median(row[way] for row in taken) for way in made}


def measured_accuracies(folder: Path, validation_images: int | None) -> tuple[Arch, dict[str, float]]:
    """Measure the best network of a training, on more validation images than it saw where asked."""
    config = recorded_train_config(folder)
    task = open_task(config, note=lambda text: None)
    assert isinstance(task, Classification)
    model = best_model(task, folder)
    assert isinstance(model, Network)
    data = load_data(config.data, config.arch.resolution, validation_images=validation_images)
    return config.arch, accuracies(Classification(task.arch, data), model, data)


def print_tables(rows: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Print the table of what was chosen, and the one of all ways."""
    print("| network | float | int8 | points | published | float, 224 px | int8 | ratio | published, Pixel 1, 2, 3 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        (accuracy, ms), (accuracy8, ms8), (points, ratios) = found["float"], found["int8"], PUBLISHED[name]
        print(
            f"| {name} | {100 * accuracy:.2f} % | {100 * accuracy8:.2f} % | **{100 * (accuracy8 - accuracy):+.2f}** | "
            f"{points} | {ms:.2f} ms | {ms8:.2f} ms | **{ms8 / ms:.2f}** | {ratios} |"
        )
    print("\n| way | " + " | ".join(f"{name}: points, ratio" for name in rows) + " |")
    print("|---|" + "---|" * len(rows))
    for way in WAYS:
        cells = []
        for found in rows.values():
            (accuracy, ms), (accuracy8, ms8) = found["float"], found[way]
            cells.append(f"{100 * (accuracy8 - accuracy):+.2f}, {ms8 / ms:.2f}")
        print(f"| {way} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of trainings, which nas-train wrote")
    parser.add_argument("--validation-images", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("int8.csv"))
    options = parser.parse_args()
    rows = {}
    for folder in options.folders:
        arch, accuracy = measured_accuracies(folder, options.validation_images)
        ms = times(replace(arch, resolution=DEPLOYED_PIXELS, classes=DEPLOYED_CLASSES), options.rounds)
        rows[arch.name] = {way: (accuracy[way], ms[way]) for way in ms}
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["network", "way", "accuracy", "ms"])
        for name, found in rows.items():
            writer.writerows([name, way, f"{accuracy:.4f}", f"{ms:.4f}"] for way, (accuracy, ms) in found.items())
    print_tables(rows)


if __name__ == "__main__":
    main()
