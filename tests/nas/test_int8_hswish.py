"""`nas.int8_hswish`: codes worked out by hand, and h-swish to the rounding of its codes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.int8_hswish import in_int8


def quantised(scale: float, zero: int, out_scale: float, gate_readers: int = 1) -> onnx.ModelProto:
    """x -> Q, DQ -> HardSigmoid -> Q, DQ -> Mul by x -> Q, DQ -> y, as static quantisation writes it; y >= -0.375."""
    constants = {
        "x_scale": np.float32(scale),
        "x_zero": np.uint8(zero),
        "gate_scale": np.float32(1 / 255),
        "gate_zero": np.uint8(0),
        "y_scale": np.float32(out_scale),
        "y_zero": np.uint8(round(0.375 / out_scale)),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"], "x_Q"),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_dq"], "x_DQ"),
        helper.make_node("HardSigmoid", ["x_dq"], ["gate"], "gate", alpha=1 / 6, beta=0.5),
        helper.make_node("QuantizeLinear", ["gate", "gate_scale", "gate_zero"], ["gate_q"], "gate_Q"),
        helper.make_node("DequantizeLinear", ["gate_q", "gate_scale", "gate_zero"], ["gate_dq"], "gate_DQ"),
        helper.make_node("Mul", ["x_dq", "gate_dq"], ["product"], "mul"),
        helper.make_node("QuantizeLinear", ["product", "y_scale", "y_zero"], ["y_q"], "y_Q"),
        helper.make_node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y"], "y_DQ"),
    ]
    names = ["y", *(["other"] if gate_readers == 2 else [])]
    if gate_readers == 2:
        nodes.append(helper.make_node("Neg", ["gate"], ["other"], "neg"))
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
    graph = helper.make_graph(nodes, "hswish", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def constants(model: onnx.ModelProto) -> dict[str, float]:
    return {one.name: float(numpy_helper.to_array(one)) for one in model.graph.initializer}


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": x})
    assert isinstance(y, np.ndarray)
    return y


def test_the_codes_are_those_worked_out_by_hand() -> None:
    # x up to 0.046 * (255 - 43) = 9.752; from -3 on that is 12.752 for 255 codes, of which 3 takes 59.99: 59
    found = constants(changed := in_int8(quantised(0.046, 43, 0.04)))
    assert found["x_zero"] == 59
    assert found["x_scale"] == pytest.approx(3 / 59)
    assert (found["gate.low"], found["gate.high"]) == (0, 118)  # 118 codes above -3 there is 3
    assert found["gate.scale"] == pytest.approx(3 / 59 / 6)
    assert "gate_scale" not in found
    assert [node.op_type for node in changed.graph.node].count("Clip") == 1
    onnx.checker.check_model(changed, full_check=True)


@pytest.mark.parametrize("top", [-1.0, 0.5, 3.0, 4.5, 40.0])  # of what calibration saw
def test_it_is_h_swish_to_the_rounding_of_its_codes(top: float) -> None:
    # a range that is all below 0 ends at 0, as static quantisation makes it: 0 must have a code
    scale = (max(top, 0.0) + 5) / 255
    step = (max(top, 0.0) + 0.375) / 250  # of the output
    x = np.linspace(-8, max(top, 0.0), 1001, dtype=np.float32)
    changed = in_int8(quantised(scale, round(5 / scale), step))
    assert "HardSigmoid" not in {node.op_type for node in changed.graph.node}
    wanted = x * np.clip(x + 3, 0, 6) / 6
    # half a step of y and half a step of x, where h-swish climbs by at most 1.5
    input_step = (max(top, 0.0) + 3) / 255
    assert np.abs(run(changed, x) - wanted).max() <= 0.51 * step + 0.8 * input_step


def test_a_gate_that_others_read_stays() -> None:
    model = quantised(0.05, 60, 0.04, gate_readers=2)
    assert in_int8(model) == model


def test_a_model_is_not_changed_in_place() -> None:
    model = quantised(0.05, 60, 0.04)
    before = model.SerializeToString()
    in_int8(model)
    assert model.SerializeToString() == before
