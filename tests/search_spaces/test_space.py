"""Spaces as products of decisions: tokens in, networks out, and what can be said of all networks at once."""

import itertools
import math
import random
import re
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import (
    Arch,
    Block,
    Head,
    InputError,
    Op,
    SearchSpace,
    SqueezeExcite,
    Stem,
    count_op,
    load_space,
    lower,
    reference,
    shipped_spaces,
    space_from_dict,
)

TINY = """
name: tiny
resolution: 32
classes: 10
stem: {channels: 8}
stages:
  - {channels: 8, depth: [0, 1], op: [dconv, mbconv3], kernel: [3, 5]}
  - {channels: [8, 16], depth: [1, 2], stride: 2, op: [conv, mbconv2.5], se: [0, 0.25], skip: [identity, pool]}
head: {conv_expansion: [2, 4], hidden_channels: [0, 24], activation: hswish}
"""
SIZES = (2, 2, 2, 2, 2, 2, 2, 2, 2, 2)


def space(text: str = TINY) -> SearchSpace:
    data: dict[str, Any] = yaml.safe_load(text)
    return space_from_dict(data, "tiny.yaml")


def all_tokens(of: SearchSpace) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(size) for size in of.sizes)))


def test_only_what_leaves_a_choice_is_a_decision() -> None:
    assert [(decision.name, decision.choices) for decision in space().decisions] == [
        ("stage1.op", ("dconv", "mbconv3")),
        ("stage1.kernel", (3, 5)),
        ("stage1.depth", (0, 1)),
        ("stage2.op", ("conv", "mbconv2.5")),
        ("stage2.se", (0.0, 0.25)),
        ("stage2.skip", ("identity", "pool")),
        ("stage2.channels", (8, 16)),
        ("stage2.depth", (1, 2)),
        ("head.conv_expansion", (2.0, 4.0)),
        ("head.hidden_channels", (0, 24)),
    ]
    assert space().sizes == SIZES
    assert space().cardinality == 1024


def test_decode_builds_what_the_tokens_choose() -> None:
    # stage 1: mbconv3, kernel 5, one block: 8 * 3 = 24 inside, and a skip.
    # stage 2: mbconv2.5, SE, skip identity, 16 channels, two blocks. 8 * 2.5 = 20 -> 24 inside, a quarter is 6 -> 8;
    # then 16 * 2.5 = 40 inside, a quarter is 10 -> 16, since 8 would lose more than a tenth, and a skip.
    # head: 16 * 4 = 64, hidden 24.
    arch = space().decode((1, 1, 1, 1, 1, 0, 1, 1, 1, 1))
    assert arch == Arch(
        "tiny",
        32,
        10,
        Stem(8),
        (
            Block("mbconv", 8, 5, 1, 24, None, "relu", "identity"),
            Block("mbconv", 16, 3, 2, 24, SqueezeExcite(8, "hard_sigmoid"), "relu", "none"),
            Block("mbconv", 16, 3, 1, 40, SqueezeExcite(16, "hard_sigmoid"), "relu", "identity"),
        ),
        Head(64, 24, "hswish"),
    )


def test_decode_leaves_out_a_stage_of_depth_0() -> None:
    arch = space().decode((0,) * 10)
    assert arch.blocks == (Block("conv", 8, 3, 2),)
    assert arch.head == Head(16, 0, "hswish")


def test_a_pool_skip_goes_along_where_channels_stay_even_at_a_stride() -> None:
    assert space().decode((0, 0, 0, 0, 0, 1, 0, 0, 0, 0)).blocks == (Block("conv", 8, 3, 2, skip="pool"),)


def test_squeeze_and_excite_is_a_share_of_the_input_where_the_rules_say_so() -> None:
    text = TINY + "rules: {se_base: input, channel_multiple: 1, gate: sigmoid}\n"
    # stage 2 receives 8: a quarter is 2; inside 8 * 2.5 = 20, unrounded
    block = space(text).decode((0, 0, 0, 1, 1, 0, 1, 0, 0, 0)).blocks[0]
    assert (block.expanded, block.se) == (20, SqueezeExcite(2, "sigmoid"))


def test_widths_and_depth_deltas_change_the_base() -> None:
    text = """
name: tiny
stem: {channels: 8}
rules: {channel_multiple: 1}
stages: [{channels: 10, width: [0.75, 1.25], depth: 2, depth_delta: [-1, 0, 1, -5]}]
head: {conv_channels: 8}
"""
    blocks = [space(text).decode(tokens).blocks for tokens in [(0, 0), (0, 1), (1, 2), (1, 3)]]
    assert [len(of) for of in blocks] == [1, 2, 3, 1]  # never below one block
    assert [of[0].out_channels for of in blocks] == [7, 7, 12, 12]  # 7.5 and 12.5, cut off


