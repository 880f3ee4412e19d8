"""The improvements as transforms, against the figures of Howard et al. 2019, sections 5.1 to 5.3 and table 5."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Arch, Block, Head, InputError, SqueezeExcite, Stem, count, load_space, reference, references
from search_spaces.transforms import (
    efficient_last_stage,
    original_last_stage,
    place_activation,
    with_squeeze,
    with_stem,
)

LARGE = reference("mobilenet_v3_large", classes=1001)
GATE = SqueezeExcite(4, "sigmoid")


def tiny(*blocks: Block, head: Head) -> Arch:
    return Arch("tiny", 32, 10, Stem(8), blocks, head)


def macs_saved(before: Arch, after: Arch) -> int:
    return count(before).macs - count(after).macs


def test_the_efficient_last_stage_saves_34_million() -> None:
    # at 7x7: depthwise 9*960, projection 960*320, features 320*1280; less 960*1280 behind the pool
    assert macs_saved(original_last_stage(LARGE), LARGE) == 49 * (9 * 960 + 960 * 320 + 320 * 1280) - 960 * 1280
    assert macs_saved(original_last_stage(LARGE), LARGE) == 34_317_760  # published: "30 millions"
    assert round(macs_saved(original_last_stage(LARGE, kernel=5), LARGE) / 1e6, 1) == 35.1


def test_the_original_last_stage_is_that_of_figure_5() -> None:
    arch = original_last_stage(LARGE)
    assert arch.blocks[:-1] == LARGE.blocks
    assert arch.blocks[-1] == Block("mbconv", 320, 3, 1, 960, None, "hswish")
    assert arch.head == Head(1280, 0, "hswish")


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
@pytest.mark.parametrize("width", [0.35, 1.0, 1.25])
def test_the_efficient_last_stage_undoes_the_original_one(name: str, width: float) -> None:
    arch = reference(name, width)
    assert efficient_last_stage(original_last_stage(arch)) == arch


def test_mobilenet_v2_with_the_efficient_last_stage_keeps_its_expansion_and_its_features() -> None:
    arch = efficient_last_stage(reference("mobilenet_v2"))
    assert (len(arch.blocks), arch.blocks[-1].out_channels) == (16, 160)
    assert arch.head == Head(960, 1280, "relu6")


@given(st.sampled_from(["mnasnet", "mnasnet_small"]), st.integers(0, 2**32))
def test_what_a_search_emits_takes_the_efficient_last_stage_or_is_told_why_not(name: str, seed: int) -> None:
    space = load_space(name)
    arch = space.decode(space.sample(random.Random(seed)))
    last, before = arch.blocks[-1], arch.blocks[-2].out_channels
    if last.kind == "mbconv" and last.expanded > before:
        changed = efficient_last_stage(arch)
        assert changed.head == Head(last.expanded, arch.head.conv_channels, arch.head.activation)
    else:
        with pytest.raises(InputError, match="takes the place of an inverted residual that expands"):
            efficient_last_stage(arch)


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        (LARGE, "network 'mobilenet_v3_large' has a layer behind the pool already: its last stage is efficient"),
        (
            tiny(Block("mbconv", 8, 3, 1, 24), Block("mbconv", 16, 3, 2, 24), head=Head(64)),
            "the efficient last stage takes the place of an inverted residual that expands, at stride 1, behind other "
            "blocks; network 'tiny' ends in mbconv of 24 channels for 8, at stride 2",
        ),
        (
            tiny(Block("mbconv", 16, 3, 1, 24), head=Head(64)),
            "the efficient last stage takes the place of an inverted residual that expands, at stride 1, behind other "
            "blocks; network 'tiny' has no other block",
        ),
    ],
)
def test_a_network_that_cannot_have_the_efficient_last_stage_is_refused(arch: Arch, said: str) -> None:
    with pytest.raises(InputError) as caught:
        efficient_last_stage(arch)
    assert str(caught.value) == said


def test_a_network_that_has_the_original_last_stage_is_refused_it() -> None:
    with pytest.raises(InputError) as caught:
        original_last_stage(reference("mnasnet_a1"))
    assert str(caught.value) == (
        "network 'mnasnet_a1' has no layer behind the pool: its last stage is the original one"
    )


def test_a_stem_of_16_filters_saves_10_million() -> None:
    # at 112x112, 16 channels fewer: stem 27, depthwise 9, projection 16 for each
    assert macs_saved(with_stem(LARGE, 32), LARGE) == 112 * 112 * 16 * (27 + 9 + 16)
    assert macs_saved(with_stem(LARGE, 32), LARGE) == 10_436_608  # published: 10 M


def test_a_stem_as_wide_as_the_first_block_gives_it_its_skip() -> None:
    wide = with_stem(LARGE, 32)
    assert (wide.stem.channels, wide.blocks[0].expanded, wide.blocks[0].skip) == (32, 32, "none")
    assert wide.blocks[1:] == LARGE.blocks[1:]
    assert with_stem(wide, 16) == LARGE


def test_a_stem_leaves_a_first_block_that_expands_or_strides_as_it_is() -> None:
    expands = tiny(Block("mbconv", 16, 3, 1, 48), head=Head(64))
    assert with_stem(expands, 16).blocks[0] == Block("mbconv", 16, 3, 1, 48, skip="identity")
    strides = tiny(Block("conv", 16, 3, 2), head=Head(64))
    assert with_stem(strides, 16).blocks == strides.blocks


def test_a_first_block_that_was_given_no_skip_is_given_none_by_the_same_stem() -> None:
    chosen = tiny(Block("mbconv", 8, 3, 1, 24), head=Head(64))
    assert with_stem(chosen, 8) == chosen


@pytest.mark.parametrize("name", references())
def test_the_stem_that_is_there_changes_nothing(name: str) -> None:
    arch = reference(name)
    assert with_stem(arch, arch.stem.channels) == arch


@pytest.mark.parametrize(
    ("of", "params_m", "macs_m"),
    [("input", 4.230, 215.34), ("expansion", 5.484, 216.59), ("none", 3.972, 215.08)],  # counted on public code
)
def test_squeezes_of_three_kinds_have_their_counts(of: str, params_m: float, macs_m: float) -> None:
    counted = count(with_squeeze(LARGE, of))  # type: ignore[arg-type]
    assert (round(counted.params / 1e6, 3), round(counted.macs / 1e6, 2)) == (params_m, macs_m)


def test_squeezes_are_a_quarter_of_what_they_are_of() -> None:
    arch = tiny(Block("mbconv", 16, 3, 1, 72, GATE), Block("conv", 40, 3, 1, 0, GATE), head=Head(64))

    def widths(changed: Arch) -> list[int]:
        return [block.se.channels for block in changed.blocks if block.se]

    assert widths(with_squeeze(arch, "expansion")) == [24, 16]  # 72/4 = 18 -> 24; of the output: 40/4 = 10 -> 16
    assert widths(with_squeeze(arch, "input")) == [2, 4]  # of 8 and 16
    assert widths(with_squeeze(arch, "none")) == []


def test_squeezes_of_the_published_networks_are_those_of_their_papers() -> None:
    assert with_squeeze(LARGE, "expansion") == LARGE
    a1 = reference("mnasnet_a1")
    assert with_squeeze(a1, "input") == a1


def test_blocks_without_a_squeeze_stay_without() -> None:
    assert with_squeeze(reference("mobilenet_v2"), "expansion") == reference("mobilenet_v2")


def test_a_squeeze_of_something_else_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        with_squeeze(LARGE, "output")  # type: ignore[arg-type]
    assert str(caught.value) == "a squeeze is of the expansion, input or none, got 'output'"


@pytest.mark.parametrize(
    ("placement", "elements"),
    [  # a walk of public code: 3.824, 1.510 and 1.052 M on maps; and on the 1280 features behind the pool
        ("relu", 0),
        ("hswish@16", 3_824_352 + 1_280),
        ("hswish@80", 1_509_984 + 1_280),
        ("hswish@112", 1_052_128 + 1_280),
    ],
)
def test_the_rows_of_table_5_differ_in_their_h_swishes_only(placement: str, elements: int) -> None:
    counted = count(place_activation(LARGE, placement))
    assert (counted.hswish_elements, counted.macs, counted.params) == (elements, 216_591_040, 5_484_313)


def test_mobilenet_v3_large_is_hswish_at_80() -> None:
    assert place_activation(LARGE, "hswish@80") == LARGE


def test_relu_is_everywhere_and_without_it_stem_and_head_have_h_swish() -> None:
    relu = place_activation(reference("mobilenet_v2"), "relu")
    assert {relu.stem.activation, relu.head.activation, *(block.activation for block in relu.blocks)} == {"relu"}
    late = place_activation(relu, "hswish@1000")
    assert (late.stem.activation, late.head.activation) == ("hswish", "hswish")
    assert late.blocks == relu.blocks


@pytest.mark.parametrize("placement", ["hswish", "hswish@", "hswish@-1", "relu@80", "swish@80", ""])
def test_a_placement_that_is_none_is_refused(placement: str) -> None:
    with pytest.raises(InputError) as caught:
        place_activation(LARGE, placement)
    assert str(caught.value) == (
        f"placement must be relu or hswish@N, N a number of channels (hswish@80), got {placement!r}"
    )


@given(st.sampled_from(["mnasnet", "mnasnet_small", "mobilenet_v3"]), st.integers(0, 2**32))
def test_every_transform_takes_any_network_of_a_space(name: str, seed: int) -> None:
    space = load_space(name)
    arch = space.decode(space.sample(random.Random(seed)))
    for changed in (
        with_stem(arch, 24),
        with_squeeze(arch, "expansion"),
        with_squeeze(arch, "none"),
        place_activation(arch, "hswish@80"),
    ):
        assert (changed.name, len(changed.blocks)) == (arch.name, len(arch.blocks))
        assert [block.out_channels for block in changed.blocks] == [block.out_channels for block in arch.blocks]
