"""Multiply-accumulates and parameters, against numbers worked out by hand and published ones."""

import random

import pytest

from nas.network import build
from search_spaces import (
    Arch,
    Block,
    Count,
    Head,
    Op,
    SqueezeExcite,
    Stem,
    count,
    count_op,
    load_space,
    lower,
    reference,
    shipped_spaces,
)
from search_spaces.count import count_ops
from tests.search_spaces.built import built_params, named_params


def test_count_of_a_small_network_by_hand() -> None:
    block = Block("mbconv", 24, 5, 2, 32, SqueezeExcite(8, "sigmoid"), "relu")
    arch = Arch("hand", 16, 10, Stem(8), (block,), Head(40, 20))
    # on maps of 8x8 (stem, expansion) and 4x4 (the rest):
    #   stem        27*8       = 216 weights,   216*64 = 13,824 MACs,   8 batch-norm channels
    #   expand      8*32       = 256            256*64 = 16,384        32
    #   depthwise   25*32      = 800            800*16 = 12,800        32
    #   squeeze     32*8 = 256, excite 8*32 = 256, each once: 512 MACs, biases 8 + 32
    #   project     32*24      = 768            768*16 = 12,288        24
    #   head        24*40      = 960            960*16 = 15,360        40
    #   hidden      40*20      = 800            800                    bias 20
    #   classes     20*10      = 200            200                    bias 10
    #   the squeeze-and-excite scales 32 channels of 4x4
    expected = Count(macs=72_168, weights=4_512, biases=70, batch_norm_channels=136, scaled_elements=512)
    assert count(arch) == expected


def test_each_convention_of_counting_by_hand() -> None:
    counted = Count(macs=1_000, weights=600, biases=50, batch_norm_channels=7, hswish_elements=30, scaled_elements=4)
    assert counted.macs_profiled == 1_000 + 2 * 30 + 4
    assert counted.params == 600 + 50 + 2 * 7
    assert counted.params_no_norm == 600 + 50
    assert counted.params_folded == 600 + 50 + 7


def test_elements_under_hswish_and_gates_are_counted_where_they_are() -> None:
    # expansion on 8x8, depthwise on 4x4, the projection is linear; the gate scales what the depthwise one gives
    op = Op("mbconv", 8, 8, 4, 12, 3, 2, 20, SqueezeExcite(8, "hard_sigmoid"), "hswish")
    assert count_op(op).hswish_elements == 20 * 64 + 20 * 16
    assert count_op(op).scaled_elements == 20 * 16
    # a full convolution is scaled where it has become narrower
    full = Op("conv", 8, 6, 4, 12, 3, 2, se=SqueezeExcite(8, "sigmoid"), activation="hswish")
    assert (count_op(full).hswish_elements, count_op(full).scaled_elements) == (12 * 12, 12 * 12)
    # a fully connected layer is on one pixel
    assert count_op(Op("linear", 1, 1, 576, 1024, activation="hswish")).hswish_elements == 1024


@pytest.mark.parametrize(
    ("name", "hswish", "scaled"),
    [  # a walk of public code: h-swish on maps, and on the 1280 and 1024 features behind the pool
        ("mobilenet_v3_large", 1_509_984 + 1_280, 597_408),
        ("mobilenet_v3_small", 798_112 + 1_024, 285_376),
    ],
)
def test_mobilenet_v3_has_its_elements_under_hswish_and_gates(name: str, hswish: int, scaled: int) -> None:
    counted = count(reference(name))
    assert (counted.hswish_elements, counted.scaled_elements) == (hswish, scaled)


def test_ops_are_counted_together_as_their_network() -> None:
    arch = reference("mnasnet_a1")
    assert count_ops(lower(arch)) == count(arch)
    assert count_ops([]) == Count()


def test_count_of_a_full_convolution_by_hand() -> None:
    # 9*4*12 weights on a 4x4 map
    assert count_op(Op("conv", 8, 8, 4, 12, 3, 2, activation="relu")) == Count(6_912, 432, 0, 12)


@pytest.mark.parametrize(
    ("name", "macs", "weights", "weights_and_biases", "params"),
    [
        ("mobilenet_v3_large", 216_591_040, 5_452_552, 5_459_913, 5_484_313),
        ("mobilenet_v3_small", 56_511_424, 2_526_856, 2_531_769, 2_543_881),
    ],
)
def test_mobilenet_v3_with_1001_classes_has_its_exact_counts(
    name: str, macs: int, weights: int, weights_and_biases: int, params: int
) -> None:
    counted = count(reference(name, classes=1001))
    assert counted.macs == macs
    assert counted.weights == weights
    assert counted.params_no_norm == weights_and_biases
    assert counted.params == params


