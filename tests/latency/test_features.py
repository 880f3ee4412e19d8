from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from latency.features import Features, calibrated_ms, features
from search_spaces import Op, SqueezeExcite

COSTS_NS = {"matrix_macs": 0.15, "depthwise_macs": 0.4, "moved_elements": 0.6}


def test_an_inverted_residual_is_counted_convolution_by_convolution() -> None:
    op = Op("mbconv", 4, 4, 8, 16, 3, 2, 24, SqueezeExcite(8, "hard_sigmoid"), "hswish")
    # matrix: expand 8 x (24+8) x 16 pixels = 4096; project 24 x (16+8) x 8 (4 pixels fill half a tile) = 4608
    # depthwise: 9 x 24 x 4 pixels = 864
    # moved: expand 128 in + 384 out + 384 h-swish, depthwise 384 + 96 + 96, project 96 + 64,
    #   squeeze 24 + 8 + 192 weights, excite 8 + 24 + 192 weights, squeeze-and-excite 3 x 4 x 24 = 288
    assert features(op) == Features(4096 + 4608, 864, 896 + 576 + 160 + 224 + 224 + 288)


def test_a_full_convolution_pays_for_its_unfolded_patches() -> None:
    op = Op("conv", 5, 5, 3, 8, 3, 2, activation="relu")
    # 3 x 3 = 9 outputs, two tiles: 27 x (8+8) x 16 = 6912; moved 75 in + 72 out + 9 x 27 patches = 390
    assert features(op) == Features(6912, 0, 390)


def test_a_pointwise_convolution_is_not_unfolded() -> None:
    # 16 pixels: 4 x (8+8) x 16 = 1024; moved 64 + 128
    assert features(Op("conv", 4, 4, 4, 8, activation="relu")) == Features(1024, 0, 192)


def test_a_linear_layer_reads_each_weight_once() -> None:
    assert features(Op("linear", 1, 1, 10, 4)) == Features(0, 0, 10 + 4 + 40)


def test_a_pool_reads_its_map() -> None:
    assert features(Op("pool", 7, 7, 16, 16)) == Features(0, 0, 7 * 7 * 16 + 16)


def test_a_skip_moves_its_sum_and_a_pooled_skip_its_windows_too() -> None:
    plain = Op("mbconv", 2, 2, 8, 8, 3, 1, 8, None, "relu", "none")
    moved = [features(replace(plain, skip=skip)).moved_elements for skip in ("none", "identity", "pool")]
    # 4 pixels x 8 channels = 32 elements: three passes, and ten more
    assert [moved[1] - moved[0], moved[2] - moved[0]] == [96, 416]


def test_costs_in_nanoseconds_price_an_op_in_milliseconds() -> None:
    # 6912 x 0.15 + 390 x 0.6 = 1270.8 ns
    assert round(calibrated_ms(Op("conv", 5, 5, 3, 8, 3, 2, activation="relu"), COSTS_NS), 9) == 0.001270800


channels = st.integers(1, 200)
OPS = st.builds(
    Op,
    kind=st.just("mbconv"),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    in_channels=channels,
    out_channels=channels,
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    expanded=channels,
    activation=st.sampled_from(["relu", "relu6"]),
) | st.builds(
    Op,
    kind=st.just("conv"),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    in_channels=channels,
    out_channels=channels,
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    activation=st.just("relu"),
)


def price(op: Op) -> float:
    return calibrated_ms(op, COSTS_NS)


@given(OPS)
def test_every_op_costs_something(op: Op) -> None:
    assert price(op) > 0


@given(OPS)
def test_a_larger_kernel_costs_more(op: Op) -> None:
    assert price(replace(op, kernel=op.kernel + 2)) > price(op)


@given(OPS)
def test_h_swish_costs_more_than_relu(op: Op) -> None:
    assert price(replace(op, activation="hswish")) > price(op)


@given(OPS, st.integers(1, 100))
def test_squeeze_and_excite_costs_more_the_wider_it_is(op: Op, squeeze: int) -> None:
    without, narrow, wide = (
        price(replace(op, se=se))
        for se in (None, SqueezeExcite(squeeze, "sigmoid"), SqueezeExcite(squeeze + 1, "sigmoid"))
    )
    assert without < narrow < wide


@given(OPS)
def test_more_channels_out_cost_more(op: Op) -> None:
    assert price(replace(op, out_channels=op.out_channels + 1)) > price(op)


@given(OPS.filter(lambda op: op.kind == "mbconv" and op.expanded + 1 != op.in_channels))
def test_more_expansion_costs_more(op: Op) -> None:
    # an expansion of exactly the input's channels has no 1x1 convolution, and is rightly cheaper than one below it
    assert price(replace(op, expanded=op.expanded + 1)) > price(op)


@given(OPS)
def test_a_larger_image_costs_more(op: Op) -> None:
    assert price(replace(op, height=op.height + 1)) > price(op)


@given(OPS.filter(lambda op: op.stride == 1))
def test_a_skip_costs_something_and_a_pooled_one_more(op: Op) -> None:
    without, identity, pooled = (price(replace(op, skip=skip)) for skip in ("none", "identity", "pool"))
    assert without < identity < pooled
