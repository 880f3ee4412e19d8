"""The files of a network: each written, compared with torch, scored where it computes otherwise, and timed here."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latency import Timing, time_onnx
from latency.host import time_tflite
from latency.tflite_file import tflite_schema
from nas.deploy.deployable import Deployable, Scores, WritesTflite, pixels_of, spread
from nas.deploy.memory import peak_memory
from nas.deploy.shorten import shorten
from nas.deploy.tflite import TfliteModule
from nas.export import Gap
from nas.quantise import OnnxModule, default_settings, quantise_best
from search_spaces import InputError

FormatName = Literal["onnx", "int8", "tflite"]
COMPARED_IMAGES = 100
CALIBRATION_IMAGES = 512

_BATCH_PIXELS = 16 * 224 * 224  # of images that are compared at once


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file; one that is ``exact`` computes what torch does, to rounding."""

    file: str
    dtype: str
    runtime: str
    package: str
    exact: bool
    write: Callable[[Deployable, Path], None]
    module: Callable[[Path], nn.Module]
    time: Callable[[Path], Timing]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that was written, and what was found of it on this host.

    ``largest_difference``: of any output from torch's, on ``compared_images`` validation images. ``scores`` are None
    for a file that computes what torch does. ``host``: at batch 1 on one thread. ``peak_memory_bytes``: see
    `nas.deploy.memory`.
    """

    name: str
    bytes: int
    dtype: str
    runtime: str
    compared_images: int
    largest_difference: float
    scores: Scores | None
    host: Timing
    peak_memory_bytes: int | None


def _write_float(network: Deployable, path: Path) -> None:
    network.write_onnx(path, quantisable=False)


def _write_int8(network: Deployable, path: Path) -> None:
    """Quantise by the way that loses least, calibrated on training images."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.onnx"
        network.write_onnx(source, quantisable=True)
        nodes = tuple(node.name for node in onnx.load(source).graph.node if network.stays_float(node.name))
        settings = [replace(setting, float_nodes=nodes) for setting in default_settings()]
        quantise_best(source, path, spread(network.data, network.data.train, CALIBRATION_IMAGES), settings)
    shorten(path)


def _write_tflite(network: Deployable, path: Path) -> None:
    assert isinstance(network, WritesTflite)  # checked by `formats_for`
    network.write_tflite(path)


_ORT, _LITERT = ("ONNX Runtime", "onnxruntime"), ("LiteRT", "ai-edge-litert")
FORMATS: Mapping[FormatName, Format] = {
    "onnx": Format("model.onnx", "float32", *_ORT, True, _write_float, OnnxModule, time_onnx),
    "int8": Format("model.int8.onnx", "int8", *_ORT, False, _write_int8, OnnxModule, time_onnx),
    "tflite": Format("model.tflite", "float32", *_LITERT, True, _write_tflite, TfliteModule, time_tflite),
}


def formats_for(network: Deployable, wanted: Sequence[FormatName], note: Callable[[str], None]) -> list[FormatName]:
    """Give the formats to make: those wanted, or, where none is named, all that can be made.

    ``InputError`` if one that is wanted cannot be made; ``note`` is told of one that is left out.
    """
    problem = _no_tflite(network)
    if problem and "tflite" in wanted:
        raise InputError(problem)
    if problem and not wanted:
        note(f"no {FORMATS['tflite'].file}: {problem}")
    return [name for name in FORMATS if (name in wanted or not wanted) and not (problem and name == "tflite")]


def write_file(network: Deployable, name: FormatName, folder: Path) -> ModelFile:
    """Write one file; ``RuntimeError``, and no file, if one that should computes something else than torch."""
    made = FORMATS[name]
    path = folder / made.file
    temporary = folder / f".{made.file}"  # its end tells the runtime
    try:
        made.write(network, temporary)
        module, images = made.module(temporary), spread(network.data, network.data.validation, COMPARED_IMAGES)
        apart = gap(network, module, images)
        difference = apart.checked(made.file) if made.exact else apart.difference
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return ModelFile(
        name=made.file,
        bytes=path.stat().st_size,
        dtype=made.dtype,
        runtime=f"{made.runtime} {version(made.package)}",
        compared_images=len(images),
        largest_difference=difference,
        scores=None if made.exact else network.scores(module),
        host=made.time(path),
        peak_memory_bytes=peak_memory(path),
    )


def gap(network: Deployable, module: nn.Module, images: NDArray[np.uint8]) -> Gap:
    """Measure how far a file's module is from torch."""

    def pairs() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for pixels in _batches(images):
            found = module(pixels)
            outputs = zip(network.outputs(pixels), found if isinstance(found, tuple) else (found,), strict=True)
            yield from ((expected.numpy(), got.numpy()) for expected, got in outputs)

    with torch.inference_mode():
        return Gap.between(pairs())


def _batches(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    size = max(1, _BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        yield pixels_of(images[start : start + size])


def _no_tflite(network: Deployable) -> str:
    """Say why there is no TFLite file; nothing if there can be one."""
    if not isinstance(network, WritesTflite):
        return f"TFLite files are made of classifiers, not of {network.task.name}; leave --tflite away"
    try:
        tflite_schema()
    except InputError as error:
        return str(error)
    return ""
