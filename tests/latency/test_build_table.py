from datetime import date

import pytest

from latency import extend_table, load_table, shipped_tables
from latency.build_table import calibrated_devices, calibrated_table, shipped_ops
from latency.device import load_device, shipped_devices
from latency.table_files import table_from_text, table_to_text
from search_spaces import InputError, Op, load_space, lower, reference, references, shipped_spaces


@pytest.mark.parametrize("name", ["pixel1", "pixel2", "pixel3"])
def test_the_shipped_table_is_what_building_it_gives(name: str) -> None:
    shipped = load_table(name)
    built = calibrated_table(load_device(name), shipped_ops(), shipped.header.date)
    assert list(built.timings) == list(shipped.timings)
    assert {op.key: timing.median_ms for op, timing in built.timings.items()} == pytest.approx(
        {op.key: timing.median_ms for op, timing in shipped.timings.items()}, rel=1e-4
    )
    assert built.header.costs_ns == pytest.approx(shipped.header.costs_ns, rel=1e-4)
    assert built.header.model_dump(exclude={"costs_ns"}) == shipped.header.model_dump(exclude={"costs_ns"})


def test_every_device_with_published_latencies_has_a_profile_and_a_table() -> None:
    assert calibrated_devices() == ["pixel1", "pixel2", "pixel3"]
    assert set(calibrated_devices()) <= set(shipped_devices())
    assert set(calibrated_devices()) <= set(shipped_tables())


@pytest.mark.parametrize("name", shipped_spaces())
def test_pixel1_has_every_op_of_a_shipped_space(name: str) -> None:
    load_table("pixel1").check_ops(load_space(name).ops(), name)


@pytest.mark.parametrize("name", references())
def test_pixel1_has_every_op_of_a_reference_network(name: str) -> None:
    table = load_table("pixel1")
    for width, resolution in ((1.0, 224), (0.35, 224), (1.25, 224), (1.0, 96)):
        for classes in (1000, 1001):
            assert table.missing(lower(reference(name, width, resolution, classes))) == []


def test_pixel1_estimates_are_near_the_published_latencies() -> None:
    # Howard et al. 2019, table 9: 51.2 and 15.8 ms; table 3: 64 and 71 ms
    table = load_table("pixel1")
    assert table.estimate_ms(reference("mobilenet_v3_large", classes=1001)) == pytest.approx(51.2, rel=0.03)
    assert table.estimate_ms(reference("mobilenet_v3_small", classes=1001)) == pytest.approx(15.8, rel=0.03)
    assert table.estimate_ms(reference("mobilenet_v2", classes=1001)) == pytest.approx(64, rel=0.03)
    assert table.estimate_ms(reference("mnasnet_a1", classes=1001)) == pytest.approx(71, rel=0.06)


def test_pixel2_and_pixel3_estimates_are_near_the_published_latencies() -> None:
    # Howard et al. 2019, table 3: V3-Large takes 61 and 44 ms, V3-Small 19.4 and 14.4
    second, third = load_table("pixel2"), load_table("pixel3")
    large, small = (reference(f"mobilenet_v3_{size}", classes=1001) for size in ("large", "small"))
    assert [second.estimate_ms(large), third.estimate_ms(large)] == pytest.approx([61, 44], rel=0.03)
    assert [second.estimate_ms(small), third.estimate_ms(small)] == pytest.approx([19.4, 14.4], rel=0.04)


def test_the_header_says_that_a_scale_was_fitted_and_how_far_to_trust_it() -> None:
    header = load_table("pixel2").header
    assert "8 published whole-network latencies, shared out over Ops by pixel1's costs times one" in header.notes
    assert header.accuracy is not None
    assert (header.accuracy.networks, header.accuracy.method) == (
        8,
        "each left out of both fits, costs and scale, in turn",
    )


def test_a_searched_full_convolution_costs_more_than_the_inverted_residual_beside_it() -> None:
    table = load_table("pixel1")
    conv, dconv = (
        Op(kind, 28, 28, 32, 32, 3, 1, expanded, None, "relu", "identity")
        for kind, expanded in (("conv", 0), ("mbconv", 32))
    )
    assert table.op_ms(conv) > table.op_ms(dconv) > 0


def test_a_table_survives_its_file_to_six_digits() -> None:
    table = load_table("pixel1")
    assert table_from_text(table_to_text(table), "again") == table


def test_a_device_without_published_latencies_cannot_be_calibrated() -> None:
    device = load_device("pixel1").model_copy(update={"name": "toaster"})
    with pytest.raises(
        InputError, match="no published latencies to calibrate 'toaster' on; known are pixel1, pixel2, pixel3"
    ):
        calibrated_table(device, [], date(2026, 11, 21))


def test_a_calibrated_table_prices_further_ops_as_it_would_have_when_built() -> None:
    table = load_table("pixel1")
    arch = reference("mobilenet_v3_large", 0.9, 200)
    ops = lower(arch)
    built = calibrated_table(load_device("pixel1"), ops, table.header.date)
    assert len(table.missing(ops)) > 0
    assert extend_table(table, ops).estimate_ms(arch) == pytest.approx(built.estimate_ms(arch), rel=1e-4)


def test_extending_keeps_what_the_table_has() -> None:
    table = load_table("pixel1")
    ops = lower(reference("mobilenet_v3_large", 0.9, 200))
    extended = extend_table(table, ops)
    assert extended.header.entries == table.header.entries + len(table.missing(ops))
    assert all(extended.timings[op] == timing for op, timing in table.timings.items())


def test_a_measured_table_is_never_extended() -> None:
    table = load_table("pixel1")
    measured = table.__class__(
        table.header.model_copy(update={"provenance": "measured", "costs_ns": None}), table.timings
    )
    ops = lower(reference("mobilenet_v3_large", 0.9, 200))
    assert extend_table(measured, ops).missing(ops) == table.missing(ops)


def test_costs_of_another_version_are_refused() -> None:
    table = load_table("pixel1")
    other = table.__class__(table.header.model_copy(update={"costs_ns": {"macs": 1.0}}), table.timings)
    with pytest.raises(InputError, match="has costs for macs, and this version prices depthwise_macs"):
        extend_table(other, lower(reference("mobilenet_v3_large", 0.9, 200)))
