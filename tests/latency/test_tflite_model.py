"""`latency.tflite_model`: the file computes, in LiteRT, what the ONNX graph computes in ONNX Runtime."""

import random
from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest

from latency.onnx_model import Layer, onnx_model, random_layers
from latency.tflite_model import tflite_model
from search_spaces import Conv, Op, load_space, lower, proxy_arch, reference, shipped_spaces

NEEDS = "needs ai-edge-litert: pip install 'nas-mobile[tflite]'"
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=NEEDS)
schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=NEEDS)

PUBLISHED = ["mobilenet_v3_small", "mobilenet_v3_large", "mnasnet_a1", "mobilenet_v2"]


def onnx_output(ops: Sequence[Op], images: np.ndarray) -> np.ndarray:
    model = onnx_model(ops, random_layers()).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(["logits"], {"images": images})[0]
    return result


def tflite_output(file: bytes, images: np.ndarray) -> np.ndarray:
    """Run a file; images and the result have their channels where ONNX has them."""
    runtime = interpreter.Interpreter(model_content=file, num_threads=1)
    runtime.allocate_tensors()
    (given,), (result,) = runtime.get_input_details(), runtime.get_output_details()
    assert (given["name"], result["name"]) == ("images", "logits")
    runtime.set_tensor(given["index"], np.moveaxis(images, 1, -1))
    runtime.invoke()
    output: np.ndarray = np.moveaxis(runtime.get_tensor(result["index"]), -1, 1)
    return output


