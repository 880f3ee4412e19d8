"""Ops as a TensorFlow Lite model: the chains of `latency.onnx_model`, for the runtimes of phones.

Maps are (1, height, width, channels). Batch norms are folded; ReLU and ReLU6 are inside the operator before them, a
hard sigmoid is an ADD with a ReLU6 and a MUL, a global pool a MEAN: what TensorFlow's converter makes of MobileNetV3.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from latency.onnx_model import INPUT, OUTPUT, Layer, Normalisation
from latency.tflite_file import TfliteFile
from search_spaces import Conv, Op
from search_spaces.arch import Activation, Gate

_FUSED = {"relu": "RELU", "relu6": "RELU6"}  # what an operator can do to its own result


def tflite_model(
    ops: Sequence[Op],
    layer: Callable[[int, Conv], Layer],
    *,
    normalisation: Normalisation | None = None,
    exact: bool = False,
) -> bytes:
    """Write a chain of Ops as a TFLite file from ``images``, (1, height, width, channels), to ``logits``.

    ``layer`` gives each convolution of the Op at an index its weights. A chain that begins with a linear layer takes
    (1, channels); one that ends in one gives (1, channels), any other the map of its last Op.

    Networks made in TensorFlow pad by SAME, which at stride 2 pads an even map less at the top and left than this
    project does; times are measured so. An ``exact`` file computes what `onnx_model`'s does: where SAME is another
    thing, operators of their own pad. ``InputError`` if ai-edge-litert is not installed.
    """
    graph, first, flat = _Graph(exact), ops[0], ops[0].is_vector
    shape = (1, first.in_channels) if flat else (1, first.height, first.width, first.in_channels)
    images = graph.file.tensor(INPUT, shape)
    x = graph.normalise(images, normalisation) if normalisation else images
    for index, op in enumerate(ops):
        layers = [(conv, layer(index, conv)) for conv in op.convolutions()]
        if op.kind == "pool":
            x = graph.global_pool(x, f"pool.{index}")
        elif op.is_vector:
            x = x if flat else graph.flatten(x, f"flatten.{index}")
            x = graph.linear(x, *layers[0])
            flat = True
        else:
            x = graph.block(x, op, layers)
    return graph.file.pack(images, x, OUTPUT)


class _Graph:
    def __init__(self, exact: bool) -> None:
        self.file, self.exact = TfliteFile(), exact

    def normalise(self, x: int, normalisation: Normalisation) -> int:
        mean, std = (value.reshape(1, 1, 1, -1) for value in (normalisation.mean, normalisation.std))
        centred = self.arithmetic("SUB", "centred", x, self.file.constant("normalise.mean", mean))
        return self.arithmetic("DIV", "normalised", centred, self.file.constant("normalise.std", std))

    def block(self, x: int, op: Op, layers: Sequence[tuple[Conv, Layer]]) -> int:
        y, squeezed = x, x
        for conv, layer in layers:
            match conv.role:
                case "squeeze":
                    squeezed = self.convolve(self.global_pool(y, f"{layer.name}.pool"), conv, layer)
                case "excite":
                    y = self.arithmetic("MUL", f"{layer.name}.excited", y, self.convolve(squeezed, conv, layer))
                case _:
                    made = self.convolve(y, conv, layer)
                    y = self.appended(f"{layer.name}.appended", y, made) if conv.appends else made
        if op.skip == "none":
            return y
        name = f"{layers[-1][1].name}.skip"
        return self.arithmetic("ADD", name, y, self.pool(x, op.stride, f"{name}.pool") if op.skip == "pool" else x)

    def convolve(self, x: int, conv: Conv, layer: Layer) -> int:
        x, window = self.window(x, 2 * conv.reach + 1, conv.stride, layer.name)
        if conv.dilation > 1:
            window |= {"dilationHFactor": conv.dilation, "dilationWFactor": conv.dilation}
        shape = (1, conv.out_height, conv.out_width, conv.out_channels)
        if conv.depthwise:
            inputs = [x, *self.weights(layer, (1, 2, 3, 0))]
            return self.activated("DEPTHWISE_CONV_2D", inputs, shape, conv, layer, depthMultiplier=1, **window)
        return self.activated("CONV_2D", [x, *self.weights(layer, (0, 2, 3, 1))], shape, conv, layer, **window)

    def linear(self, x: int, conv: Conv, layer: Layer) -> int:
        return self.activated("FULLY_CONNECTED", [x, *self.weights(layer, (0, 1))], (1, conv.out_channels), conv, layer)

    def weights(self, layer: Layer, order: Sequence[int]) -> tuple[int, int]:
        weight = self.file.constant(f"{layer.name}.weight", layer.weight.transpose(order))
        return weight, self.file.constant(f"{layer.name}.bias", layer.bias)

    def activated(
        self, kind: str, inputs: Sequence[int], shape: Sequence[int], conv: Conv, layer: Layer, **options: int | str
    ) -> int:
        """Add a layer and its activation: inside it where TFLite can, else as operators after it."""
        activation: Activation | Gate | None = conv.activation
        fused, out = _FUSED.get(activation or "", "NONE"), f"{layer.name}.activation"
        y = self.file.add(kind, f"{layer.name}.layer", inputs, shape, fusedActivationFunction=fused, **options)
        match activation:
            case None | "relu" | "relu6":
                return y
            case "hswish":
                return self.file.add("HARD_SWISH", out, [y], shape)
            case "sigmoid":
                return self.file.add("LOGISTIC", out, [y], shape)
            case "hard_sigmoid":  # relu6(y + 3) / 6
                three, sixth = self.file.constant(f"{out}.three", 3.0), self.file.constant(f"{out}.sixth", 1 / 6)
                return self.arithmetic("MUL", out, self.arithmetic("ADD", f"{out}.sum", y, three, "RELU6"), sixth)

    def arithmetic(self, kind: str, name: str, x: int, y: int, fused: str = "NONE") -> int:
        """Add an ADD, SUB, MUL or DIV, whose ``y`` may be smaller than ``x``."""
        return self.file.add(kind, name, [x, y], self.file.shape(x), fusedActivationFunction=fused)

    def appended(self, name: str, x: int, y: int) -> int:
        """Put the channels of ``y`` behind those of ``x``."""
        *pixels, channels = self.file.shape(x)
        shape = [*pixels, channels + self.file.shape(y)[-1]]
        return self.file.add("CONCATENATION", name, [x, y], shape, axis=3)

    def global_pool(self, x: int, name: str) -> int:
        axes = self.file.constant(f"{name}.axes", np.array([1, 2]))
        return self.file.add("MEAN", name, [x, axes], (1, 1, 1, self.file.shape(x)[3]), keepDims=True)

    def flatten(self, x: int, name: str) -> int:
        shape = [1, self.file.shape(x)[3]]
        return self.file.add(
            "RESHAPE", name, [x, self.file.constant(f"{name}.shape", np.array(shape))], shape, newShape=shape
        )

    def pool(self, x: int, stride: int, name: str) -> int:
        """Add a 3x3 average pool; its means are over the pixels inside the map."""
        _, height, width, channels = self.file.shape(x)
        inside = np.outer(_inside(height, stride), _inside(width, stride))
        x, window = self.window(x, 3, stride, name)
        shape = (1, *inside.shape, channels)
        y = self.file.add("AVERAGE_POOL_2D", name, [x], shape, filterHeight=3, filterWidth=3, **window)
        if window["padding"] == "SAME":
            return y
        # an operator of its own put zeros around the map, and the pool counts them
        return self.arithmetic("MUL", f"{name}.scaled", y, self.file.constant(f"{name}.scale", 9 / inside[:, :, None]))

    def window(self, x: int, kernel: int, stride: int, name: str) -> tuple[int, dict[str, int | str]]:
        """Give the input of a sliding window, padded if it must be, and the options of the window's operator."""
        _, height, width, channels = self.file.shape(x)
        strides: dict[str, int | str] = {"strideH": stride, "strideW": stride}
        if not self.exact or all(_same_pads_evenly(size, kernel, stride) for size in (height, width)):
            return x, {"padding": "SAME", **strides}
        margin = kernel // 2
        margins = self.file.constant(f"{name}.margins", np.array([[0, 0], [margin] * 2, [margin] * 2, [0, 0]]))
        shape = (1, height + 2 * margin, width + 2 * margin, channels)
        return self.file.add("PAD", f"{name}.padded", [x, margins], shape), {"padding": "VALID", **strides}


def _same_pads_evenly(size: int, kernel: int, stride: int) -> bool:
    """Say whether TensorFlow's SAME puts kernel // 2 pixels before the map, as this project does on every side."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2 == kernel // 2


def _inside(size: int, stride: int) -> npt.NDArray[np.int64]:
    """Count, for each window of a 3-pixel pool, its pixels inside the map."""
    starts = np.arange(0, size, stride) - 1
    return np.minimum(starts + 3, size) - np.maximum(starts, 0)
