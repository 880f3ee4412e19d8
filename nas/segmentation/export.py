"""Segmentation networks as ONNX files, written from the module and its walk as `nas.export` does classifiers'."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from latency.onnx_model import INPUT, Graph, Layer
from nas.export import folded, normalisation_of
from nas.network import OUTPUT
from nas.segmentation.model import SegmentationNetwork
from search_spaces import Conv, Op
from search_spaces.arch import INPUT_CHANNELS
from search_spaces.segmentation import Walk, pool_window, segmentation_walk

_Size = tuple[int, int]


def export_segmenter(model: SegmentationNetwork, path: str | Path, quantisable: bool = False) -> None:
    """Write a segmentation network to one file, as it computes in evaluation.

    Its input ``images`` is float32 (batch, 3, height, width), RGB in [0, 1], any batch size; its output ``logits`` is
    (batch, classes, height, width). ``quantisable`` spells the activations as `nas.quantise` needs them; the values
    are the same.
    """
    segmenter = model.segmenter
    graph, walk = _Graph(model, quantisable), segmentation_walk(segmenter)
    normalisation = normalisation_of(model.normalise)
    x = graph.normalise(INPUT, normalisation) if normalisation else INPUT
    last = graph.backbone(x, walk)
    size = (walk.features.height, walk.features.width)
    logits = graph.light(last, size, walk) if segmenter.head == "lraspp" else graph.aspp(last, size, walk)
    graph.resize("upsampled", logits, (walk.high.out_height, walk.high.out_width), (segmenter.height, segmenter.width))
    image = [segmenter.height, segmenter.width]
    proto = graph.model(["batch", INPUT_CHANNELS, *image], ["batch", segmenter.classes, *image])
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))


class _Graph(Graph):
    """Adds the parts of one model; remembers what each layer made."""

    def __init__(self, network: SegmentationNetwork, quantisable: bool) -> None:
        super().__init__(quantisable)
        self.network, self.made = network, dict[str, str]()

    def convolve(self, x: str, conv: Conv, layer: Layer) -> str:
        self.made[layer.name] = super().convolve(x, conv, layer)
        return self.made[layer.name]

    def run(self, x: str, op: Op, names: Sequence[str]) -> str:
        """Add an Op, whose layers are the submodules of these names."""
        layers = [Layer(name, *folded(self.network.get_submodule(name))) for name in names]
        return self.block(x, op, list(zip(op.convolutions(), layers, strict=True)))

    def single(self, x: str, op: Op, name: str) -> str:
        """Add an Op of one layer."""
        return self.run(x, op, [name])

    def backbone(self, x: str, walk: Walk) -> str:
        """Add stem, blocks and what follows them, and give the last features."""
        x = self.single(x, walk.stem, "stem")
        for index, op in enumerate(walk.blocks):
            x = self.run(x, op, [f"blocks.{index}.{conv.role}" for conv in op.convolutions()])
            self.made[f"blocks.{index}.{OUTPUT}"] = x
        return self.single(x, walk.last, "head") if walk.last else x

    def light(self, last: str, size: _Size, walk: Walk) -> str:
        """Add LR-ASPP."""
        assert walk.gate is not None  # every LR-ASPP has both
        assert walk.low is not None
        segmenter = self.network.segmenter
        window, stride = pool_window(segmenter, *size)
        coarse = self.add("AveragePool", "decoder.pool", last, kernel_shape=list(window), strides=list(stride))
        gate = self.add("Sigmoid", "decoder.gate.sigmoid", self.single(coarse, walk.gate, "decoder.gate"))
        gate = self.resize("decoder.gate.resized", gate, (walk.gate.height, walk.gate.width), size)
        features = self.add("Mul", "decoder.gated", self.single(last, walk.features, "decoder.features"), gate)
        details = (walk.low.height, walk.low.width)
        high = self.single(self.resize("decoder.resized", features, size, details), walk.high, "decoder.high")
        tapped = self.made[f"blocks.{segmenter.low_block}.{self.network.tapped_role}"]
        return self.add("Add", "decoder.sum", high, self.single(tapped, walk.low, "decoder.low"))

    def aspp(self, last: str, size: _Size, walk: Walk) -> str:
        """Add R-ASPP."""
        assert walk.context is not None  # every R-ASPP has both
        assert walk.fuse is not None
        features = self.single(last, walk.features, "decoder.features")
        mean = self.add("GlobalAveragePool", "decoder.pool", last)
        context = self.resize("decoder.spread", self.single(mean, walk.context, "decoder.context"), (1, 1), size)
        both = self.add("Concat", "decoder.both", features, context, axis=1)
        return self.single(self.single(both, walk.fuse, "decoder.fuse"), walk.high, "decoder.high")

    def resize(self, name: str, x: str, before: _Size, after: _Size) -> str:
        """Add a bilinear resize, corner on corner; batch and channels are those of ``x``."""
        if before == after:
            return self.add("Identity", name, x)
        pixels = numpy_helper.from_array(np.array(after, np.int64), f"{name}.pixels")
        self.weights.append(pixels)
        kept = self.add("Shape", f"{name}.kept", x, end=2)  # of four dimensions the first two
        sizes = self.add("Concat", f"{name}.sizes", kept, pixels.name, axis=0)
        how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return self.add("Resize", name, x, "", "", sizes, **how)
