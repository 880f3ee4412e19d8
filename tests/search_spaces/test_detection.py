"""Detectors: table 6 of Howard et al. 2019, where C4 is, the halved last stage, and what is refused."""

from dataclasses import replace

import pytest

from search_spaces import Arch, Block, FileError, Head, InputError, Op, Stem, count_op, reference, space_from_dict
from search_spaces.detection import (
    Detector,
    DetectorError,
    count_detector,
    detection_ops,
    detection_walk,
    reduce_behind,
    reference_detector,
    ssdlite,
    strided_conv,
)

LARGE, SMALL, V2, MNASNET = "mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2", "mnasnet_a1"

# network, width, halved; multiply-adds in G and parameters in M, published; by how much the former may be off: one unit
# of the last digit where that is more than 1 %. V3's 0.62 is 0.6205 with what a profiler counts of its h-swishes.
TABLE_6 = [
    (LARGE, 1.0, False, 0.62, 4.97, 0.0112),
    (LARGE, 1.0, True, 0.51, 3.22, 0.01),
    (SMALL, 1.0, False, 0.21, 2.49, 0.01),
    (SMALL, 1.0, True, 0.16, 1.77, 0.0145),
    (V2, 0.35, False, 0.16, 0.93, 0.042),
    (V2, 0.5, False, 0.27, 1.54, 0.01),
    (MNASNET, 1.0, False, 0.84, 4.88, 0.01),
    (MNASNET, 0.35, False, 0.18, 1.02, 0.0146),
    (MNASNET, 0.5, False, 0.29, 1.68, 0.01),
]


@pytest.mark.parametrize(("name", "width", "reduced", "giga", "mega", "off"), TABLE_6)
def test_table_6_is_reproduced(name: str, width: float, reduced: bool, giga: float, mega: float, off: float) -> None:
    counted = count_detector(reference_detector(name, width, reduced=reduced))
    folded = counted.batch_norm_channels if name == MNASNET else 0  # its rows count a folded batch norm, others none
    assert counted.macs / 1e9 == pytest.approx(giga, rel=off)
    assert (counted.weights + counted.biases + folded) / 1e6 == pytest.approx(mega, rel=0.01)


def test_the_row_of_mobilenet_v2_has_the_parameters_that_the_specification_names() -> None:
    counted = count_detector(reference_detector(V2))
    assert counted.macs == 804_397_504  # 0.80 G
    assert counted.weights + counted.biases == 4_449_791  # published 4.3 M: an older configuration of the head


@pytest.mark.parametrize(
    ("name", "tap", "channels"), [(LARGE, 12, 672), (SMALL, 8, 288), (V2, 13, 576), (MNASNET, 12, 672)]
)
def test_c4_is_the_expansion_of_the_block_that_goes_to_stride_32(name: str, tap: int, channels: int) -> None:
    detector = reference_detector(name)
    first = detection_walk(detector).boxes[0]
    assert detector.tap == tap
    assert (first.height, first.width, first.in_channels) == (20, 20, channels)


def test_the_maps_shrink_from_20_to_1_at_320_pixels() -> None:
    walk = detection_walk(reference_detector(LARGE))
    assert [op.height for op in walk.scores] == [20, 10, 5, 3, 2, 1]
    assert [op.in_channels for op in walk.scores] == [672, 960, 512, 256, 256, 128]
    assert [op.out_channels for op in walk.boxes] == [12, 24, 24, 24, 24, 24]  # 4 for 3 anchors, then for 6
    assert [op.out_channels for op in walk.scores] == [273, 546, 546, 546, 546, 546]  # 91 each


def test_an_extra_layer_is_three_convolutions_under_relu6() -> None:
    narrow, halve = detection_walk(reference_detector(LARGE)).extras[0]
    found = [
        (
            conv.kernel,
            conv.stride,
            conv.in_channels,
            conv.out_channels,
            conv.depthwise,
            conv.activation,
            conv.batch_norm,
        )
        for conv in [*narrow.convolutions(), *halve.convolutions()]
    ]
    assert found == [
        (1, 1, 960, 256, False, "relu6", True),
        (3, 2, 256, 256, True, "relu6", True),
        (1, 1, 256, 512, False, "relu6", True),
    ]


