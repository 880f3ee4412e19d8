from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from latency.check import check_networks, judge, time_twice, with_accuracy
from latency.journal import Journal
from latency.measured_table import Plan, known_ops, lessons_of, plan, random_networks, table_from
from latency.protocol import EMPTY, Measurement, Protocol, usual_reference_ms
from latency.source import Chain, SourceError
from latency.sweeps import take
from latency.table import LatencyTable
from latency.table_files import table_from_text, table_to_text
from search_spaces import FileError, InputError, SearchSpace, load_space, lower, reference
from tests.latency.simulated import CALL_MS, Simulated, op_ms

QUICK = Protocol(batch_ops=64, sweeps=1, rounds=3, calls=2, extra_rounds=0, references=4)
TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space("mobilenet_v3")


def quiet(done: int, total: int) -> None:
    pass


def taken(journal: Journal, chains: list[Chain]) -> list[Measurement]:
    return [one for chain in chains for one in journal.taken("table", chain)]


def built(
    device: Simulated, space: SearchSpace, path: Path, profile: bool = False
) -> tuple[LatencyTable, Plan, list[Measurement], Journal]:
    planned = plan([space], [], profile)
    journal = Journal(path / "journal", device.facts)
    measurements = take(device, planned.chains(), journal, QUICK, quiet)
    measurements += take(device, planned.profiled(), journal, QUICK, quiet, profile=True)
    return table_from(planned, measurements, device.facts, TODAY), planned, measurements, journal


def test_a_table_where_ops_add_up_predicts_networks_exactly(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(), space, tmp_path)
    for chain in random_networks([space], 5, 77):
        predicted = table.header.overhead_ms + sum(table.op_ms(op) for op in chain)
        assert predicted == pytest.approx(CALL_MS + sum(op_ms(op) for op in chain), rel=1e-3)


def test_a_table_learns_that_ops_take_longer_inside_a_network(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(inside=1.2), space, tmp_path)
    for chain in random_networks([space], 5, 77):
        predicted = table.header.overhead_ms + sum(table.op_ms(op) for op in chain)
        assert predicted == pytest.approx(CALL_MS + 1.2 * sum(op_ms(op) for op in chain), rel=0.01)


def test_a_call_s_own_cost_is_kept_apart(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(), space, tmp_path)
    (empty,) = EMPTY
    assert table.header.overhead_ms == pytest.approx(CALL_MS + op_ms(empty), rel=1e-3)


def test_a_table_holds_the_ops_of_the_spaces_and_of_the_networks_asked_for(space: SearchSpace) -> None:
    extra = reference("mobilenet_v2")
    planned = plan([space], [extra], profile=False)
    assert set(planned.ops) == set(space.ops()) | set(lower(extra))
    assert len(planned.ops) == len(set(planned.ops))


def test_everything_planned_is_timed_once(space: SearchSpace) -> None:
    planned = plan([space], [], profile=False)
    wanted = [EMPTY, *planned.teaching, *((op,) for op in planned.ops)]
    assert sorted(planned.chains(), key=repr) == sorted(wanted, key=repr)


def test_a_measured_table_needs_a_space() -> None:
    with pytest.raises(InputError, match="needs a space, from which networks are drawn: add --space"):
        plan([], [reference("mobilenet_v2")], profile=False)


def test_the_header_says_what_was_measured_and_survives_a_file(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(inside=1.1, noise=0.01), space, tmp_path)
    again = table_from_text(table_to_text(table), "file")
    header = again.header
    assert (header.device, header.provenance, header.runtime, header.date) == (
        "simulated",
        "measured",
        "Simulation",
        TODAY,
    )
    assert header.entries == len(space.ops())
    assert header.accuracy is not None
    assert header.accuracy.networks == 80
    assert header.accuracy.mape < 0.02
    assert header.weights is not None
    timing = again.timings[space.ops()[0]]
    assert timing.runs == 6  # 3 rounds of 2 calls


