"""Detectors as ONNX files, written from the module and its walk as `nas.export` does classifiers'."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from latency.onnx_model import INPUT, Graph, Layer
from latency.onnx_model import OUTPUT as LOGITS
from nas.detection.boxes import CODE_SCALES
from nas.detection.model import DetectionNetwork
from nas.export import Gap, folded, normalisation_of
from nas.network import OUTPUT
from search_spaces import Op
from search_spaces.arch import INPUT_CHANNELS
from search_spaces.detection import BOX_CODES, DetectionWalk, detection_walk

BOXES = "boxes"
DECODING = "decoding."  # begins the names of the nodes between box codes and boxes


def export_detector(model: DetectionNetwork, path: str | Path, quantisable: bool = False) -> None:
    """Write a detector to one file, as it computes in evaluation.

    Its input ``images`` is float32 (batch, 3, side, side), RGB in [0, 1], any batch size. Its outputs are ``logits``,
    (batch, anchors, slots), and ``boxes``, (batch, anchors, 4), by corners as shares of the image's sides. The
    choice among overlapping boxes is outside: `nas.detection.suppression.detections`, or the runtime's own.
    ``quantisable`` spells the activations as `nas.quantise` needs them; the values are the same.
    """
    graph, detector = _Graph(model, quantisable), model.detector
    normalisation = normalisation_of(model.normalise)
    walk = detection_walk(detector)
    maps = graph.maps(graph.normalise(INPUT, normalisation) if normalisation else INPUT, walk)
    graph.boxes(graph.predictions(maps, walk.boxes, "boxes", BOX_CODES), model.anchors)
    graph.predictions(maps, walk.scores, "scores", detector.class_slots)
    side, anchors = detector.backbone.resolution, len(model.anchors)
    proto = graph.model(["batch", INPUT_CHANNELS, side, side], ["batch", anchors, detector.class_slots])
    proto.graph.output.append(helper.make_tensor_value_info(BOXES, TensorProto.FLOAT, ["batch", anchors, BOX_CODES]))
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))


def check_detector(model: DetectionNetwork, path: str | Path, images: Tensor) -> float:
    """Run torch and ONNX Runtime on the same images, floats; give the largest absolute difference of any output.

    ``RuntimeError`` if they compute something else.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(images.cpu().numpy())
    exported = session.run([LOGITS, BOXES], {INPUT: pixels})
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        expected = model.predict(images.to(model.anchors.device))
    model.train(was_training)
    pairs = zip((wanted.float().cpu().numpy() for wanted in expected), exported, strict=True)
    return Gap.between(pairs).checked(Path(path).name)


class _Graph(Graph):
    """Adds the parts of one model."""

    def __init__(self, network: DetectionNetwork, quantisable: bool) -> None:
        super().__init__(quantisable)
        self.network = network

    def run(self, x: str, op: Op, prefix: str) -> str:
        """Add an Op whose layers are the submodules ``prefix.role``."""
        names = [f"{prefix}.{conv.role}" for conv in op.convolutions()]
        return self.block(x, op, list(zip(op.convolutions(), self.layers(names), strict=True)))

    def single(self, x: str, op: Op, name: str) -> str:
        """Add an Op of one layer, the submodule of that name."""
        return self.block(x, op, list(zip(op.convolutions(), self.layers([name]), strict=True)))

    def layers(self, names: Sequence[str]) -> list[Layer]:
        """Give the weights of submodules."""
        return [Layer(name, *folded(self.network.get_submodule(name))) for name in names]

    def maps(self, x: str, walk: DetectionWalk) -> list[str]:
        """Add the backbone and the extra layers, and give the maps that are looked at."""
        x = self.single(x, walk.stem, "stem")
        found = []
        for index, op in enumerate(walk.blocks):
            before, x = x, self.run(x, op, f"blocks.{index}")
            if index == self.network.detector.tap:
                found.append(self.tapped(before))
        found.append(self.single(x, walk.last, "head"))
        for index, (narrow, halve) in enumerate(walk.extras):
            found.append(self.run(self.run(found[-1], narrow, f"extras.{index}.0"), halve, f"extras.{index}.1"))
        return found

    def tapped(self, before: str) -> str:
        """Give C4: what the layer before the tapped block's stride makes last, or the block's input."""
        role = self.network.tapped_role
        if role == OUTPUT:
            return before
        prefix = f"blocks.{self.network.detector.tap}.{role}."
        return [str(node.name) for node in self.nodes if node.name.startswith(prefix)][-1]

    def predictions(self, maps: Sequence[str], ops: Sequence[Op], name: str, outputs: int) -> str:
        """Add the predictors of one kind, and give their outputs, (batch, anchors, outputs)."""
        shape = self.integers(f"{name}.shape", [0, -1, outputs])  # 0: the batch as it is
        parts = []
        for index, (x, op) in enumerate(zip(maps, ops, strict=True)):
            last = self.add("Transpose", f"{name}.{index}.last", self.run(x, op, f"{name}.{index}"), perm=[0, 2, 3, 1])
            parts.append(self.add("Reshape", f"{name}.{index}.flat", last, shape))
        return self.add("Concat", f"{name}.all", *parts, axis=1)

    def boxes(self, codes: str, anchors: Tensor) -> str:
        """Add what makes corners of codes, as `nas.detection.boxes.decode` does."""
        place, size = np.split(anchors[None].cpu().numpy(), 2, axis=-1)
        scaled = self.add("Div", f"{DECODING}scaled", codes, self.weight("codes.scales", np.array(CODE_SCALES)))
        halves = [f"codes.{name}" for name in ("place", "size")]
        parts = [scaled, self.integers("codes.split", [2, 2])]
        self.nodes.append(helper.make_node("Split", parts, halves, name=f"{DECODING}parts", axis=2))
        offset = self.add("Mul", f"{DECODING}offset", halves[0], self.weight("anchors.size", size))
        middle = self.add("Add", f"{DECODING}middle", offset, self.weight("anchors.place", place))
        growth = self.add("Exp", f"{DECODING}growth", halves[1])
        half = self.add("Mul", f"{DECODING}half", growth, self.weight("anchors.half", size / 2))
        low, high = self.add("Sub", f"{DECODING}low", middle, half), self.add("Add", f"{DECODING}high", middle, half)
        return self.add("Concat", BOXES, low, high, axis=2)

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add whole numbers, which say how large or where."""
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name
