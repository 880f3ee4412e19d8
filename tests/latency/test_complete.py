"""What a table lacks: priced, measured on this host at the table's speed, or refused."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from latency.complete import complete_table, network_table
from latency.journal import Journal
from latency.measured_table import plan, table_from
from latency.protocol import Protocol
from latency.source import LatencySource, SourceFacts
from latency.sweeps import take
from latency.table import LatencyTable
from search_spaces import InputError, load_space, lower, reference
from tests.latency.simulated import CALL_MS, Simulated, op_ms

HOST = SourceFacts("host", "Simulation", "1", 1, "float32", "no clock")
QUICK = Protocol(batch_ops=64, sweeps=1, rounds=3, calls=2, extra_rounds=0, references=4)
TODAY = date(2026, 11, 21)
ARCH = reference("mobilenet_v2", 0.75, 160)


def table_of(device: Simulated, folder: Path, profile: bool) -> LatencyTable:
    planned = plan([load_space("mobilenet_v3")], [], profile)
    journal = Journal(folder / "journal", device.facts)
    measurements = take(device, planned.chains(), journal, QUICK, lambda done, total: None)
    measurements += take(device, planned.profiled(), journal, QUICK, lambda done, total: None, profile=True)
    return table_from(planned, measurements, device.facts, TODAY)


@pytest.mark.parametrize("profile", [True, False], ids=["inside networks", "alone"])
def test_missing_ops_are_measured_at_the_speed_of_the_table(profile: bool, tmp_path: Path) -> None:
    table = table_of(Simulated(inside=1.2, facts=HOST), tmp_path, profile)
    assert table.missing(lower(ARCH))
    today: list[Simulated] = []

    def slower(runtime: str, threads: int) -> LatencySource:
        today.append(Simulated(inside=1.2, facts=HOST, slowness=lambda number: 3.0))
        return today[-1]

    done = complete_table(table, [ARCH], slower)
    truth = CALL_MS + 1.2 * sum(op_ms(op) for op in lower(ARCH))
    assert done.estimate_ms(ARCH) == pytest.approx(truth, rel=0.02)
    assert {op: done.timings[op] for op in table.timings} == table.timings
    assert [device.closed for device in today] == [True]


def test_nothing_is_opened_where_nothing_is_missing() -> None:
    def never(runtime: str, threads: int) -> LatencySource:
        raise AssertionError("opened")

    table = network_table(ARCH, Simulated(facts=HOST), TODAY)
    assert complete_table(table, [ARCH], never) is table


def test_a_table_of_another_machine_says_so(tmp_path: Path) -> None:
    table = table_of(Simulated(facts=HOST), tmp_path, profile=True)
    other = replace(HOST, clock_policy="another machine")
    with pytest.raises(InputError, match=r"clock_policy 'no clock', here 'another machine'.*build it again here"):
        complete_table(table, [ARCH], lambda runtime, threads: Simulated(facts=other))


def test_a_table_of_a_board_that_is_not_here_stays_as_it_is(tmp_path: Path) -> None:
    device = Simulated(facts=replace(HOST, device="board"))
    table = table_of(device, tmp_path, profile=True)
    assert complete_table(table, [ARCH]) is table


def test_one_network_makes_a_table_by_itself() -> None:
    arch = reference("mobilenet_v3_small")
    table = network_table(arch, Simulated(facts=HOST), TODAY)
    assert table.estimate_ms(arch) == pytest.approx(CALL_MS + sum(op_ms(op) for op in lower(arch)), rel=0.01)
    assert not table.missing(lower(arch))