def relative_difference(ops: Sequence[Op], *, exact: bool) -> float:
    """The largest difference between the two runtimes, as a share of the largest value."""
    first = ops[0]
    size = () if first.kind == "linear" else (first.height, first.width)
    images = np.random.default_rng(1).standard_normal((1, first.in_channels, *size), np.float32)
    expected = onnx_output(ops, images)
    got = tflite_output(tflite_model(ops, random_layers(), exact=exact), images)
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def operators(file: bytes) -> list[str]:
    """The operators of a file, in order."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    model = schema.ModelT.InitFromPackedBuf(file, 0)
    kinds = [names[code.builtinCode] for code in model.operatorCodes]
    return [kinds[operator.opcodeIndex] for operator in model.subgraphs[0].operators]


def ones(index: int, conv: Conv) -> Layer:
    return Layer(
        conv.role,
        np.ones((conv.out_channels, conv.in_channels // conv.groups, conv.kernel, conv.kernel), np.float32),
        np.zeros(conv.out_channels, np.float32),
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_exact_file_of_a_published_network_computes_what_the_onnx_graph_does(name: str) -> None:
    assert relative_difference(lower(reference(name, resolution=64, classes=10)), exact=True) < 1e-4


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("resolution", [24, 31])
@pytest.mark.parametrize("name", shipped_spaces())
def test_an_exact_file_of_any_network_of_a_space_computes_what_the_onnx_graph_does(
    name: str, resolution: int, seed: int
) -> None:
    space = load_space(name)
    arch = proxy_arch(space.decode(space.sample(random.Random(seed))), resolution, 10)
    assert relative_difference(lower(arch), exact=True) < 1e-4


@pytest.mark.parametrize(
    "key",
    [
        "conv-7x7x3-5-k3-s1-e0-se0-relu-none",
        "conv-8x8x3-5-k1-s2-e0-se0-relu6-none",
        "conv-8x8x4-4-k3-s1-e0-se2sigmoid-hswish-identity",
        "conv-8x8x4-4-k3-s2-e0-se2hard_sigmoid-relu-pool",
        "conv-8x8x4-4-k3-s1-e0-se0-linear-none",
        "mbconv-9x9x6-8-k3-s2-e6-se0-relu6-none",
        "mbconv-8x8x6-6-k5-s1-e18-se4hard_sigmoid-hswish-identity",
        "mbconv-8x8x6-6-k7-s1-e18-se4sigmoid-relu-identity",
        "mbconv-8x8x1-1-k3-s1-e1-se0-relu-none",
        "mbconv-7x7x6-6-k3-s1-e12-se0-relu-pool",
        "pool-7x7x16-16-k1-s1-e0-se0-linear-none",
        "pool-1x1x16-16-k1-s1-e0-se0-linear-none",
        "linear-1x1x16-10-k1-s1-e0-se0-linear-none",
        "linear-1x1x16-10-k1-s1-e0-se0-relu6-none",
        "linear-1x1x16-10-k1-s1-e0-se0-hswish-none",
    ],
)
def test_an_exact_file_of_one_op_computes_what_the_onnx_graph_does(key: str) -> None:
    assert relative_difference([Op.parse(key)], exact=True) < 1e-4


@pytest.mark.parametrize("size", ["1x1", "2x2", "5x6", "7x7", "8x8", "9x8"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_an_exact_file_pads_as_the_onnx_graph_does_at_any_size_and_stride(kernel: int, stride: int, size: str) -> None:
    op = Op.parse(f"mbconv-{size}x4-4-k{kernel}-s{stride}-e12-se0-relu-pool")
    assert relative_difference([op], exact=True) < 1e-4


def test_a_file_pads_by_tensorflows_same_unless_it_is_to_be_exact() -> None:
    op, images = Op.parse("conv-4x4x1-1-k3-s2-e0-se0-linear-none"), np.ones((1, 1, 4, 4), np.float32)
    # windows of 3 at 0 and 2, whose last lacks the pixel after the map; or at -1 and 1, whose first lacks one
    assert tflite_output(tflite_model([op], ones), images)[0, 0].tolist() == [[9, 6], [6, 4]]
    assert tflite_output(tflite_model([op], ones, exact=True), images)[0, 0].tolist() == [[4, 6], [6, 9]]


def test_an_exact_file_has_operators_that_pad_only_where_same_is_another_thing() -> None:
    ops = lower(reference("mobilenet_v2", resolution=64))
    assert operators(tflite_model(ops, random_layers())).count("PAD") == 0
    # maps of 64, 32, 16, 8 and 4 pixels are halved; all other convolutions keep the size
    assert operators(tflite_model(ops, random_layers(), exact=True)).count("PAD") == 5
    odd = Op.parse("mbconv-7x7x4-4-k3-s2-e12-se0-relu-pool")
    assert operators(tflite_model([odd], random_layers(), exact=True)).count("PAD") == 0


def test_a_block_is_written_with_the_operators_of_tensorflows_converter() -> None:
    op = Op.parse("mbconv-8x8x6-6-k5-s1-e18-se4hard_sigmoid-hswish-identity")
    assert operators(tflite_model([op], random_layers())) == [
        *("CONV_2D", "HARD_SWISH", "DEPTHWISE_CONV_2D", "HARD_SWISH"),
        *("MEAN", "CONV_2D", "CONV_2D", "ADD", "MUL", "MUL"),  # squeeze, excite, (x + 3 to at most 6) / 6, scale
        *("CONV_2D", "ADD"),
    ]


def test_relus_are_inside_the_operators_before_them() -> None:
    ops = [
        Op.parse("mbconv-8x8x6-8-k3-s2-e18-se0-relu6-none"),
        Op.parse("conv-4x4x8-16-k1-s1-e0-se0-relu-none"),
        Op.parse("pool-4x4x16-16-k1-s1-e0-se0-linear-none"),
        Op.parse("linear-1x1x16-10-k1-s1-e0-se0-linear-none"),
    ]
    assert operators(tflite_model(ops, random_layers())) == [
        *("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"),
        *("CONV_2D", "MEAN", "RESHAPE", "FULLY_CONNECTED"),
    ]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mnasnet_a1"])
def test_xnnpack_takes_a_network_over_as_a_whole(name: str, exact: bool) -> None:
    file = tflite_model(lower(reference(name, resolution=64, classes=10)), random_layers(), exact=exact)
    runtime = interpreter.Interpreter(model_content=file, num_threads=1)
    runtime.allocate_tensors()
    (delegate,) = [op for op in runtime._get_ops_details() if op["op_name"] == "DELEGATE"]
    assert runtime.get_input_details()[0]["index"] in delegate["inputs"]
    assert list(delegate["outputs"]) == [runtime.get_output_details()[0]["index"]]
