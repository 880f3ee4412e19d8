"""Int8 copies of ONNX files, by ONNX Runtime's static quantisation: QDQ, calibrated on images.

Weights are symmetric int8, activations asymmetric uint8: with signed ones ONNX Runtime's x86 kernels turn some maps to
unsigned and leave others, and what lies between then runs in float (three times slower). The file to quantise is one
that `export_onnx` wrote ``quantisable``: HardSwish has no int8 kernel (`nas.int8_hswish` gives it one).
"""

import math
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from latency.onnx_model import INPUT
from nas.int8_hswish import in_int8
from search_spaces import InputError

Images = np.ndarray[Any, np.dtype[np.uint8]]  # (count, height, width, 3)

_BATCH_PIXELS = 64 * 32 * 32  # of a calibration batch: every map of the network is kept at once
_VNNI = {"avx512_vnni", "avx_vnni"}


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How to quantise.

    ``per_channel``: a scale for each output channel of a weight, rather than one for all. ``reduce_range``: weights of
    7 bits, for CPUs whose int8 products saturate (`needs_reduced_range`). ``float_stem`` leaves the first convolution
    in float, since with three input channels the int8 kernel is the slower one. ``float_nodes`` stay in float, too.
    """

    per_channel: bool = True
    reduce_range: bool = False
    float_stem: bool = True
    float_nodes: tuple[str, ...] = ()


def quantise(source: Path, target: Path, images: Images, settings: Quantisation) -> None:
    """Write an int8 copy of an ONNX file, its ranges those of ``images``."""
    if not len(images):
        raise InputError("quantisation needs images to calibrate on, got none")
    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    # without this entry it advises, on every call, steps that our files don't need: batch norms are folded
    model.metadata_props.append(onnx.StringStringEntryProto(key="onnx.quant.pre_process", value="onnxruntime.quant"))
    quantize_static(
        model,
        target,
        _Reader(images),
        quant_format=QuantFormat.QDQ,
        per_channel=settings.per_channel,
        reduce_range=settings.reduce_range,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[*settings.float_nodes, *(_stem(model) if settings.float_stem else [])],
        calibrate_method=CalibrationMethod.MinMax,  # the others keep every map of every image in memory
    )
    onnx.save(in_int8(onnx.load(target)), target)


def quantise_best(source: Path, target: Path, images: Images, settings: Sequence[Quantisation]) -> Quantisation:
    """Write the int8 copy that loses least, and say which of ``settings`` it was.

    Two thirds of the images calibrate; on the others, the copies' outputs are compared with the original's.
    """
    calibration, held_out = np.split(images, [math.ceil(len(images) * 2 / 3)])
    if not len(held_out):
        raise InputError(f"to choose between int8 copies takes at least 3 images, got {len(images)}")
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / f"{index}.onnx" for index in range(len(settings))]
        for copy, setting in zip(copies, settings, strict=True):
            quantise(source, copy, calibration, setting)
        noises = [noise(source, copy, held_out) for copy in copies]
        best = int(np.argmin(noises))
        target.write_bytes(copies[best].read_bytes())
    return settings[best]


def default_settings() -> list[Quantisation]:
    """List what is worth trying on this machine's kind of CPU."""
    base = Quantisation(reduce_range=needs_reduced_range())
    return [base, replace(base, per_channel=False)]


def needs_reduced_range(flags: str | None = None) -> bool:
    """Tell whether this CPU adds pairs of int8 products in 16 bits, which saturate: x86 without VNNI.

    ``flags`` are the CPU's, in words; None asks the system, and where that does not tell, the answer is no.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if flags is None:
        lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
        flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(flags) and not _VNNI & set(flags.split())


def noise(source: Path, copy: Path, images: Images) -> float:
    """Give how far a copy's outputs are from the original's, as a share of their energy, over all outputs."""
    apart = energy = 0.0
    for original, other in zip(_outputs(source, images), _outputs(copy, images), strict=True):
        for expected, got in zip(original, other, strict=True):
            apart += float(np.square(expected - got, dtype=np.float64).sum())
            energy += float(np.square(expected, dtype=np.float64).sum())
    return apart / energy


class OnnxModule(nn.Module):
    """An ONNX file as a module, on the CPU, so that a `Task` can evaluate it: images to outputs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # tasks ask parameters where the network is
        self._session = _session(path)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self._session.run(None, {INPUT: np.ascontiguousarray(images.numpy())})
        tensors = tuple(torch.from_numpy(output) for output in outputs)
        return tensors[0] if len(tensors) == 1 else tensors


def _stem(model: onnx.ModelProto) -> list[str]:
    """Name the first convolution; a graph's nodes stand in the order in which they run."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"][:1]


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    def __init__(self, images: Images) -> None:
        self._batches = _pixels(images)

    def get_next(self) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _outputs(path: Path, images: Images) -> Iterator[list[np.ndarray[Any, np.dtype[np.float32]]]]:
    session = _session(path)
    for batch in _pixels(images):
        yield session.run(None, {INPUT: batch})


def _pixels(images: Images) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Yield batches (batch, 3, height, width) of floats in [0, 1]."""
    size = max(1, _BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        chosen = images[start : start + size]
        yield np.ascontiguousarray(np.moveaxis(chosen, 3, 1).astype(np.float32) / 255)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
