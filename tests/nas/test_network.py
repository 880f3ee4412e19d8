"""`nas.network`: the torch modules hold the parameters and run the arithmetic that the walk says."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.network import build
from search_spaces import (
    Arch,
    Block,
    Head,
    SqueezeExcite,
    Stem,
    count,
    load_space,
    lower,
    proxy_arch,
    reference,
    references,
    shipped_spaces,
)


def params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def tiny(*blocks: Block, resolution: int = 8) -> Arch:
    return Arch("tiny", resolution, 3, Stem(4), blocks, Head(8))


@pytest.mark.parametrize("name", references())
def test_published_networks_have_the_parameters_that_are_counted(name: str) -> None:
    arch = reference(name)
    assert params(build(arch)) == count(arch).params


def test_mobilenet_v3_large_has_its_published_parameters() -> None:
    assert params(build(reference("mobilenet_v3_large"))) == 5_483_032  # Howard et al. 2019, at 1000 classes


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(shipped_spaces()), st.integers(0, 2**32))
def test_any_network_of_any_space_has_the_parameters_that_are_counted(space_name: str, seed: int) -> None:
    space = load_space(space_name)
    arch = proxy_arch(space.decode(space.sample(random.Random(seed))), 16, 10)
    with torch.device("meta"):  # shapes only: the full-width space holds networks of many megabytes
        model = build(arch)
    assert params(model) == count(arch).params


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mnasnet_a1"])
def test_the_modules_run_the_multiply_accumulates_that_are_counted(name: str) -> None:
    arch = reference(name)
    model = build(arch).eval()
    macs = []

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        pixels = output.shape[2] * output.shape[3] if output.ndim == 4 else 1
        macs.append(module.get_parameter("weight").numel() * pixels)

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    with torch.inference_mode():
        model(torch.zeros(1, 3, 224, 224))
    assert sum(macs) == count(arch).macs


@pytest.mark.parametrize("resolution", [7, 8, 9, 31])
def test_every_block_puts_out_the_size_that_the_walk_says(resolution: int) -> None:
    blocks = (
        Block("conv", 4, 5, 2, skip="pool"),
        Block("mbconv", 4, 3, 2, expanded=4, skip="pool"),
        Block("mbconv", 6, 7, 1, expanded=12),
    )
    arch = tiny(*blocks, resolution=resolution)
    model = build(arch).eval()
    x = model.stem(torch.zeros(1, 3, resolution, resolution))
    sizes = [tuple(x.shape[1:])]
    for block in model.blocks:
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(op.out_channels, op.out_height, op.out_width) for op in lower(arch)[:4]]


def test_names_of_the_weights_are_those_that_checkpoints_rely_on() -> None:
    se = SqueezeExcite(2, "hard_sigmoid")
    arch = replace(tiny(Block("mbconv", 6, 3, 1, expanded=8, se=se), Block("conv", 6, 3, 1)), head=Head(8, 16))
    names = [name for name, _ in build(arch).named_parameters() if not name.endswith(("bias", "norm.weight"))]
    assert names == [
        "stem.conv.weight",
        "blocks.0.expand.conv.weight",
        "blocks.0.depthwise.conv.weight",
        "blocks.0.squeeze.weight",
        "blocks.0.excite.weight",
        "blocks.0.project.conv.weight",
        "blocks.1.full.conv.weight",
        "head.conv.weight",
        "hidden.weight",
        "classifier.weight",
    ]


def test_a_block_without_expansion_has_no_expansion_convolution() -> None:
    block = build(tiny(Block("mbconv", 4, 3, 1, expanded=4))).blocks[0]
    assert [name for name, child in block.named_children() if name != "gate"] == ["depthwise", "project"]


def make_transparent(block: nn.Module) -> None:
    """Centre-tap kernels of ones, and batch norms that do nothing."""
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            module.weight.data[..., module.kernel_size[0] // 2, module.kernel_size[1] // 2] = 1.0
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0


def test_an_inverted_residual_squeezes_after_the_depthwise_activation_and_projects_without_one() -> None:
    se = SqueezeExcite(1, "hard_sigmoid")
    model = build(tiny(Block("mbconv", 4, 1, 1, expanded=4, se=se, activation="hswish"))).eval()
    block = model.blocks[0]
    make_transparent(block)
    nn.init.constant_(block.get_submodule("excite").bias, -3.0)
    nn.init.constant_(block.get_submodule("project").get_submodule("norm").bias, -5.0)
    out = block(torch.ones(1, 4, 1, 1))
    # depthwise: 1; h-swish: 1 * 4 / 6 = 2/3; squeeze: relu(4 * 2/3) = 8/3; excite: 8/3 - 3 = -1/3;
    # hard sigmoid: (3 - 1/3) / 6 = 4/9; scaled: 2/3 * 4/9 = 8/27; project: 4 * 8/27 - 5 = -3.8148, left negative
    assert out.flatten().tolist() == pytest.approx([32 / 27 - 5] * 4)


def test_a_conv_block_squeezes_after_its_activation() -> None:
    model = build(tiny(Block("conv", 1, 1, 1, se=SqueezeExcite(1, "sigmoid")))).eval()
    block = model.blocks[0]
    make_transparent(block)
    out = block(torch.tensor([1.0, 2.0, 3.0, -6.5]).reshape(1, 4, 1, 1))
    # 1x1 of ones: -0.5; ReLU: 0; squeeze 0; excite 0; sigmoid 1/2; 0 * 1/2 = 0
    assert out.item() == 0.0
    out = block(torch.tensor([1.0, 2.0, 3.0, -5.0]).reshape(1, 4, 1, 1))
    # 1; squeeze 1; excite 1; sigmoid(1) = 0.731059
    assert out.item() == pytest.approx(0.731059, abs=1e-6)


def test_an_identity_skip_adds_the_input() -> None:
    with_skip = build(tiny(Block("conv", 4, 3, 1, skip="identity"))).eval().blocks[0]
    without = build(tiny(Block("conv", 4, 3, 1))).eval().blocks[0]
    without.load_state_dict(with_skip.state_dict())
    x = torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(with_skip(x), without(x) + x)


def test_a_pool_skip_adds_the_mean_of_the_pixels_that_are_inside() -> None:
    block = build(tiny(Block("conv", 4, 3, 2, skip="pool"))).eval().blocks[0]
    nn.init.zeros_(block.get_submodule("full").get_submodule("conv").get_parameter("weight"))
    x = torch.arange(9.0).reshape(1, 1, 3, 3).expand(1, 4, 3, 3)
    # stride 2, centred on the corners: mean(0, 1, 3, 4) = 2, mean(1, 2, 4, 5) = 3, mean(3, 4, 6, 7) = 5,
    # mean(4, 5, 7, 8) = 6
    assert block(x)[0, 0].flatten().tolist() == [2.0, 3.0, 5.0, 6.0]


def test_weights_start_at_the_deviation_of_their_fan_out() -> None:
    torch.manual_seed(0)
    model = build(replace(tiny(Block("mbconv", 64, 5, 1, expanded=2048)), stem=Stem(512)))
    block = model.blocks[0]
    # depthwise 5x5: sqrt(2 / 25) = 0.2828; projection to 64: sqrt(2 / 64) = 0.1768
    depthwise = block.get_submodule("depthwise").get_submodule("conv").get_parameter("weight")
    project = block.get_submodule("project").get_submodule("conv").get_parameter("weight")
    assert depthwise.std().item() == pytest.approx(0.2828, rel=0.02)
    assert project.std().item() == pytest.approx(0.1768, rel=0.02)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (2, 1), (2, 2), (3, 2), (4, 1)])
def test_leaving_out_taps_over_padding_changes_neither_outputs_nor_gradients(size: int, stride: int) -> None:
    torch.manual_seed(0)
    ours = build(tiny(Block("conv", 4, 7, stride))).blocks[0].get_submodule("full").get_submodule("conv")
    plain = nn.Conv2d(4, 4, 7, stride, padding=3, bias=False)
    plain.load_state_dict(ours.state_dict())
    x = torch.rand(2, 4, size, size)
    torch.testing.assert_close(ours(x), plain(x))
    ours(x).sum().backward()
    plain(x).sum().backward()
    torch.testing.assert_close(ours.get_parameter("weight").grad, plain.weight.grad)


def test_the_hidden_layer_starts_at_the_deviation_of_its_inputs_and_the_classifier_near_zero() -> None:
    torch.manual_seed(0)
    model = build(replace(tiny(Block("conv", 4, 3, 1)), classes=500, head=Head(50, 400)))
    assert model.hidden is not None
    assert model.hidden.weight.std().item() == pytest.approx(0.2, rel=0.02)  # sqrt(2 / 50)
    assert model.classifier.weight.std().item() == pytest.approx(0.01, rel=0.02)


def test_the_normalisation_comes_before_the_stem() -> None:
    model = build(tiny(Block("conv", 4, 3, 1))).eval()
    images = torch.rand(2, 3, 8, 8)
    plain = model(images)
    model.normalise.mean.fill_(0.5)
    model.normalise.std.fill_(0.25)
    torch.testing.assert_close(model(0.5 + 0.25 * images), plain)


def test_batch_norms_take_the_momentum_that_is_asked_for_and_the_published_epsilon() -> None:
    model = build(tiny(Block("mbconv", 4, 3, 1, expanded=8)), batch_norm_momentum=0.25)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.25, 1e-3)}