def test_a_predictor_ends_in_a_convolution_with_a_bias_and_nothing_more() -> None:
    depthwise, predict = Op("predictor", 5, 5, 16, 24, 3, activation="relu6").convolutions()
    assert (depthwise.kernel, depthwise.depthwise, depthwise.batch_norm) == (3, True, True)
    assert (predict.kernel, predict.batch_norm, predict.bias, predict.activation) == (1, False, True, None)
    counted = count_op(Op("predictor", 5, 5, 16, 24, 3, activation="relu6"))
    assert (counted.weights, counted.biases, counted.macs) == (9 * 16 + 16 * 24, 24, 25 * (9 * 16 + 16 * 24))


def test_the_ops_of_a_head_can_be_read_from_their_keys() -> None:
    ops = detection_ops(reference_detector(SMALL))
    assert [Op.parse(op.key) for op in ops] == ops


def test_halving_leaves_c4_as_it_is_and_halves_what_follows() -> None:
    large = reference(LARGE)
    halved = reduce_behind(large, 12)
    assert halved.blocks[:12] == large.blocks[:12]
    found = [(block.expanded, block.out_channels, block.se.channels) for block in halved.blocks[12:] if block.se]
    assert found == [(672, 80, 168), (480, 80, 120), (480, 80, 120)]
    assert halved.head.conv_channels == 480


def test_a_block_without_expansion_gives_its_input_as_c4() -> None:
    blocks = tuple(Block("conv", channels, 3, 2) for channels in (8, 16, 24, 40))
    plain = Arch("plain", 64, 10, Stem(8), blocks, Head(64))
    detector = ssdlite(plain, classes=2)
    assert detector.tap == 3
    assert detection_walk(detector).boxes[0].in_channels == 24
    assert strided_conv(detection_walk(detector).blocks[3]).role == "full"


def test_the_width_multiplier_scales_the_extra_layers_but_not_below_8() -> None:
    assert ssdlite(reference(V2, 0.35), 90, width=0.35).extras == (179, 89, 89, 44)  # published code cuts fractions off
    assert ssdlite(reference(V2, 0.35), 90, width=0.01).extras == (8, 8, 8, 8)


def shallow() -> Arch:
    blocks = (Block("mbconv", 16, 3, 2, 16), Block("mbconv", 24, 3, 2, 64))
    return Arch("shallow", 64, 10, Stem(16), blocks, Head(64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ssdlite(shallow(), 3),
            "network 'shallow' has no block that goes from stride 16 to 32, which SSDLite needs; its blocks have 4, 8",
        ),
        (
            lambda: ssdlite(reference(SMALL, resolution=48), 3),
            "images of 48 pixels a side are too small for network 'mobilenet_v3_small', whose last map is 32 times "
            "smaller; give at least 64",
        ),
        (lambda: ssdlite(reference(SMALL), 0), "a detector needs at least 1 class, got 0"),
        (
            lambda: ssdlite(reference(SMALL), 3, tap=2),
            "tap must be a block with a stride, for C4 ends there; 'mobilenet_v3_small' has 0, 1, 3, 8, got 2",
        ),
        (
            lambda: ssdlite(reference(SMALL), 3, tap=11),
            "tap must be one of 'mobilenet_v3_small''s blocks, 0 to 10, got 11",
        ),
        (
            lambda: replace(ssdlite(reference(SMALL), 3), min_scale=0.96),
            "the anchors' scales must rise and lie above 0 and up to 1, got 0.96 to 0.95",
        ),
        (
            lambda: Detector(reference(SMALL), 3, 8, extras=(64, 1)),
            "extra layers need at least 2 channels each, got [64, 1]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make: object, message: str) -> None:
    with pytest.raises(DetectorError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message
    assert isinstance(error.value, InputError)


def test_what_is_part_of_a_head_cannot_be_searched() -> None:
    stage = {"channels": 8, "stride": 2, "op": ["conv", "predictor"], "kernel": [3], "se": [0]}
    space = {"name": "x", "resolution": 32, "classes": 2, "stem": {"channels": 8}, "stages": [stage]}
    with pytest.raises(FileError, match=r"op must be conv, dconv or mbconvE.*got 'predictor'"):
        space_from_dict({**space, "head": {"conv_channels": 64}}, "space.yaml")
