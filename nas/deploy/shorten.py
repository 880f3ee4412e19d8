"""Int8 files without what nobody reads: in a small network it weighs as much as a third of the weights."""

from pathlib import Path

import onnx
from onnx import numpy_helper

_STEPS = ("QuantizeLinear", "DequantizeLinear")  # named by the quantiser, each after its value


def shorten(path: Path) -> None:
    """Leave out long names, zero points of 0 where they go without saying, and constants that stand there twice.

    Inputs, outputs and the nodes that compute keep their names; what is computed, and by which kernels, stays the same.
    """
    model = onnx.load(path)
    _drop_zero_points(model.graph)
    _share_constants(model.graph)
    _shorten_names(model.graph)
    onnx.save(model, path)


def _drop_zero_points(graph: onnx.GraphProto) -> None:
    """Drop those of convolutions' weights and biases; a linear layer without them would be computed in float."""
    constants = {constant.name: constant for constant in graph.initializer}
    read = {name for node in graph.node if node.op_type == "Conv" for name in node.input}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.output[0] in read and node.input[0] in constants:
            zero = constants.get(node.input[2]) if len(node.input) == 3 else None
            if zero is not None and not numpy_helper.to_array(zero).any():
                del node.input[2]


def _share_constants(graph: onnx.GraphProto) -> None:
    """Keep one of equal constants, and none that nothing reads."""
    read = {name for node in graph.node for name in node.input}
    kept: dict[tuple[int, tuple[int, ...], bytes], onnx.TensorProto] = {}
    instead = {}
    for constant in graph.initializer:
        if constant.name in read:
            value = constant.data_type, tuple(constant.dims), numpy_helper.to_array(constant).tobytes()
            instead[constant.name] = kept.setdefault(value, constant).name
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
    constants = list(kept.values())
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _shorten_names(graph: onnx.GraphProto) -> None:
    short: dict[str, str] = {value.name: value.name for value in [*graph.input, *graph.output]}
    short[""] = ""  # of an input that is not given

    def renamed(name: str) -> str:
        return short.setdefault(name, f"{len(short):x}")

    for node in graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
        if node.op_type in _STEPS:
            node.name = ""
    for constant in graph.initializer:
        constant.name = renamed(constant.name)
    del graph.value_info[:]  # shapes of the values, which runtimes find by themselves
