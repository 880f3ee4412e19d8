"""A target's place among the latencies of a space, before anything is trained."""

from datetime import date
from pathlib import Path

import pytest

from latency import LatencyTable, load_table
from latency.build_table import calibrated_table
from latency.device import load_device
from nas.config import SearchConfig
from nas.preflight import LatencyRange, check_reach, place_search
from nas.target import Target
from search_spaces import InputError, load_space

SPACE = Path(__file__).parent.parent / "spaces" / "tiny.yaml"


@pytest.fixture(scope="module")
def pixel1() -> LatencyTable:
    return load_table("pixel1")


@pytest.fixture(scope="module")
def tiny_table() -> LatencyTable:
    return calibrated_table(load_device("pixel1"), load_space(SPACE).ops(), date(2026, 11, 29))


def test_range_of_listed_networks_says_where_half_of_them_lie() -> None:
    found = LatencyRange.of_all([30.0, 10.0, 20.0, 40.0])
    assert str(found) == ("10.0 to 40.0 ms; of 4 networks half are below 30.0 ms, nine tenths in 10.0 to 40.0 ms")


@pytest.mark.parametrize(("target_ms", "reached"), [(9.7, False), (9.9, True), (40.5, True), (41.0, False)])
def test_a_target_is_reached_if_some_network_may_lie_within_its_tolerance(target_ms: float, reached: bool) -> None:
    # 9.9 * 1.02 = 10.098 and 40.5 * 0.98 = 39.69
    assert LatencyRange.of_all([10.0, 40.0]).reaches(Target(target_ms, 0.02)) == reached


def test_a_target_out_of_range_is_refused_with_the_range() -> None:
    with pytest.raises(InputError) as caught:
        check_reach(LatencyRange.of_all([10.0, 40.0]), Target(50.0), "these take")
    assert str(caught.value) == "no network can land on the target of 50 ms: these take 10.0 to 40.0 ms"


def test_the_space_that_suits_a_target_is_chosen_where_none_is_asked_for(pixel1: LatencyTable) -> None:
    config, said = place_search(SearchConfig(target_ms=15.0), pixel1)
    assert config.space == "mnasnet_small"
    assert said[0] == "space mnasnet_small: of the shipped ones the target lies best in its range"
    assert said[-1].startswith("latency of mnasnet_small on pixel1: ")


def test_a_target_out_of_a_spaces_range_is_refused_with_the_shipped_space_that_would_do(pixel1: LatencyTable) -> None:
    with pytest.raises(InputError) as caught:
        place_search(SearchConfig(target_ms=200.0, space="mnasnet_small"), pixel1)
    assert str(caught.value).startswith(
        "no network can land on the target of 200 ms: the networks of space mnasnet_small on pixel1 take "
    )
    assert "--space mnasnet would do, with " in str(caught.value)


def test_a_target_that_no_shipped_space_reaches_is_refused_with_the_nearest(pixel1: LatencyTable) -> None:
    with pytest.raises(InputError, match="and no shipped space reaches it"):
        place_search(SearchConfig(target_ms=0.5, space="mnasnet"), pixel1)
    with pytest.raises(InputError, match="and no other shipped space comes nearer"):
        place_search(SearchConfig(target_ms=0.5), pixel1)


def test_a_table_for_ones_own_space_alone_leaves_no_advice(tiny_table: LatencyTable) -> None:
    with pytest.raises(InputError, match="and the table covers no shipped space"):
        place_search(SearchConfig(target_ms=50.0, space=str(SPACE)), tiny_table)
