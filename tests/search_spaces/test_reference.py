"""Published networks: their channels at every width, to the published code's rounding."""

import pytest

from search_spaces import Arch, Block, Head, InputError, Stem, count, reference, references
from search_spaces.reference import check_resolution

# expanded/out, sN: squeeze-and-excite to N channels; the public code's widths for Howard et al. 2019, table 9
LARGE = {
    0.35: "8 | 8/8 32/8 24/8 24/16s8 48/16s16 48/16s16 96/32 80/32 72/32 72/32 192/40s48 240/40s64 240/56s64"
    " 336/56s88 336/56s88 | 336 1280",
    0.5: "8 | 8/8 32/16 48/16 48/24s16 72/24s24 72/24s24 144/40 104/40 96/40 96/40 240/56s64 336/56s88 336/80s88"
    " 480/80s120 480/80s120 | 480 1280",
    0.75: "16 | 16/16 64/24 72/24 72/32s24 96/32s24 96/32s24 192/64 160/64 144/64 144/64 384/88s96 528/88s136"
    " 528/120s136 720/120s184 720/120s184 | 720 1280",
    1.0: "16 | 16/16 64/24 72/24 72/40s24 120/40s32 120/40s32 240/80 200/80 184/80 184/80 480/112s120 672/112s168"
    " 672/160s168 960/160s240 960/160s240 | 960 1280",
    1.25: "24 | 24/24 96/32 96/32 96/48s24 144/48s40 144/48s40 288/104 264/104 240/104 240/104 624/144s160"
    " 864/144s216 864/200s216 1200/200s304 1200/200s304 | 1200 1280",
}
SMALL = {
    0.35: "8 | 8/8s8 40/8 32/8 32/16s8 96/16s24 96/16s24 48/16s16 48/16s16 96/32s24 192/32s48 192/32s48 | 200 1024",
    0.5: "8 | 8/8s8 40/16 56/16 64/24s16 144/24s40 144/24s40 72/24s24 72/24s24 144/48s40 288/48s72 288/48s72"
    " | 288 1024",
    0.75: "16 | 16/16s8 72/24 88/24 96/32s24 192/32s48 192/32s48 96/40s24 120/40s32 240/72s64 432/72s112 432/72s112"
    " | 432 1024",
    1.0: "16 | 16/16s8 72/24 88/24 96/40s24 240/40s64 240/40s64 120/48s32 144/48s40 288/96s72 576/96s144 576/96s144"
    " | 576 1024",
    # 1280 in place of 1024 after the pool: the published 3.6 M parameters need it
    1.25: "24 | 24/24s8 112/32 120/32 128/48s32 288/48s72 288/48s72 144/64s40 192/64s48 384/120s96 720/120s184"
    " 720/120s184 | 720 1280",
}


def channels(arch: Arch) -> str:
    """Write a network's channels as above."""

    def word(block: Block) -> str:
        return f"{block.expanded}/{block.out_channels}" + (f"s{block.se.channels}" if block.se else "")

    blocks = " ".join(word(block) for block in arch.blocks)
    return f"{arch.stem.channels} | {blocks} | {arch.head.conv_channels} {arch.head.hidden_channels}"


@pytest.mark.parametrize("width", sorted(LARGE))
def test_mobilenet_v3_large_has_its_channels_at_every_width(width: float) -> None:
    assert channels(reference("mobilenet_v3_large", width)) == LARGE[width]


@pytest.mark.parametrize("width", sorted(SMALL))
def test_mobilenet_v3_small_has_its_channels_at_every_width(width: float) -> None:
    assert channels(reference("mobilenet_v3_small", width)) == SMALL[width]


def test_mobilenet_v3_large_has_hswish_from_80_channels_on() -> None:
    arch = reference("mobilenet_v3_large")
    assert [block.activation for block in arch.blocks] == ["relu"] * 6 + ["hswish"] * 9
    assert (arch.stem.activation, arch.head.activation) == ("hswish", "hswish")


def test_mobilenet_v3_small_has_its_kernels_strides_and_skips() -> None:
    blocks = reference("mobilenet_v3_small").blocks
    assert [block.kernel for block in blocks] == [3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5]
    assert [block.stride for block in blocks] == [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1]
    # a skip wherever the stride is 1 and the width stays: 24, 40, 40, 48, 96, 96
    assert [index for index, block in enumerate(blocks) if block.skip == "identity"] == [2, 4, 5, 7, 9, 10]


def test_mnasnet_squeezes_to_a_quarter_of_the_blocks_input() -> None:
    # Tan et al. 2019's code: the third stage of A1 receives 24, then 40 and 40 channels
    gates = [block.se for block in reference("mnasnet_a1").blocks[3:6]]
    assert [(gate.channels, gate.gate) for gate in gates if gate] == [(6, "sigmoid"), (10, "sigmoid"), (10, "sigmoid")]


def test_width_leaves_mobilenet_v2s_last_layer_unless_it_grows() -> None:
    assert reference("mobilenet_v2", 0.5).head.conv_channels == 1280
    assert reference("mobilenet_v2", 1.4).head.conv_channels == 1792  # 1280 * 1.4


