"""Int8 files without the names that nobody reads: in a small network they weigh as much as a third of the weights."""

from pathlib import Path

import onnx

_STEPS = ("QuantizeLinear", "DequantizeLinear")  # named by the quantiser, each after its value


def shorten(path: Path) -> None:
    """Give the values inside a graph short names, and its steps between float and int8 none; nothing else changes.

    Inputs, outputs and the nodes that compute keep their names.
    """
    model = onnx.load(path)
    graph = model.graph
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
    onnx.save(model, path)
