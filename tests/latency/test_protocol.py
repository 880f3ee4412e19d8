import random
from itertools import pairwise
from statistics import mean

import pytest

from latency.protocol import EMPTY, REFERENCE, Measurement, Protocol, sweep, usual_reference_ms
from latency.source import Chain
from search_spaces import Op
from tests.latency.simulated import CALL_MS, Simulated, op_ms

CHAINS: list[Chain] = [(Op("conv", 16, 16, 8, 8 * n, kernel=3, activation="relu"),) for n in range(1, 21)]
QUICK = Protocol(batch_ops=8, rounds=3, calls=3, extra_rounds=0, references=4)


def measured(device: Simulated, protocol: Protocol = QUICK) -> list[Measurement]:
    return [one for batch in sweep(device, CHAINS, protocol, random.Random(0), first_load=7) for one in batch]


def errors(device: Simulated, protocol: Protocol = QUICK) -> list[float]:
    """Give each chain's relative error, on the device at its usual speed."""
    found = measured(device, protocol)
    usual = CALL_MS + sum(op_ms(op) for op in REFERENCE)
    return [abs(one.timing(usual).median_ms / (CALL_MS + op_ms(one.chain[0])) - 1) for one in found]


def test_every_chain_is_measured_once_in_a_drawn_order() -> None:
    chains = [one.chain for one in measured(Simulated())]
    assert sorted(chains, key=CHAINS.index) == CHAINS
    assert chains != CHAINS


def test_each_chain_gets_its_rounds_of_calls() -> None:
    (one, *_) = measured(Simulated())
    assert len(one.warm_ms) == len(one.cold_ms) == len(one.reference_ms) == 3
    assert one.timing(1.0).runs == 9  # 3 rounds, 3 calls


def test_batches_are_numbered() -> None:
    loads = [one.loads for one in measured(Simulated())]
    assert loads == [(7 + place // 8,) * 3 for place in range(20)]


def test_a_timing_is_the_mean_of_the_loads() -> None:
    one = Measurement(CHAINS[0], (1.0,) * 6, (1.0, 1.0, 9.0, 2.0, 2.0, 2.0), (1.0,) * 6, 1, (0, 0, 0, 1, 1, 1))
    assert one.timing(1.0).median_ms == pytest.approx(1.5)


def test_a_device_that_slows_down_to_half_its_speed_gives_the_times_of_the_fast_one() -> None:
    total = 3 * (20 + 3 * 4) + 3 * 8  # samples of chains and of the reference, in 3 batches of 3 rounds
    device = Simulated(slowness=lambda number: 1 + number / total)
    assert mean(errors(device)) < 0.02  # uncorrected: about 0.5


def test_a_slow_spell_spoils_no_chain() -> None:
    device = Simulated(slowness=lambda number: 3.0 if 40 <= number < 100 else 1.0)
    assert max(errors(device, Protocol(batch_ops=32, rounds=10, calls=3, extra_rounds=0))) < 0.01


def test_the_reference_s_copies_run_equally_often_and_all_along_a_round() -> None:
    device = Simulated()
    protocol = Protocol(batch_ops=20, rounds=1, calls=1, extra_rounds=0, references=16)
    assert len(measured(device, protocol)) == 20
    # a copy each to warm up; then 20 chains, with two turns of the copies among them
    copies = len(set(device.places[:-36]))
    assert copies == len(device.places) - 36
    taken = device.places[-36:]
    assert sorted(place for place in taken if place < copies) == sorted(2 * list(range(copies)))
    gaps = [b - a for a, b in pairwise([number for number, place in enumerate(taken) if place < copies])]
    assert set(gaps) <= {2, 3}


def test_noisy_chains_get_more_rounds_and_quiet_ones_do_not() -> None:
    protocol = Protocol(batch_ops=32, rounds=4, calls=3, noisy=0.02, extra_rounds=3, references=8)
    assert {len(one.warm_ms) for one in measured(Simulated(), protocol)} == {4}
    rounds = [len(one.warm_ms) for one in measured(Simulated(noise=0.1), protocol)]
    assert max(rounds) == 7
    assert mean(rounds) > 5


def test_the_reference_s_usual_time_is_the_median_of_its_runs() -> None:
    chain = CHAINS[0]
    first = Measurement(chain, (1.0, 1.0), (1.0, 1.0), (2.0, 4.0), 3, (0, 0))
    assert usual_reference_ms([first, Measurement(chain, (1.0,), (1.0,), (9.0,), 3, (1,))]) == 4.0


def test_a_timing_scales_each_sample_by_the_reference_around_it() -> None:
    # ratios 0.5, 0.5, 1.0 of a reference that usually takes 4 ms
    one = Measurement(CHAINS[0], (3.0, 6.0, 3.0), (1.0, 2.0, 2.0), (2.0, 4.0, 2.0), 5, (0, 0, 0))
    timing = one.timing(4.0)
    assert timing.median_ms == pytest.approx(2.0)
    assert timing.p90_ms == pytest.approx(2.0 + 0.8 * 2.0)  # numpy's linear percentile between 2 and 4
    assert one.cold(4.0) == pytest.approx(6.0)  # 1.5, 1.5, 1.5
    assert one.spread == pytest.approx((0.75 - 0.5) / 0.5)


def test_the_empty_chain_does_next_to_nothing() -> None:
    assert [(op.out_height, op.out_width, op.out_channels, op.convolutions()) for op in EMPTY] == [(1, 1, 8, [])]