def test_resolution_and_classes_are_taken_over() -> None:
    arch = reference("proxyless_mobile", resolution=160, classes=7)
    assert (arch.name, arch.resolution, arch.classes) == ("proxyless_mobile", 160, 7)


def test_an_unknown_network_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError) as caught:
        reference("mobilenet_v4")
    assert str(caught.value) == (
        "unknown network 'mobilenet_v4'; known are mnasnet_a1, mnasnet_b1, mnasnet_small, mobilenet_v2, "
        "mobilenet_v3_large, mobilenet_v3_small, proxyless_mobile"
    )


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf"), 1e300])
def test_a_width_that_no_network_has_is_refused(width: float) -> None:
    with pytest.raises(InputError, match="width must be above 0 and at most 16, got"):
        reference("mobilenet_v2", width)


def test_every_published_network_has_a_key_of_its_own() -> None:
    assert len({reference(name).key for name in references()}) == 7


# torchvision 0.24 itself, built and walked: parameters, multiply-accumulates at 224 px
TORCHVISION = [
    ("mobilenet_v3_large", 1.25, 8_164_744, 343_461_000),
    ("mobilenet_v3_large", 1.0, 5_483_032, 216_589_760),
    ("mobilenet_v3_large", 0.75, 3_377_576, 140_033_816),
    ("mobilenet_v3_large", 0.5, 1_734_576, 64_962_192),
    ("mobilenet_v3_large", 0.35, 997_064, 35_278_408),
    ("mobilenet_v3_large", 0.2, 446_400, 17_789_064),
    ("mobilenet_v3_small", 1.25, 3_644_912, 88_155_944),
    ("mobilenet_v3_small", 1.0, 2_542_856, 56_510_400),
    ("mobilenet_v3_small", 0.75, 1_653_920, 39_115_576),
    ("mobilenet_v3_small", 0.5, 917_264, 18_970_736),
    ("mobilenet_v3_small", 0.35, 558_744, 11_238_936),
    ("mobilenet_v3_small", 0.2, 295_472, 7_268_696),
    ("mobilenet_v2", 1.4, 6_108_776, 582_195_824),
    ("mobilenet_v2", 0.35, 1_677_128, 59_285_808),
    ("mnasnet_b1", 1.3, 6_282_256, 526_362_432),
    ("mnasnet_b1", 0.75, 3_170_208, 215_493_104),
    ("mnasnet_b1", 0.5, 2_218_512, 104_455_968),
]


@pytest.mark.parametrize(("name", "width", "params", "macs"), TORCHVISION)
def test_torchvisions_rule_gives_torchvisions_counts(name: str, width: float, params: int, macs: int) -> None:
    counted = count(reference(name, width, rule="torchvision"))
    assert (counted.params, counted.macs) == (params, macs)


def test_torchvisions_rule_scales_each_width_by_itself() -> None:
    # 72 * 0.75 = 54 -> 56, 120 * 0.75 = 90 -> 88, 160 * 0.75 = 120 and six times that, 1280 * 0.75 = 960
    arch = reference("mobilenet_v3_large", 0.75, rule="torchvision")
    assert [arch.blocks[index].expanded for index in (2, 4)] == [56, 88]
    assert (arch.head.conv_channels, arch.head.hidden_channels) == (720, 960)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2", "mnasnet_b1"])
def test_at_width_1_both_rules_give_one_network(name: str) -> None:
    assert reference(name, rule="torchvision") == reference(name)


def test_a_rule_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError) as caught:
        reference("mobilenet_v2", rule="keras")  # type: ignore[arg-type]
    assert str(caught.value) == "rule must be paper or torchvision, got 'keras'"


def test_a_network_that_torchvision_has_not_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        reference("proxyless_mobile", rule="torchvision")
    assert str(caught.value) == (
        "torchvision has no proxyless_mobile; rule 'torchvision' is for mnasnet_b1, mobilenet_v2, mobilenet_v3_large, "
        "mobilenet_v3_small"
    )


def test_a_width_that_leaves_nothing_of_a_layer_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        reference("mobilenet_v3_large", 0.05)  # 16 channels * 0.05 = 0.8
    assert str(caught.value) == (
        "width 0.05 leaves nothing of mobilenet_v3_large's layers of 16 channels; give at least 0.0625"
    )
    assert reference("mobilenet_v3_large", 0.0625).stem.channels == 8


def test_a_resolution_that_is_too_small_for_the_strides_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        reference("mobilenet_v3_small", resolution=16)  # 16, 8, 4, 2, 1: nothing left for the fifth
    assert str(caught.value) == (
        "a resolution of 16 is too small for 'mobilenet_v3_small': its 5 strides leave single pixels before the last "
        "of them; give 17 or more, or drop strides with proxy_arch"
    )
    assert reference("mobilenet_v3_small", resolution=17).resolution == 17  # 17, 9, 5, 3, 2, 1


def test_a_network_without_strides_takes_any_image() -> None:
    check_resolution(Arch("flat", 1, 2, Stem(8, stride=1), (Block("conv", 8, 3, 1),), Head(8)))
