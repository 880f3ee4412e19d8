"""The walk over a network: Ops, their sizes, their keys and their convolutions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Conv, Op, SqueezeExcite, load_space, lower, reference, references, shipped_spaces


def test_lower_lists_stem_blocks_and_head_in_order() -> None:
    ops = lower(reference("mobilenet_v3_small"))
    assert [op.kind for op in ops] == ["conv"] + ["mbconv"] * 11 + ["conv", "pool", "linear", "linear"]
    assert ops[0] == Op("conv", 224, 224, 3, 16, 3, 2, activation="hswish")
    gate = SqueezeExcite(24, "hard_sigmoid")
    assert ops[4] == Op("mbconv", 28, 28, 24, 40, 5, 2, 96, gate, "hswish", "none")
    assert ops[12:] == [
        Op("conv", 7, 7, 96, 576, activation="hswish"),
        Op("pool", 7, 7, 576, 576),
        Op("linear", 1, 1, 576, 1024, activation="hswish"),
        Op("linear", 1, 1, 1024, 1000),
    ]


@pytest.mark.parametrize(("resolution", "sizes"), [(224, [112, 56, 28, 14, 7]), (33, [17, 9, 5, 3, 2])])
def test_every_stride_halves_and_rounds_up(resolution: int, sizes: list[int]) -> None:
    ops = lower(reference("mobilenet_v3_small", resolution=resolution))
    halved = [op for op in ops if op.stride == 2]
    assert [(op.out_height, op.out_width) for op in halved] == [(size, size) for size in sizes]


def test_each_op_receives_what_the_one_before_it_gives() -> None:
    for name in references():
        ops = lower(reference(name))
        assert [(op.out_height, op.out_width, op.out_channels) for op in ops[:-1]] == [
            (op.height, op.width, op.in_channels) for op in ops[1:]
        ]


def test_key_is_one_readable_word() -> None:
    op = Op("mbconv", 28, 14, 24, 40, 5, 2, 96, SqueezeExcite(24, "hard_sigmoid"), "hswish", "none")
    assert op.key == "mbconv-28x14x24-40-k5-s2-e96-se24hard_sigmoid-hswish-none"


def test_parse_reads_a_key_that_was_written_by_hand() -> None:
    assert Op.parse("conv-56x56x8-8-k3-s1-e0-se2sigmoid-relu6-identity") == Op(
        "conv", 56, 56, 8, 8, 3, 1, 0, SqueezeExcite(2, "sigmoid"), "relu6", "identity"
    )
    assert Op.parse("linear-1x1x64-10-k1-s1-e0-se0-linear-none") == Op("linear", 1, 1, 64, 10)


@pytest.mark.parametrize("name", shipped_spaces())
def test_parse_is_the_inverse_of_key_for_every_op_of_a_space(name: str) -> None:
    ops = load_space(name).ops()
    assert [Op.parse(op.key) for op in ops] == ops
    assert len({op.key for op in ops}) == len(ops)


@given(st.sampled_from(references()), st.integers(20, 300), st.sampled_from([0.35, 0.5, 0.75, 1.0, 1.25]))
def test_parse_is_the_inverse_of_key_for_published_networks(name: str, resolution: int, width: float) -> None:
    ops = lower(reference(name, width, resolution))
    assert [Op.parse(op.key) for op in ops] == ops


@pytest.mark.parametrize(
    "key", ["", "mbconv", "conv-1x1x1-1-k1-s1-e0-se0-swish-none", "pool-7x7x8-8-k1-s1-e0-se0-linear"]
)
def test_parse_refuses_other_words_with_an_example(key: str) -> None:
    with pytest.raises(ValueError, match="is not an Op; an example: mbconv-56x56x24-24-k3") as caught:
        Op.parse(key)
    assert repr(key) in str(caught.value)


def test_an_inverted_residual_expands_filters_squeezes_and_projects() -> None:
    op = Op("mbconv", 28, 28, 24, 40, 5, 2, 96, SqueezeExcite(24, "hard_sigmoid"), "hswish", "none")
    assert op.convolutions() == [
        Conv("expand", 24, 96, 1, 1, 1, 28, 28, True, "hswish"),
        Conv("depthwise", 96, 96, 5, 2, 96, 14, 14, True, "hswish"),
        Conv("squeeze", 96, 24, batch_norm=False, activation="relu"),
        Conv("excite", 24, 96, batch_norm=False, activation="hard_sigmoid"),
        Conv("project", 96, 40, 1, 1, 1, 14, 14, True, None),
    ]


def test_without_a_wider_inside_there_is_no_expansion() -> None:
    assert [conv.role for conv in Op("mbconv", 8, 8, 16, 16, 3, 1, 16).convolutions()] == ["depthwise", "project"]


def test_a_full_convolution_can_carry_squeeze_and_excite() -> None:
    convs = Op("conv", 8, 8, 4, 12, 3, 2, se=SqueezeExcite(1, "sigmoid"), activation="relu").convolutions()
    assert convs == [
        Conv("full", 4, 12, 3, 2, 1, 4, 4, True, "relu"),
        Conv("squeeze", 12, 1, batch_norm=False, activation="relu"),
        Conv("excite", 1, 12, batch_norm=False, activation="sigmoid"),
    ]


def test_pools_have_no_convolutions_and_linear_layers_one_with_bias() -> None:
    assert Op("pool", 7, 7, 8, 8).convolutions() == []
    (linear,) = Op("linear", 1, 1, 64, 10).convolutions()
    assert (linear.weights, linear.macs, linear.bias) == (640, 640, True)


@given(st.sampled_from(shipped_spaces()), st.integers(0, 2**32))
def test_networks_of_spaces_can_always_be_lowered(name: str, seed: int) -> None:
    space = load_space(name)
    arch = space.decode(space.sample(random.Random(seed)))
    ops = lower(arch)
    assert len(ops) == len(arch.blocks) + (5 if arch.head.hidden_channels else 4)
    assert ops[-1].out_channels == arch.classes
