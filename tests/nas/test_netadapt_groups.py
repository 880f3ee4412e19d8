"""Width groups: what may be narrowed, what must go along, and how wide squeezes then are."""

import pytest

import search_spaces
from nas.netadapt.groups import targets, width_groups
from nas.netadapt.squeeze import squeeze_rule
from search_spaces import Arch, Block, BlockKind, Conv, Head, InputError, SqueezeExcite, Stem, reference, register_kind


@pytest.fixture
def kinds(monkeypatch):
    """Let a test register kinds of its own, which are gone behind it."""
    monkeypatch.setattr("search_spaces.kinds._kinds", dict(search_spaces.kinds._kinds))


def small(*blocks, stem=16):
    return Arch("small", 32, 10, Stem(stem), blocks, Head(32))


def names(arch):
    return [group.name for group in targets(arch)]


@pytest.mark.parametrize(
    ("name", "expansions", "bottlenecks"),
    [
        # Howard et al. 2019, tables 1 and 2: all blocks but the first have a wider expansion
        ("mobilenet_v3_large", 14, [16, 24, 40, 80, 112, 160]),
        ("mobilenet_v3_small", 10, [16, 24, 40, 48, 96]),
        # Tan et al. 2019, figure 7a
        ("mnasnet_a1", 15, [16, 24, 40, 80, 112, 160, 320]),
    ],
)
def test_targets_are_the_expansions_and_the_widths_of_the_residual_chains(name, expansions, bottlenecks):
    arch = reference(name)
    groups = targets(arch)
    assert len([group for group in groups if not group.outputs]) == expansions
    assert [group.width(arch) for group in groups if group.outputs] == bottlenecks


def test_the_stem_is_in_the_group_of_the_first_residual_and_of_the_depthwise_layers_on_its_channels():
    group = targets(reference("mobilenet_v3_large"))[0]
    assert group.name == "bottleneck of stem and block 0"
    assert group.layers == ("stem", "blocks.0.depthwise", "blocks.0.project")
    assert group.makers == ("stem", "blocks.0.project")


def test_a_stem_without_a_residual_is_no_target():
    small_net = reference("mobilenet_v3_small")
    assert not any(group.stem for group in targets(small_net))
    (stem,) = [group for group in width_groups(small_net) if group.stem]
    assert stem.layers == ("stem", "blocks.0.depthwise", "blocks.0.excite")


def test_equal_widths_without_a_residual_are_groups_of_their_own():
    arch = small(Block("conv", 24, 3, 2), Block("conv", 24, 3, 1), Block("conv", 24, 3, 1, skip="identity"))
    assert names(arch) == ["bottleneck of block 0", "bottleneck of blocks 1, 2"]


def test_a_pool_skip_joins_as_an_identity_does():
    arch = small(Block("conv", 24, 3, 1), Block("mbconv", 24, 3, 2, 48, skip="pool"))
    assert names(arch) == ["bottleneck of blocks 0, 1", "expansion of block 1"]


def test_resizing_takes_an_unexpanded_block_behind_along():
    arch = small(Block("conv", 24, 3, 1), Block("mbconv", 32, 3, 1, 24))
    (group, _) = targets(arch)
    resized = group.resized(arch, 16)
    assert [(block.out_channels, block.expanded) for block in resized.blocks] == [(16, 0), (32, 16)]


def test_kinds_that_put_channels_behind_others_are_refused(kinds):
    def doubling(op):
        half = op.out_channels // 2
        size = (op.out_height, op.out_width)
        return [
            Conv("first", op.in_channels, half, 1, op.stride, 1, *size),
            Conv("cheap", half, half, 3, 1, half, *size, appends=True),
        ]

    register_kind(BlockKind("doubling", doubling, expands=False))
    with pytest.raises(InputError, match="block 0 is of kind 'doubling', whose layer 'cheap' puts its channels behind"):
        targets(small(Block("doubling", 24, 3, 1)))


def test_an_own_kind_with_several_layers_is_followed(kinds):
    def twice(op):
        size = (op.out_height, op.out_width)
        return [
            Conv("widen", op.in_channels, op.expanded, 3, 1, 1, op.height, op.width, activation=op.activation),
            Conv("narrow", op.expanded, op.out_channels, 3, op.stride, 1, *size),
        ]

    register_kind(BlockKind("twice", twice))
    arch = small(Block("twice", 16, 3, 1, 16, skip="identity"))
    assert names(arch) == ["bottleneck of stem and block 0", "expansion of block 0"]  # it is a layer at any width


def squeezes(arch):
    return [block.se.channels for block in arch.blocks if block.se]


def test_squeezes_of_mobilenet_v3_follow_the_expansion_rounded_to_8():
    arch = reference("mobilenet_v3_large")
    group = next(group for group in targets(arch) if group.name == "expansion of block 3")
    # 48 / 4 = 12 -> (12 + 4) // 8 * 8 = 16
    assert squeezes(squeeze_rule(arch)(group.resized(arch, 48)))[0] == 16


def test_squeezes_of_mnasnet_follow_the_blocks_input():
    arch = reference("mnasnet_a1")
    group = next(group for group in targets(arch) if group.name == "bottleneck of blocks 3, 4, 5")
    before, after = squeezes(arch), squeezes(squeeze_rule(arch)(group.resized(arch, 32)))
    assert before[:3] == [6, 10, 10]  # 24 / 4, 40 / 4
    assert after == [6, 8, 8, *before[3:]]


def test_squeezes_of_no_known_rule_keep_their_share_of_the_block():
    arch = small(Block("mbconv", 24, 3, 1, 48, SqueezeExcite(24, "sigmoid")))
    group = targets(arch)[0]
    assert group.name == "expansion of block 0"
    assert squeeze_rule(arch)(arch) == arch
    # half of 32
    assert squeezes(squeeze_rule(arch)(group.resized(arch, 32))) == [16]