def test_a_killed_build_goes_on_where_it_was(space: SearchSpace, tmp_path: Path) -> None:
    planned = plan([space], [], profile=False)
    device = Simulated()
    begun = Journal(tmp_path / "journal", device.facts)
    with pytest.raises(SourceError, match="cable"):
        take(Simulated(breaks_after=1500), planned.chains(), begun, QUICK, quiet)
    begun.close()
    journal = Journal(tmp_path / "journal", device.facts)
    kept = len(taken(journal, planned.chains()))
    assert 128 <= kept < len(planned.chains())
    reported: list[tuple[int, int]] = []
    found = take(device, planned.chains(), journal, QUICK, lambda done, total: reported.append((done, total)))
    assert [one.chain for one in found] == planned.chains()
    assert reported[0] == (kept, len(planned.chains()))
    assert reported[-1] == (len(planned.chains()), len(planned.chains()))
    assert device.samples < 3 * 2 * (len(planned.chains()) - kept)  # nothing was timed again


def test_a_journal_that_was_cut_in_a_line_loses_that_line_alone(space: SearchSpace, tmp_path: Path) -> None:
    _, planned, _, journal = built(Simulated(), space, tmp_path)
    text = journal.path.read_text()
    journal.path.write_text(text[:-30])
    journal.close()
    again = Journal(journal.path, Simulated().facts)
    whole = taken(journal, planned.chains())
    (lost,) = set(whole) - set(taken(again, planned.chains()))
    again.add("table", [lost])
    again.close()
    assert taken(Journal(journal.path, Simulated().facts), planned.chains()) == whole


def test_two_builds_do_not_write_one_journal(space: SearchSpace, tmp_path: Path) -> None:
    *_, journal = built(Simulated(), space, tmp_path)
    with pytest.raises(FileError, match=r"another build is writing .*; wait for its end, or give another --out"):
        Journal(journal.path, Simulated().facts)


def test_a_journal_of_another_device_is_refused(space: SearchSpace, tmp_path: Path) -> None:
    *_, journal = built(Simulated(), space, tmp_path)
    journal.close()
    other = Simulated().facts.__class__("simulated", "Simulation", "2", 1, "float32", "no clock")
    with pytest.raises(FileError, match=r"Simulation, 1, 1, no clock; this is .*Simulation, 2.* delete it, or give"):
        Journal(journal.path, other)


def test_a_journal_with_a_negative_time_is_refused_by_its_line(space: SearchSpace, tmp_path: Path) -> None:
    *_, journal = built(Simulated(), space, tmp_path)
    journal.close()
    lines = journal.path.read_text().split("\n")
    lines[3] = lines[3].replace('"warm_ms": [', '"warm_ms": [-')
    journal.path.write_text("\n".join(lines))
    with pytest.raises(FileError, match="line 4 is no measurement"):
        Journal(journal.path, Simulated().facts)


def test_a_check_times_networks_that_the_table_never_saw(space: SearchSpace) -> None:
    planned = plan([space], [], profile=False)
    chains = check_networks([space], 20, planned.teaching)
    assert len(set(chains)) == 20
    assert not set(chains) & set(planned.teaching)


def test_a_check_compares_the_table_with_its_peers(space: SearchSpace, tmp_path: Path) -> None:
    device = Simulated(inside=1.25, noise=0.01)
    table, planned, measurements, journal = built(device, space, tmp_path)
    networks = [one for one in measurements if len(one.chain) > 1]
    timed = time_twice(device, check_networks([space], 20, planned.teaching), networks, journal, QUICK, quiet)
    found = judge(table, networks, measurements, timed)
    assert [one.name for one in found.peers] == ["sum of Ops timed alone", "a cost per operator class", "MACs only"]
    assert found.table.accuracy.mape < 0.02
    assert found.table.accuracy.within_5_percent == 1.0
    assert found.peers[0].accuracy.bias is not None
    assert found.peers[0].accuracy.bias < -0.05  # timed alone, Ops don't know that they take a quarter longer inside
    assert found.table.accuracy.noise_floor == pytest.approx(0.008, abs=0.006)  # mean |difference| of two medians
    assert with_accuracy(table, found.table.accuracy).header.accuracy == found.table.accuracy


def test_a_check_is_at_the_speed_that_the_machine_had_during_the_build(space: SearchSpace, tmp_path: Path) -> None:
    _, planned, measurements, journal = built(Simulated(), space, tmp_path)
    networks = [one for one in measurements if len(one.chain) > 1]
    chains = check_networks([space], 5, planned.teaching)
    reference_ms = usual_reference_ms(measurements)
    # networks take longer than they did, and the reference does not: no reference would tell
    timed = time_twice(Simulated(networks=1.3), chains, networks, journal, QUICK, quiet)
    for one in (*timed[0], *timed[1]):
        assert one.timing(reference_ms).median_ms == pytest.approx(CALL_MS + sum(map(op_ms, one.chain)), rel=0.02)
    assert [one.chain for one in timed[0]] == [one.chain for one in timed[1]] == chains


