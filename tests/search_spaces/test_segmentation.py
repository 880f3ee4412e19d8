"""Segmentation networks: tables 7 and 8 of Howard et al. 2019, torchvision's count, and what is refused."""

from dataclasses import replace

import pytest

from search_spaces import Op, SqueezeExcite, reference
from search_spaces.segmentation import (
    Segmenter,
    SegmenterError,
    count_segmenter,
    pool_grid,
    profiled_macs,
    segmentation_ops,
    segmentation_walk,
)
from search_spaces.strides import dilate, reduce_last_stage, strides

LARGE, SMALL, V2 = "mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2"

# network, width, RF2, head, F, multiply-adds in G, parameters in M, and by how much the latter may be off:
# the spec of row 3 misses by 1.07 %; row 10 prints 0.1685 as 0.16
TABLE_7 = [
    (V2, 1.0, False, "raspp", 256, 21.29, 2.11, 0.01),
    (V2, 1.0, True, "raspp", 256, 13.68, 1.15, 0.01),
    (V2, 1.0, True, "lraspp", 256, 12.83, 1.02, 0.011),
    (V2, 1.0, True, "lraspp", 128, 12.57, 0.98, 0.01),
    (LARGE, 1.0, False, "raspp", 256, 18.43, 3.60, 0.01),
    (LARGE, 1.0, True, "raspp", 256, 11.24, 1.76, 0.01),
    (LARGE, 1.0, True, "lraspp", 256, 10.33, 1.63, 0.01),
    (LARGE, 1.0, True, "lraspp", 128, 9.74, 1.51, 0.01),
    (V2, 0.5, True, "lraspp", 128, 4.00, 0.28, 0.01),
    (V2, 0.35, True, "lraspp", 128, 2.54, 0.16, 0.054),
    (SMALL, 1.0, True, "lraspp", 128, 2.90, 0.47, 0.01),
]
# network, output stride, multiply-adds in G at 1025x2049 and at 513x1025
TABLE_8 = [(LARGE, 16, 9.74, 2.48), (LARGE, 32, 7.74, 1.98), (SMALL, 16, 2.90, 0.74), (SMALL, 32, 2.06, 0.53)]


def segmenter(name: str = SMALL, width: float = 1.0, size: tuple[int, int] = (64, 96), **choices: object) -> Segmenter:
    return Segmenter(reference(name, width), 19, *size, **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "width", "reduced", "head", "filters", "giga", "mega", "off"), TABLE_7)
def test_table_7_is_reproduced(
    name: str, width: float, reduced: bool, head: str, filters: int, giga: float, mega: float, off: float
) -> None:
    model = segmenter(name, width, (1025, 2049), reduced=reduced, head=head, filters=filters)
    assert profiled_macs(model) / 1e9 == pytest.approx(giga, rel=0.01)
    assert count_segmenter(model).params / 1e6 == pytest.approx(mega, rel=off)


@pytest.mark.parametrize(("name", "stride", "full", "half"), TABLE_8)
def test_table_8_is_reproduced(name: str, stride: int, full: float, half: float) -> None:
    assert profiled_macs(segmenter(name, 1.0, (1025, 2049), output_stride=stride)) / 1e9 == pytest.approx(
        full, rel=0.01
    )
    assert profiled_macs(segmenter(name, 1.0, (513, 1025), output_stride=stride)) / 1e9 == pytest.approx(half, rel=0.01)


def test_torchvisions_count_is_exact() -> None:
    model = Segmenter(reference(LARGE), 21, 520, 520, reduced=False, variant="torchvision")
    assert count_segmenter(model).params == 3_221_538


def test_counting_by_the_profiler_adds_two_for_an_h_swish_one_for_a_gate_and_the_last_resize() -> None:
    model = segmenter(size=(64, 64), head="raspp", reduced=False, output_stride=32)
    # channels times pixels under h-swish, at 32, 4 and 2 pixels a side
    hswish = 16 * 32**2 + (96 * 8**2 + 96 * 4**2) + 2 * (2 * 240 * 4**2) + 2 * 120 * 4**2 + 2 * 144 * 4**2
    hswish += (288 * 4**2 + 288 * 2**2) + 2 * (2 * 576 * 2**2) + 576 * 2**2
    scaled = 16 * 16**2 + (96 + 240 + 240 + 120 + 144) * 4**2 + (288 + 576 + 576) * 2**2
    assert profiled_macs(model) - count_segmenter(model).macs == 2 * hswish + scaled + 64 * 64 * 19


