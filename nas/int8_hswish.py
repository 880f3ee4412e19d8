"""h-swish in int8: the hard sigmoid inside it read straight from the codes of its input.

ONNX Runtime has no int8 kernel for HardSigmoid, which would run in float between two conversions. It needs none: where
x is quantised so that code 0 stands for -3, the codes of hard-sigmoid(x) = clip(x + 3, 0, 6) / 6 are those of x, cut
off above the one that stands for 3, with a sixth of the scale. x may lose what is below -3: h-swish is 0 there.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

_CODES = 255  # the highest of a uint8
_EDGE = 3.0  # hard-sigmoid is 0 below minus this and 1 above it
_LEAST_TOP = 0.0  # of x's range: 0 has a code, as everywhere in quantisation


def in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a quantised model whose HardSigmoids, with their conversions, have become integer Clips.

    Those of inputs that are not uint8 maps stay as they are.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = _Graph(changed.graph)
    for node in [node for node in changed.graph.node if node.op_type == "HardSigmoid"]:
        graph.replace(node)
    graph.finish()
    return changed


class _Graph:
    """A graph being changed: who makes and who reads each value, and the constants."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {constant.name: constant for constant in graph.initializer}
        self.maker = {output: node for node in graph.node for output in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.gone: set[str] = set()
        self.instead: dict[str, list[onnx.NodeProto]] = {}  # by the name of the node in whose place they come

    def replace(self, gate: onnx.NodeProto) -> None:
        """Turn x -> HardSigmoid -> Q -> DQ into codes of x -> Clip -> DQ."""
        before, quantise = self.maker.get(gate.input[0]), self._only_reader(gate.output[0], "QuantizeLinear")
        dequantise = self._only_reader(quantise.output[0], "DequantizeLinear") if quantise else None
        if before is None or before.op_type != "DequantizeLinear" or quantise is None or dequantise is None:
            return
        source = self.maker[before.input[0]]
        scale, edge_code = self._from_minus_three(source)
        low, high, small, zero = (f"{gate.name}.{name}" for name in ("low", "high", "scale", "zero"))
        for name, value in (
            (low, np.uint8(0)),
            (high, np.uint8(min(2 * edge_code, _CODES))),
            (small, np.float32(scale / (2 * _EDGE))),
            (zero, np.uint8(0)),
        ):
            self._add_constant(name, value)
        codes = f"{gate.name}.codes"
        self.instead[gate.name] = [
            helper.make_node("Clip", [source.output[0], low, high], [codes], name=codes),
            helper.make_node("DequantizeLinear", [codes, small, zero], list(dequantise.output), name=dequantise.name),
        ]
        self.gone |= {gate.name, quantise.name, dequantise.name}

    def finish(self) -> None:
        """Write the nodes back, and drop the constants that none of them reads."""
        # a node's place is taken before its name is gone: the new ones keep the order of the graph
        nodes = [
            new
            for node in self.graph.node
            for new in self.instead.get(node.name, [] if node.name in self.gone else [node])
        ]
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        kept = [constant for constant in self.graph.initializer if constant.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _from_minus_three(self, quantise: onnx.NodeProto) -> tuple[float, int]:
        """Make a QuantizeLinear's range begin at -3, exactly; give its scale and the code of 0, half of that of 3."""
        scale, zero = (numpy_helper.to_array(self.constants[name]) for name in quantise.input[1:3])
        top = max(float(scale) * (_CODES - int(zero)), _LEAST_TOP)
        edge_code = max(int(_CODES * _EDGE / (top + _EDGE)), 1)  # rounded down, so that the range reaches the top
        self._add_constant(quantise.input[1], np.float32(_EDGE / edge_code))
        self._add_constant(quantise.input[2], np.uint8(edge_code))
        return _EDGE / edge_code, edge_code

    def _only_reader(self, name: str, kind: str) -> onnx.NodeProto | None:
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def _add_constant(self, name: str, value: np.generic) -> None:
        """Set a constant, which no other value shares: quantisation gives each map its own scale."""
        if name not in self.constants:
            self.constants[name] = self.graph.initializer.add()
        self.constants[name].CopyFrom(numpy_helper.from_array(np.asarray(value), name))