def test_a_second_go_does_not_reuse_the_first_one_s_times(space: SearchSpace, tmp_path: Path) -> None:
    device = Simulated(noise=0.05)
    journal = Journal(tmp_path / "journal", device.facts)
    first, again = time_twice(device, check_networks([space], 5, []), [], journal, QUICK, quiet)
    assert [one.chain for one in first] == [one.chain for one in again]
    assert all(one.warm_ms != other.warm_ms for one, other in zip(first, again, strict=True))


def test_a_source_that_profiles_has_each_op_timed_alone_and_inside_two_networks(space: SearchSpace) -> None:
    planned = plan([space], [reference("mobilenet_v2")], profile=True)
    assert {chain for chain in planned.chains() if len(chain) == 1} == {EMPTY, *((op,) for op in planned.ops)}
    assert tuple(lower(reference("mobilenet_v2"))) in planned.profiled()
    held = Counter(op for chain in planned.profiled() for op in set(chain))
    assert all(held[op] >= 2 for op in space.ops())


def test_one_network_asked_for_needs_nothing_but_itself() -> None:
    planned = plan([], [reference("mobilenet_v2")], profile=True)
    assert (planned.chains(), planned.profiled()) == ([EMPTY], [tuple(lower(reference("mobilenet_v2")))])


def errors_of(table: LatencyTable, space: SearchSpace) -> list[float]:
    return [
        (table.header.overhead_ms + sum(table.op_ms(op) for op in chain)) / (CALL_MS + sum(op_ms(op) for op in chain))
        - 1
        for chain in random_networks([space], 40, 77)
    ]


def test_networks_of_another_level_teach_no_level(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(profiled=1.1), space, tmp_path, profile=True)
    assert abs(sum(errors_of(table, space))) / 40 < 0.01


def test_a_network_teaches_by_what_the_others_tell_of_its_ops(space: SearchSpace, tmp_path: Path) -> None:
    _, planned, measurements, _ = built(Simulated(scatter=0.5), space, tmp_path, profile=True)
    reference_ms = usual_reference_ms(measurements)
    of_chain = {lesson.chain: lesson for lesson in lessons_of(planned, measurements, reference_ms)}
    for chain in planned.covering[:20]:
        others = [one for one in measurements if one.chain != chain]
        assert of_chain[chain].known == known_ops(chain, others, reference_ms)


def test_what_networks_tell_wrongly_of_their_ops_is_hardly_believed(space: SearchSpace, tmp_path: Path) -> None:
    table, *_ = built(Simulated(scatter=0.5), space, tmp_path, profile=True)
    assert table.header.weights is not None
    assert table.header.weights["inside"] < table.header.weights["alone"] / 4  # what networks tell of Ops is wrong
    assert max(map(abs, errors_of(table, space))) < 0.02


def test_a_profiled_table_predicts_networks_that_it_never_saw(space: SearchSpace, tmp_path: Path) -> None:
    table, planned, _, journal = built(Simulated(inside=1.2, noise=0.01), space, tmp_path, profile=True)
    for chain in random_networks([space], 5, 77):
        predicted = table.header.overhead_ms + sum(table.op_ms(op) for op in chain)
        assert predicted == pytest.approx(CALL_MS + 1.2 * sum(op_ms(op) for op in chain), rel=0.02)
    assert table.header.accuracy is not None
    assert table.header.accuracy.method == "a fifth of the 264 networks that taught it left out in turn"
    assert table.header.accuracy.mape < 0.02
    assert table.header.weights is not None
    assert set(table.header.weights) == {"alone", "inside", "output", "weights"}
    journal.close()
    assert taken(Journal(journal.path, Simulated().facts), planned.profiled()) == taken(journal, planned.profiled())


def test_a_space_of_few_networks_gives_those_it_has() -> None:
    space = load_space(Path(__file__).parents[1] / "spaces" / "tiny.yaml")
    chains = random_networks([space], 10 * space.cardinality, 0)
    assert len(chains) == len(set(chains)) <= space.cardinality