def test_atrous_layers_keep_their_map_and_dilate_those_that_follow() -> None:
    arch = dilate(reference(SMALL), 16)
    assert strides(arch) == [4, 8, 8, 16, 16, 16, 16, 16, 16, 16, 16]
    assert [block.dilation for block in arch.blocks] == [1] * 9 + [2, 2]
    assert [block.dilation for block in dilate(reference(SMALL), 16, strided_too=True).blocks] == [1] * 8 + [2] * 3
    assert dilate(reference(SMALL), 32) == reference(SMALL)


def test_dilation_grows_with_every_stride_that_is_dropped() -> None:
    arch = dilate(reference(SMALL), 8)
    assert [block.dilation for block in arch.blocks] == [1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4]


def test_a_reduced_last_stage_halves_mobilenet_v3s_expansions_and_squeezes() -> None:
    arch = reduce_last_stage(reference(LARGE))
    assert [(block.expanded, block.out_channels) for block in arch.blocks[12:]] == [(336, 80), (480, 80), (480, 80)]
    assert [block.se for block in arch.blocks[12:]] == [SqueezeExcite(n, "hard_sigmoid") for n in (88, 120, 120)]
    assert arch.head.conv_channels == 480
    assert arch.blocks[:12] == reference(LARGE).blocks[:12]


def test_a_reduced_last_stage_keeps_the_expansion_ratio_of_other_networks() -> None:
    blocks = reduce_last_stage(reference(V2)).blocks[13:]
    assert [(block.expanded, block.out_channels) for block in blocks] == [(576, 80), (480, 80), (480, 80), (480, 160)]


def test_the_ops_of_a_small_network_are_those_of_the_figure() -> None:
    ops = segmentation_ops(segmenter(size=(65, 97)))
    assert ops[0] == Op("conv", 65, 97, 3, 16, 3, 2, activation="hswish")
    gate = SqueezeExcite(72, "hard_sigmoid")
    assert ops[11] == Op("mbconv", 5, 7, 48, 48, 5, 1, 288, gate, "hswish", "identity", 2)
    assert ops[12:] == [
        Op("conv", 5, 7, 48, 288, activation="hswish"),
        Op("conv", 5, 7, 288, 128, activation="relu"),
        Op("linear", 1, 1, 288, 128),
        Op("linear", 9, 13, 128, 19),
        Op("linear", 9, 13, 88, 19),  # the depthwise convolution of the last block at stride 8
    ]


def test_the_pool_of_lr_aspp_leaves_two_by_five_of_a_cityscapes_image() -> None:
    assert pool_grid(segmenter(), 65, 129) == (2, 5)
    assert pool_grid(segmenter(), 33, 65) == (1, 1)  # lower than the window of 49


def test_networks_with_one_layer_behind_the_pool_end_in_their_last_block() -> None:
    assert segmentation_walk(segmenter(V2)).last is None
    assert segmentation_walk(segmenter(V2)).features.in_channels == 160
    assert segmentation_walk(segmenter(SMALL)).last == Op("conv", 4, 6, 48, 288, activation="hswish")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"size": (31, 96)}, "images of 31x96 pixels leave less than 2x2 at output stride 16; .* at least 32"),
        ({"size": (63, 96), "output_stride": 32}, "output stride 32; both sides must be at least 64"),
        ({"output_stride": 8}, "the output stride must be 16 or 32, got 8"),
        ({"head": "aspp"}, "the head must be one of lraspp, raspp, got 'aspp'"),
        ({"variant": "timm"}, "the variant must be one of paper, torchvision, got 'timm'"),
        ({"variant": "torchvision", "head": "raspp"}, "the torchvision variant is of the head lraspp only"),
        ({"filters": 0}, "at least 2 classes and 1 filter are needed, got 19 and 0"),
    ],
)
def test_choices_that_do_not_fit_are_refused(choices: dict[str, object], message: str) -> None:
    with pytest.raises(SegmenterError, match=message):
        segmenter(**choices)  # type: ignore[arg-type]


def test_a_backbone_without_the_stride_that_the_head_needs_is_refused() -> None:
    small = reference(SMALL)
    without_8 = replace(small, blocks=(replace(small.blocks[0], stride=8), *small.blocks[3:]))
    with pytest.raises(
        SegmenterError, match=r"has no block of stride 8, which this head needs; its blocks have 16, 32, 64"
    ):
        Segmenter(without_8, 19, 64, 64)
    short = replace(small, blocks=small.blocks[:8])
    with pytest.raises(SegmenterError, match=r"has no block of stride 32, .*; its blocks have 4, 8, 16"):
        Segmenter(short, 19, 64, 64)
    assert Segmenter(short, 19, 64, 64, reduced=False).low_block == 2