@pytest.mark.parametrize("name", shipped_spaces())
@settings(max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_encode_finds_tokens_of_any_network_of_the_space(name: str, seed: int) -> None:
    shipped = load_space(name)
    arch = shipped.decode(shipped.sample(random.Random(seed)))
    assert shipped.decode(shipped.encode(arch)) == arch


def test_encode_finds_every_network_of_a_tiny_space() -> None:
    tiny = space()
    for tokens in all_tokens(tiny):
        arch = tiny.decode(tokens)
        assert tiny.decode(tiny.encode(arch)) == arch


def test_without_aliases_encode_is_the_inverse_of_decode() -> None:
    text = """
name: plain
aliases: false
stem: {channels: 8}
defaults: {kernel: [3, 5], op: [mbconv3, mbconv6], channels: [16, 24]}
stages: [{depth: [1, 2]}, {stride: 2}]
head: {conv_channels: [32, 64]}
"""
    plain = space(text)
    assert plain.cardinality == 2**8
    for tokens in all_tokens(plain):
        assert plain.encode(plain.decode(tokens)) == tokens


@pytest.mark.parametrize(
    "other",
    ["mobilenet_v2", "mobilenet_v3_small"],
)
def test_encode_refuses_a_network_that_is_no_point(other: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"network '{other}' is not a point of space 'mnasnet'")):
        load_space("mnasnet").encode(reference(other))


def test_a_wrong_number_of_tokens_is_named_with_the_right_one() -> None:
    with pytest.raises(InputError) as caught:
        load_space("mnasnet").decode((0,) * 5)
    assert str(caught.value) == "space 'mnasnet' takes 42 tokens, got 5"


@pytest.mark.parametrize("token", [-1, 2])
def test_a_token_out_of_range_is_named_with_its_decision(token: int) -> None:
    with pytest.raises(InputError) as caught:
        space().decode((0, 0, 0, 0, token, 0, 0, 0, 0, 0))
    assert str(caught.value) == f"token for stage2.se must be 0 to 1 in space 'tiny', got {token}"


def test_samples_depend_on_the_seed_alone_and_reach_every_choice() -> None:
    mnasnet = load_space("mnasnet")
    rng = random.Random(0)
    samples = [mnasnet.sample(rng) for _ in range(200)]
    again = random.Random(0)
    assert [mnasnet.sample(again) for _ in range(200)] == samples
    # at four choices the chance to miss one in 200 draws is below 1e-24
    assert [len(set(column)) for column in zip(*samples, strict=True)] == list(mnasnet.sizes)


def test_ops_are_exactly_those_of_all_networks() -> None:
    tiny = space()
    ops = tiny.ops()
    assert len(set(ops)) == len(ops)
    assert set(ops) == {op for tokens in all_tokens(tiny) for op in lower(tiny.decode(tokens))}


@pytest.mark.parametrize("name", shipped_spaces())
def test_ops_cover_random_networks(name: str) -> None:
    shipped = load_space(name)
    ops = set(shipped.ops())
    rng = random.Random(7)
    assert all(op in ops for _ in range(200) for op in lower(shipped.decode(shipped.sample(rng))))


def uneven(op: Op) -> float:
    """A cost without order: more of something can cost less."""
    return float(int.from_bytes(op.key.encode()[-24:], "big") * 2654435761 % 1009)


@pytest.mark.parametrize("cost", [lambda op: float(count_op(op).macs), uneven])
def test_extremes_are_those_of_all_networks(cost: Any) -> None:
    tiny = space()
    costs = {tokens: sum(cost(op) for op in lower(tiny.decode(tokens))) for tokens in all_tokens(tiny)}
    cheapest, dearest = tiny.extremes(cost)
    assert costs[cheapest] == min(costs.values())
    assert costs[dearest] == max(costs.values())


def test_pricing_adds_a_cost_up_over_the_ops_of_every_network() -> None:
    tiny = space()
    price = tiny.paths().pricing(lambda op: count_op(op).macs)
    for tokens in all_tokens(tiny):
        assert price(tokens) == sum(count_op(op).macs for op in lower(tiny.decode(tokens)))


@pytest.mark.parametrize("name", shipped_spaces())
def test_no_random_network_lies_beyond_the_extremes(name: str) -> None:
    shipped = load_space(name)

    def macs(tokens: tuple[int, ...]) -> int:
        return sum(count_op(op).macs for op in lower(shipped.decode(tokens)))

    cheapest, dearest = shipped.extremes(lambda op: count_op(op).macs)
    rng = random.Random(3)
    drawn = [macs(shipped.sample(rng)) for _ in range(100)]
    assert macs(cheapest) < min(drawn)
    assert macs(dearest) > max(drawn)


def test_cardinality_is_the_product_of_the_sizes() -> None:
    v3 = load_space("mobilenet_v3")
    assert v3.cardinality == math.prod(v3.sizes)


@pytest.mark.parametrize("times", [1, 3])
def test_covering_networks_hold_every_op_so_often(times: int) -> None:
    narrow = load_space("mobilenet_v3")
    networks = [lower(narrow.decode(tokens)) for tokens in narrow.paths().covering(times, random.Random(0))]
    held = Counter(op for ops in networks for op in set(ops))
    assert set(held) == set(narrow.ops())
    assert min(held.values()) >= times
    assert len(networks) < times * len(narrow.ops()) / 5  # each holds many that are still wanted
