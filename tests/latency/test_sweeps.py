from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latency.journal import Journal
from latency.protocol import Measurement, Protocol
from latency.source import Chain, SourceError
from latency.sweeps import joined, levelled, take, time_all
from search_spaces import Op
from tests.latency.simulated import Simulated

CHAINS: list[Chain] = [(Op("conv", 16, 16, 8, 8 * n, kernel=3, activation="relu"),) for n in range(1, 41)]
QUICK = Protocol(batch_ops=8, sweeps=3, rounds=2, calls=1, extra_rounds=0, references=2)


def one(chain: Chain, ratios: dict[int, float]) -> Measurement:
    """A chain's measurement, a sample a load."""
    ones = (1.0,) * len(ratios)
    return Measurement(chain, ones, tuple(ratios.values()), ones, 1, tuple(ratios))


def test_every_chain_is_in_a_batch_of_each_sweep_with_others_than_before(tmp_path: Path) -> None:
    found = take(Simulated(), CHAINS, Journal(tmp_path / "journal", Simulated().facts), QUICK)
    assert [one.chain for one in found] == CHAINS
    assert {len(set(one.loads)) for one in found} == {3}
    together = {frozenset(i for i, one in enumerate(found) if load in one.loads) for load in range(15)}
    assert len(together) == 15  # no two batches are of the same chains
    assert {len(batch) for batch in together} == {8}


def test_a_sweep_that_was_cut_goes_on_with_what_it_lacks(tmp_path: Path) -> None:
    device = Simulated()
    begun = Journal(tmp_path / "journal", device.facts)
    with pytest.raises(SourceError, match="cable"):
        take(Simulated(breaks_after=200), CHAINS, begun, QUICK)
    begun.close()
    journal = Journal(tmp_path / "journal", device.facts)
    before = {chain: journal.taken("table", chain).copy() for chain in CHAINS}
    assert {len(parts) for parts in before.values()} == {1, 2}
    reported: list[tuple[int, int]] = []
    found = take(device, CHAINS, journal, QUICK, lambda done, total: reported.append((done, total)))
    assert reported[0] == (sum(map(len, before.values())), 120)
    assert reported[-1] == (120, 120)
    for chain, measurement in zip(CHAINS, found, strict=True):
        assert journal.taken("table", chain)[: len(before[chain])] == before[chain]
        assert len(set(measurement.loads)) == 3  # no number is used twice


def test_more_sweeps_than_before_add_to_what_is_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", Simulated().facts)
    take(Simulated(), CHAINS, journal, replace(QUICK, sweeps=1))
    take(Simulated(), CHAINS, journal, QUICK)
    assert {len(journal.taken("table", chain)) for chain in CHAINS} == {3}


def test_what_all_chains_of_a_batch_share_is_the_batch_s_and_not_theirs() -> None:
    rng = np.random.default_rng(0)
    usual = rng.uniform(0.1, 2.0, len(CHAINS))
    level = dict(enumerate(rng.uniform(0.95, 1.05, 15)))
    batches = [rng.permutation(len(CHAINS)).reshape(5, 8) for _ in range(3)]
    rows: list[dict[int, float]] = [{} for _ in CHAINS]
    for sweep, parts in enumerate(batches):
        for number, part in enumerate(parts):
            for chain in part:
                rows[chain][5 * sweep + number] = usual[chain] * level[5 * sweep + number]
    before = [one(chain, row) for chain, row in zip(CHAINS, rows, strict=True)]
    scale = np.array([found.timing(1.0).median_ms for found in levelled(before)]) / usual
    assert np.ptp(scale) < 1e-4  # apart from one factor for all
    assert np.ptp([found.timing(1.0).median_ms for found in before] / usual) > 0.02
    assert scale.mean() == pytest.approx(np.mean(list(level.values())), abs=0.01)


def test_chains_of_one_batch_each_stay_as_they_are() -> None:
    rows = [one(chain, {load % 3: 1.0 + load}) for load, chain in enumerate(CHAINS)]
    assert levelled(rows) == rows


def test_an_outlier_moves_no_batch() -> None:
    rows = [one(chain, {0: 1.0, 1: 1.0}) for chain in CHAINS[:-1]] + [one(CHAINS[-1], {0: 1.0, 1: 5.0})]
    assert levelled(rows) == rows


def test_joined_measurements_have_all_samples_and_the_mean_of_their_shares() -> None:
    chain = CHAINS[0]
    first = Measurement(chain, (1.0,), (2.0,), (3.0,), 4, (0,), (0.25, 0.75))
    second = Measurement(chain, (5.0,), (6.0,), (7.0,), 4, (9,), (0.35, 0.65))
    assert joined([first, second]) == Measurement(
        chain, (1.0, 5.0), (2.0, 6.0), (3.0, 7.0), 4, (0, 9), (pytest.approx(0.3), pytest.approx(0.7))
    )


def test_few_chains_need_no_journal() -> None:
    found = time_all(Simulated(), CHAINS, QUICK)
    assert [one.chain for one in found] == CHAINS
    assert {len(set(one.loads)) for one in found} == {3}
