"""Networks as ONNX files, for deployment.

Written node by node from the module rather than traced: in milliseconds, with the batch norms folded into the
convolutions, global pools as GlobalAveragePool (runtimes have fast kernels for it), and names that are the module's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nas.network import ConvNorm, Network, Normalise, OpModule

INPUT, OUTPUT = "images", "logits"
_OPSET = 17  # HardSwish needs 14; onnxruntime 1.20 and the phones' runtimes know 17
_IR_VERSION = 8  # the one of opset 17; newer ones are refused by older runtimes


def export_onnx(model: Network, path: str | Path, resolution: int) -> None:
    """Write a network to one file, as it computes in evaluation.

    Its input ``images`` is float32 (batch, 3, resolution, resolution), RGB in [0, 1], any batch size; its output
    ``logits`` is (batch, classes). The normalisation is part of the graph, unless it is that of an untrained network,
    which changes nothing.
    """
    graph = _Graph()
    x = _normalise(graph, model.normalise, INPUT)
    x = _conv_norm(graph, "stem", model.stem, x)
    for index, block in enumerate(model.blocks):
        assert isinstance(block, OpModule)  # nn.Sequential forgets what it holds
        x = _block(graph, f"blocks.{index}", block, x)
    x = _conv_norm(graph, "head", model.head, x)
    x = graph.add("Flatten", "flatten", graph.add("GlobalAveragePool", "pool", x), axis=1)
    if model.hidden is not None:
        x = _activation(graph, "hidden", model.hidden_activation, _linear(graph, "hidden", model.hidden, x))
    _linear(graph, "classifier", model.classifier, x, output=OUTPUT)
    shape: list[int | str] = ["batch", 3, resolution, resolution]
    onnx.save(graph.model(shape, ["batch", model.classifier.out_features]), str(path))


def check_onnx(model: nn.Module, path: str | Path, images: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """Run torch and ONNX Runtime on the same images; give the largest absolute difference between their logits.

    ``images`` are bytes, (count, resolution, resolution, 3), as in `ImageData`.
    """
    pixels = np.ascontiguousarray(np.moveaxis(images, 3, 1).astype(np.float32) / 255)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (exported,) = session.run([OUTPUT], {INPUT: pixels})
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels).to(next(model.parameters()).device)).float().cpu().numpy()
    model.train(was_training)
    return float(np.abs(exported - expected).max())


class _Graph:
    """Collects nodes and weights; a value has the name of the node that makes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: torch.Tensor) -> str:
        array = np.ascontiguousarray(value.detach().cpu().numpy().astype(np.float32))
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def model(self, in_shape: Sequence[int | str], out_shape: Sequence[int | str]) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, in_shape)]
        outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, out_shape)]
        graph = helper.make_graph(self.nodes, "network", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _normalise(graph: _Graph, normalise: Normalise, x: str) -> str:
    if not normalise.mean.any() and bool((normalise.std == 1).all()):
        return x
    centred = graph.add("Sub", "centred", x, graph.weight("normalise.mean", normalise.mean))
    return graph.add("Div", "normalised", centred, graph.weight("normalise.std", normalise.std))


def _block(graph: _Graph, name: str, block: OpModule, x: str) -> str:
    y = x
    for role, layer in block.layers():
        if isinstance(layer, ConvNorm):
            y = _conv_norm(graph, f"{name}.{role}", layer, y)
        elif role == "squeeze":
            pooled = graph.add("GlobalAveragePool", f"{name}.squeeze.pool", y)
            squeezed = graph.add("Relu", f"{name}.squeeze.relu", _conv(graph, f"{name}.squeeze", layer, pooled))
            gates = _conv(graph, f"{name}.excite", block.get_submodule("excite"), squeezed)
            y = graph.add("Mul", f"{name}.excited", y, _activation(graph, f"{name}.excite", block.gate, gates))
    if block.op.skip == "none":
        return y
    if block.op.skip == "pool":
        strides = [block.op.stride] * 2
        x = graph.add(
            "AveragePool", f"{name}.pool", x, kernel_shape=[3, 3], strides=strides, pads=[1] * 4, count_include_pad=0
        )
    return graph.add("Add", f"{name}.skip", y, x)


def _conv_norm(graph: _Graph, name: str, layer: ConvNorm, x: str) -> str:
    conv, norm = layer.conv, layer.norm
    assert norm.running_mean is not None  # only a batch norm that tracks nothing lacks them
    assert norm.running_var is not None
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()  # folded in double: one rounding
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    bias = norm.bias.detach().double() - norm.running_mean.double() * scale
    return _activation(graph, name, layer.activation, _convolve(graph, name, conv, weight, bias, x))


def _conv(graph: _Graph, name: str, conv: nn.Module, x: str) -> str:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None  # squeeze-and-excite has no batch norm
    return _convolve(graph, name, conv, conv.weight, conv.bias, x)


def _convolve(graph: _Graph, name: str, conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor, x: str) -> str:
    inputs = x, graph.weight(f"{name}.weight", weight), graph.weight(f"{name}.bias", bias)
    kernel, stride = list(conv.kernel_size), list(conv.stride)
    pads = [kernel[0] // 2, kernel[1] // 2] * 2
    return graph.add("Conv", f"{name}.conv", *inputs, kernel_shape=kernel, strides=stride, pads=pads, group=conv.groups)


def _linear(graph: _Graph, name: str, linear: nn.Linear, x: str, output: str = "") -> str:
    inputs = x, graph.weight(f"{name}.weight", linear.weight), graph.weight(f"{name}.bias", linear.bias)
    return graph.add("Gemm", output or f"{name}.linear", *inputs, transB=1)


def _activation(graph: _Graph, name: str, activation: nn.Module, x: str) -> str:
    out = f"{name}.activation"
    match activation:
        case nn.Identity():
            return x
        case nn.ReLU6():
            limits = [f"{out}.{end}" for end in ("low", "high")]
            graph.weight(limits[0], torch.tensor(0.0))
            graph.weight(limits[1], torch.tensor(6.0))
            return graph.add("Clip", out, x, *limits)
        case nn.ReLU():
            return graph.add("Relu", out, x)
        case nn.Hardswish():
            return graph.add("HardSwish", out, x)
        case nn.Hardsigmoid():
            return graph.add("HardSigmoid", out, x, alpha=1 / 6, beta=0.5)
        case nn.Sigmoid():
            return graph.add("Sigmoid", out, x)
    raise TypeError(f"no ONNX node is known for {type(activation).__name__}")
