import pytest

from latency.inside import Inside
from latency.onnxruntime_source import onnxruntime_source, op_shares
from latency.timing import Timing
from search_spaces import Op, lower, reference

A, B = (Op("conv", 8, 8, 8, channels) for channels in (8, 16))


def test_an_op_takes_its_share_of_the_network_less_the_call_s_own_cost() -> None:
    timings = Inside((A, B), Timing(11.0, 9.9, 13.2, 40), 1.0, (0.25, 0.75)).timings()
    assert timings[A].median_ms == pytest.approx(2.5)
    assert timings[B].median_ms == pytest.approx(7.5)
    assert timings[B].p10_ms == pytest.approx(7.5 * 0.9)
    assert timings[B].p90_ms == pytest.approx(7.5 * 1.2)
    assert timings[B].runs == 40


def test_an_op_that_stands_in_a_network_twice_has_the_mean_of_both() -> None:
    timings = Inside((A, B, A), Timing(10.0), 0.0, (0.2, 0.4, 0.4)).timings()
    assert timings[A].median_ms == pytest.approx(3.0)


def test_an_op_that_the_runtime_left_out_still_has_a_time() -> None:
    timings = Inside((A, B), Timing(10.0), 0.0, (0.0, 1.0)).timings()
    assert 0 < timings[A].median_ms < 1e-4


def test_nodes_count_to_the_op_that_they_are_named_after() -> None:
    nodes = [("0.full.conv_nchwc", 1.0), ("1.expand.activation_nchwc", 2.0), ("1.project.conv", 1.0)]
    assert op_shares(nodes, 2) == [0.25, 0.75]


def test_a_change_of_layout_counts_to_the_op_that_ran_last() -> None:
    nodes = [("0.full.conv", 1.0), ("ReorderInput_token_7", 1.0), ("10.full.conv", 2.0), ("pool.11", 4.0)]
    assert op_shares(nodes, 12) == [0.25, *[0.0] * 9, 0.25, 0.5]


def test_onnx_runtime_shares_a_real_network_out_over_its_ops() -> None:
    chain = tuple(lower(reference("mobilenet_v3_small", resolution=64)))
    source = onnxruntime_source()
    try:
        with source.profiled_session([chain, chain[1:2]]) as session:
            for index in (0, 1, 0):
                session.sample(index, 3)
            shares, single = session.shares(0), session.shares(1)
    finally:
        source.close()
    assert len(shares) == len(chain)
    assert sum(shares) == pytest.approx(1.0)
    assert all(share > 0 for op, share in zip(chain, shares, strict=True) if op.kind in ("conv", "mbconv"))
    assert single == [1.0]
