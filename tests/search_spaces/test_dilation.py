"""Dilated convolutions, from a block's number to torch, ONNX Runtime and LiteRT."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from latency.onnx_model import onnx_model, random_layers
from nas.network import OpModule
from search_spaces import (
    Arch,
    ArchError,
    Block,
    Head,
    Op,
    Stem,
    arch_from_dict,
    arch_to_dict,
    count_op,
    lower,
    reference,
)

DILATED = Op("mbconv", 12, 16, 8, 8, 5, 1, 24, None, "relu", "identity", 2)


def arch(dilation: int) -> Arch:
    return Arch("net", 32, 10, Stem(8), (Block("mbconv", 16, 3, 2, 24, dilation=dilation),), Head(32))


def test_a_key_tells_a_dilation_where_there_is_one() -> None:
    assert DILATED.key == "mbconv-12x16x8-8-k5-s1-e24-se0-relu-identity-d2"
    assert Op.parse(DILATED.key) == DILATED
    assert replace(DILATED, dilation=1).key == "mbconv-12x16x8-8-k5-s1-e24-se0-relu-identity"


def test_the_keys_of_networks_without_dilation_are_those_of_earlier_versions() -> None:
    assert reference("mobilenet_v3_small").key == "19d62f663c956f85"  # as in the runs of version 0.1
    assert arch(2).key != arch(1).key


def test_a_dilation_is_kept_in_files() -> None:
    assert arch_from_dict(arch_to_dict(arch(2))) == arch(2)
    data = arch_to_dict(arch(1))
    del data["blocks"][0]["dilation"]
    assert arch_from_dict(data) == arch(1)


def test_a_dilation_below_one_is_refused() -> None:
    with pytest.raises(ArchError, match="block: dilation must be a whole number of at least 1, got 0"):
        arch(0)


def test_dilation_moves_taps_and_costs_nothing() -> None:
    assert [op.dilation for op in lower(arch(3))] == [1, 3, 1, 1, 1]
    assert count_op(DILATED) == count_op(replace(DILATED, dilation=1))
    assert [(conv.role, conv.dilation, conv.reach) for conv in DILATED.convolutions()] == [
        ("expand", 1, 0),
        ("depthwise", 2, 4),
        ("project", 1, 0),
    ]


def test_a_walk_at_another_size_has_its_maps() -> None:
    assert [(op.height, op.width) for op in lower(arch(1), (33, 64))] == [(33, 64), (17, 32), (9, 16), (9, 16), (1, 1)]


@pytest.mark.parametrize("kind", ["mbconv", "conv"])
def test_torch_computes_what_its_definition_says(kind: str) -> None:
    op = replace(DILATED, kind=kind, expanded=24 if kind == "mbconv" else 0, skip="none", activation=None)
    block = OpModule(op).eval()
    x = torch.randn(2, 8, 12, 16)
    name = "depthwise" if kind == "mbconv" else "full"
    y = block.expand(x) if kind == "mbconv" else x
    weight = block.get_submodule(name).conv.weight
    # a dilated kernel is one with zeros between its taps: 5x5 becomes 9x9
    spread = torch.zeros(*weight.shape[:2], 9, 9)
    spread[:, :, ::2, ::2] = weight
    expected = F.conv2d(y, spread, padding=4, groups=24 if kind == "mbconv" else 1)
    torch.testing.assert_close(block.get_submodule(name).conv(y), expected)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_taps_that_only_meet_padding_can_be_left_out_of_dilated_kernels_too(size: int) -> None:
    block = OpModule(Op("conv", size, size, 4, 4, 5, dilation=2))
    x = torch.randn(1, 4, size, size)
    expected = F.conv2d(x, block.full.conv.weight, padding=4, dilation=2)
    torch.testing.assert_close(block.full.conv(x), expected)


def test_onnx_runtime_and_litert_compute_the_same() -> None:
    image = np.random.default_rng(0).standard_normal((1, 8, 12, 16), np.float32)
    model = onnx_model([DILATED], random_layers()).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"images": image})
    layers = random_layers()
    block = OpModule(DILATED).eval()
    for conv in DILATED.convolutions():
        layer, module = layers(0, conv), block.get_submodule(conv.role)
        module.conv.weight.data = torch.from_numpy(layer.weight)
        module.norm.bias.data = torch.from_numpy(layer.bias)
        module.norm.running_var.fill_(1 - module.norm.eps)
    np.testing.assert_allclose(result, block(torch.from_numpy(image)).detach(), atol=1e-4)

    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    from latency.tflite_model import tflite_model

    lite = interpreter.Interpreter(model_content=tflite_model([DILATED], random_layers(), exact=True))
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    lite.invoke()
    np.testing.assert_allclose(
        lite.get_tensor(lite.get_output_details()[0]["index"]).transpose(0, 3, 1, 2), result, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["linear", "matmul"])
def test_a_linear_layer_on_a_map_works_at_each_pixel(kind: str) -> None:
    op = Op(kind, 3, 5, 8, 4)
    assert Op.parse(op.key) == op
    assert (count_op(op).macs, count_op(op).params) == (3 * 5 * 8 * 4, 8 * 4 + (4 if kind == "linear" else 0))
    model = onnx_model([op], random_layers()).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 8, 3, 5), np.float32)
    (result,) = session.run(None, {"images": image})
    layer = random_layers()(0, op.convolutions()[0])
    expected = np.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], image) + layer.bias[:, None, None]
    np.testing.assert_allclose(result, expected, atol=1e-5)