@pytest.mark.parametrize(
    ("name", "params"),
    [("mobilenet_v3_large", 5_483_032), ("mobilenet_v3_small", 2_542_856)],  # also torchvision's, to the last one
)
def test_mobilenet_v3_with_1000_classes_has_its_exact_parameters(name: str, params: int) -> None:
    assert count(reference(name)).params == params


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("mobilenet_v2", 300_774_272, 3_504_872),  # torchvision's parameters, to the last one
        ("mnasnet_a1", 311_579_072, 3_887_038),  # published: 312 M, 3.9 M
        ("mnasnet_b1", 314_415_872, 4_383_312),  # torchvision's mnasnet1_0, to the last parameter
        ("mnasnet_small", 68_339_184, 2_030_264),  # published: 68 M, 2.0 M
        ("proxyless_mobile", 320_427_584, 4_080_512),  # published: 320 M
    ],
)
def test_other_published_networks_have_their_counts(name: str, macs: int, params: int) -> None:
    assert (count(reference(name)).macs, count(reference(name)).params) == (macs, params)


@pytest.mark.parametrize(
    ("name", "width", "macs_m", "params_m"),
    [  # the walk of the public code with 1001 classes, which Howard et al. 2019, table 9, rounds
        ("mobilenet_v3_large", 1.25, 355.2232, 7.5533),  # 356, 7.5
        ("mobilenet_v3_large", 0.75, 154.5619, 3.9948),  # 155, 4.0
        ("mobilenet_v3_large", 0.5, 69.2489, 2.6908),  # 69, 2.6
        ("mobilenet_v3_large", 0.35, 39.4736, 2.1331),  # 40, 2.2
        ("mobilenet_v3_small", 1.25, 91.2425, 3.6472),  # 91, 3.6
        ("mobilenet_v3_small", 0.75, 43.4004, 2.0429),  # 44, 2.0
        ("mobilenet_v3_small", 0.5, 21.0536, 1.5937),  # 21, 1.6
        ("mobilenet_v3_small", 0.35, 12.8169, 1.3593),  # 12, 1.4
    ],
)
def test_width_multipliers_give_the_counts_of_table_9(name: str, width: float, macs_m: float, params_m: float) -> None:
    counted = count(reference(name, width, classes=1001))
    assert round(counted.macs / 1e6, 4) == macs_m
    assert round(counted.params / 1e6, 4) == params_m


@pytest.mark.parametrize(
    ("name", "resolution", "macs_m"),
    [  # the same, at other resolutions
        ("mobilenet_v3_large", 256, 281.6646),  # 282
        ("mobilenet_v3_large", 192, 160.1939),  # 160
        ("mobilenet_v3_large", 160, 112.4733),  # 112
        ("mobilenet_v3_large", 128, 73.4291),  # 73
        ("mobilenet_v3_large", 96, 43.0614),  # 43
        ("mobilenet_v3_small", 256, 73.1761),  # 74
        ("mobilenet_v3_small", 160, 29.848),  # 30
        ("mobilenet_v3_small", 128, 19.8492),  # 20
        ("mobilenet_v3_small", 96, 12.0724),  # 12
    ],
)
def test_resolutions_give_the_counts_of_table_9(name: str, resolution: int, macs_m: float) -> None:
    assert round(count(reference(name, resolution=resolution, classes=1001)).macs / 1e6, 4) == macs_m


@pytest.mark.parametrize(
    ("width", "resolution", "macs_m", "params_m"),
    [  # published: MobileNetV2's README, 1001 classes; its parameters are without batch norm
        (1.4, 224, 582.1976, 6.0626),  # 582, 6.06
        (0.75, 224, 209.0711, 2.6111),  # 209, 2.61
        (0.5, 224, 97.1331, 1.9514),  # 97, 1.95
        (0.35, 224, 59.2871, 1.6643),  # 59, 1.66
        (1.0, 192, 221.3179, 3.4720),  # 221, 3.47
        (1.0, 96, 56.2904, 3.4720),  # 56, 3.47
    ],
)
def test_mobilenet_v2_at_other_sizes_has_its_counts(
    width: float, resolution: int, macs_m: float, params_m: float
) -> None:
    counted = count(reference("mobilenet_v2", width, resolution, classes=1001))
    assert round(counted.macs / 1e6, 4) == macs_m
    assert round(counted.params_no_norm / 1e6, 4) == params_m


def test_macs_of_mobilenet_v3_large_by_kind_of_layer() -> None:
    totals: dict[str, int] = {}
    for op in lower(reference("mobilenet_v3_large", classes=1001)):
        for conv in op.convolutions():
            totals[conv.role] = totals.get(conv.role, 0) + conv.macs
    assert totals["full"] + totals["expand"] + totals["project"] == 194_181_120
    assert totals["depthwise"] == 18_392_640
    assert totals["squeeze"] + totals["excite"] == 1_507_200
    assert totals["linear"] == 2_510_080


@pytest.mark.parametrize("name", shipped_spaces())
def test_200_networks_of_each_space_have_the_parameters_that_are_counted(name: str) -> None:
    space, rng = load_space(name), random.Random(4)
    archs = [space.decode(space.sample(rng)) for _ in range(200)]
    assert [built_params(build, arch) for arch in archs] == [named_params(count(arch)) for arch in archs]
