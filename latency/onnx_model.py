"""Ops as an ONNX model: the graph of one Op, of a chain of them or of a whole network, with any weights.

Batch norms are folded into the convolutions; global pools are GlobalAveragePool (runtimes have fast kernels for it).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from search_spaces import Conv, Op
from search_spaces.arch import Activation, Gate

INPUT, OUTPUT = "images", "logits"
_OPSET = 17  # HardSwish needs 14; onnxruntime 1.20 and the phones' runtimes know 17
_IR_VERSION = 8  # the one of opset 17; newer ones are refused by older runtimes

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution's name in the graph, and its weights with the batch norm folded in.

    ``weight``: (out, in / groups, kernel, kernel), of a linear layer (out, in). ``bias``: (out,).
    """

    name: str
    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What is done to the image first: subtract ``mean``, divide by ``std``; each (3, 1, 1)."""

    mean: Array
    std: Array


def onnx_model(
    ops: Sequence[Op],
    layer: Callable[[int, Conv], Layer],
    *,
    batch: int | str = 1,
    normalisation: Normalisation | None = None,
    quantisable: bool = False,
) -> onnx.ModelProto:
    """Write a chain of Ops as a graph from ``images``, (batch, channels, height, width), to ``logits``.

    ``layer`` gives each convolution of the Op at an index its weights. A chain that begins with a linear layer takes
    (batch, channels); one that ends in one gives (batch, channels), any other the map of its last Op. ``quantisable``
    writes activations for which runtimes have float kernels alone in other words, as int8 needs them: HardSwish as
    HardSigmoid and Mul, and a HardSigmoid that follows a convolution as Clip, the convolution's weights adapted.
    """
    graph, flat = Graph(quantisable), ops[0].is_vector
    x = graph.normalise(INPUT, normalisation) if normalisation else INPUT
    for index, op in enumerate(ops):
        layers = [(conv, layer(index, conv)) for conv in op.convolutions()]
        if op.kind == "pool":
            x = graph.add("GlobalAveragePool", f"pool.{index}", x)
        elif op.is_vector:
            x = x if flat else graph.add("Flatten", f"flatten.{index}", x, axis=1)
            x = graph.linear(x, *layers[0])
            flat = True
        else:
            x = graph.block(x, op, layers)
    first, last = ops[0], ops[-1]
    in_shape = [batch, first.in_channels, *([] if first.is_vector else [first.height, first.width])]
    out_shape = [batch, last.out_channels, *([] if flat else [last.out_height, last.out_width])]
    return graph.model(in_shape, out_shape)


def random_layers(seed: int = 0) -> Callable[[int, Conv], Layer]:
    """Give weights that keep activations near 1 (He et al. 2015): denormal or huge numbers would change the time."""
    rng = np.random.default_rng(seed)

    def layer(index: int, conv: Conv) -> Layer:
        fan_in = conv.kernel**2 * conv.in_channels // conv.groups
        shape: tuple[int, ...] = (conv.out_channels, conv.in_channels // conv.groups)
        if conv.role != "linear":
            shape += (conv.kernel, conv.kernel)
        weight = rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        return Layer(
            f"{index}.{conv.role}", weight, rng.standard_normal(conv.out_channels, np.float32) * np.float32(0.1)
        )

    return layer


class Graph:
    """Collects nodes and weights; a value has the name of the node that makes it."""

    def __init__(self, quantisable: bool = False) -> None:
        self.quantisable = quantisable
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: npt.NDArray[Any] | float) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(value, np.float32)), name))
        return name

    def normalise(self, x: str, normalisation: Normalisation) -> str:
        centred = self.add("Sub", "centred", x, self.weight("normalise.mean", normalisation.mean))
        return self.add("Div", "normalised", centred, self.weight("normalise.std", normalisation.std))

    def block(self, x: str, op: Op, layers: Sequence[tuple[Conv, Layer]]) -> str:
        y, squeezed = x, ""
        for conv, layer in layers:
            match conv.role:
                case "squeeze":
                    squeezed = self.convolve(self.add("GlobalAveragePool", f"{layer.name}.pool", y), conv, layer)
                case "excite":
                    y = self.add("Mul", f"{layer.name}.excited", y, self.convolve(squeezed, conv, layer))
                case _:
                    made = self.convolve(y, conv, layer)
                    y = self.add("Concat", f"{layer.name}.appended", y, made, axis=1) if conv.appends else made
        if op.skip == "none":
            return y
        name = layers[-1][1].name
        if op.skip == "pool":
            strides = [op.stride] * 2
            settings = {"kernel_shape": [3, 3], "strides": strides, "pads": [1] * 4, "count_include_pad": 0}
            x = self.add("AveragePool", f"{name}.skip.pool", x, **settings)
        return self.add("Add", f"{name}.skip", y, x)

    def convolve(self, x: str, conv: Conv, layer: Layer) -> str:
        if self.quantisable and conv.activation == "hard_sigmoid":  # x / 6 + 1/2, to be clipped
            layer = replace(
                layer, weight=layer.weight / np.float32(6), bias=layer.bias / np.float32(6) + np.float32(0.5)
            )
        inputs = x, self.weight(f"{layer.name}.weight", layer.weight), self.weight(f"{layer.name}.bias", layer.bias)
        shape = {"kernel_shape": [conv.kernel] * 2, "strides": [conv.stride] * 2, "pads": [conv.reach] * 4}
        if conv.dilation > 1:
            shape["dilations"] = [conv.dilation] * 2
        return self.activate(self.add("Conv", f"{layer.name}.conv", *inputs, **shape, group=conv.groups), conv, layer)

    def linear(self, x: str, conv: Conv, layer: Layer) -> str:
        inputs = x, self.weight(f"{layer.name}.weight", layer.weight), self.weight(f"{layer.name}.bias", layer.bias)
        return self.activate(self.add("Gemm", f"{layer.name}.linear", *inputs, transB=1), conv, layer)

    def activate(self, x: str, conv: Conv, layer: Layer) -> str:
        out = f"{layer.name}.activation"
        activation: Activation | Gate | None = conv.activation
        match activation:
            case None:
                return x
            case "relu6":
                return self.clip(out, x, 6.0)
            case "relu":
                return self.add("Relu", out, x)
            case "hswish" if self.quantisable:
                return self.add("Mul", out, x, self.add("HardSigmoid", f"{out}.gate", x, alpha=1 / 6, beta=0.5))
            case "hard_sigmoid" if self.quantisable:  # the rest of it is in the weights
                return self.clip(out, x, 1.0)
            case "hswish":
                return self.add("HardSwish", out, x)
            case "hard_sigmoid":
                return self.add("HardSigmoid", out, x, alpha=1 / 6, beta=0.5)
            case "sigmoid":
                return self.add("Sigmoid", out, x)

    def clip(self, name: str, x: str, high: float) -> str:
        return self.add("Clip", name, x, self.weight(f"{name}.low", 0.0), self.weight(f"{name}.high", high))

    def model(self, in_shape: Sequence[int | str], out_shape: Sequence[int | str]) -> onnx.ModelProto:
        self.nodes[-1].output[0] = OUTPUT
        inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, in_shape)]
        outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, out_shape)]
        graph = helper.make_graph(self.nodes, "network", inputs, outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
