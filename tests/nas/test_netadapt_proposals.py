"""Proposals: the largest width that saves enough, for networks of every shipped space and all references."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency import load_table
from nas.netadapt.prices import Prices
from nas.netadapt.proposals import Proposer
from nas.netadapt.squeeze import squeeze_rule
from search_spaces import Arch, Block, Head, Stem, load_space, lower, reference, references, shipped_spaces

PIXEL1 = load_table("pixel1")
PLAIN = Arch("plain", 32, 10, Stem(16), (Block("conv", 40, 3, 2), Block("mbconv", 24, 3, 1, 80)), Head(32))


def width_of_block_0(archs):
    return [float(arch.blocks[0].out_channels) for arch in archs]


@st.composite
def networks(draw):
    name = draw(st.sampled_from([*references(), *shipped_spaces()]))
    if name in references():
        return reference(name, width=draw(st.sampled_from([0.5, 1.0])))
    space = load_space(name)
    return space.decode(space.sample(random.Random(draw(st.integers(0, 10**6)))))


@settings(max_examples=12)
@given(networks(), st.integers(0, 1000), st.sampled_from([0.01, 0.04]))
def test_every_step_saves_delta_and_leaves_a_legal_network_with_squeezes_by_the_seeds_rule(seed, choices, delta):
    prices, rng = Prices(PIXEL1), random.Random(choices)
    latency_ms = seed_ms = prices.exactly(seed)
    propose, arch, squeezed = Proposer.of(seed, prices, delta * seed_ms), seed, squeeze_rule(seed)
    for _ in range(3):
        proposals = propose(arch, latency_ms)
        if not proposals:
            break
        for proposal in proposals:
            assert proposal.latency_ms <= latency_ms - delta * seed_ms
            assert proposal.latency_ms == prices.exactly(proposal.arch)
            assert proposal.after % 8 == 0
            assert 8 <= proposal.after < proposal.before
            assert squeezed(proposal.arch) == proposal.arch
            # built anew, Arch checks the residuals; and no layer came or went
            before, after = ([len(op.convolutions()) for op in lower(one)] for one in (arch, proposal.arch))
            assert before == after
            assert [block.skip for block in proposal.arch.blocks] == [block.skip for block in seed.blocks]
        chosen = rng.choice(proposals)
        arch, latency_ms = chosen.arch, chosen.latency_ms


def proposed(price, delta_ms, arch=PLAIN):
    [latency_ms] = price([arch])
    return {p.target: (p.before, p.after) for p in Proposer.of(arch, price, delta_ms)(arch, latency_ms)}


def test_the_largest_multiple_of_8_that_saves_enough_is_proposed():
    # of 40, 9 less is at most 31: 24
    assert proposed(width_of_block_0, 9.0) == {"bottleneck of block 0": (40, 24)}


def test_exactly_delta_is_enough():
    assert proposed(width_of_block_0, 8.0) == {"bottleneck of block 0": (40, 32)}


def test_a_target_that_cannot_save_enough_even_at_8_is_dropped():
    assert proposed(width_of_block_0, 33.0) == {}


def test_widths_are_tried_downward_where_times_do_not_fall_with_the_width():
    times = {40: 10.0, 32: 11.0, 24: 5.0, 16: 12.0, 8: 1.0}
    assert proposed(lambda archs: [times[arch.blocks[0].out_channels] for arch in archs], 2.0) == {
        "bottleneck of block 0": (40, 24)
    }


def test_a_width_at_which_the_expansion_would_be_no_layer_is_left_out():
    arch = Arch("one", 32, 10, Stem(16), (Block("mbconv", 8, 3, 1, 24),), Head(32))

    def expansion(archs):
        return [float(one.blocks[0].expanded) for one in archs]

    # 16 would be the input's width, where the block has no expansion
    assert proposed(expansion, 1.0, arch) == {"expansion of block 0": (24, 8)}


def test_a_width_that_the_table_cannot_price_is_not_proposed():
    def priced(archs):
        return [None if one.blocks[0].out_channels == 32 else float(one.blocks[0].out_channels) for one in archs]

    assert proposed(priced, 1.0) == {"bottleneck of block 0": (40, 24)}


def test_a_width_that_is_no_multiple_of_8_goes_to_the_next_one_below():
    arch = reference("mnasnet_small", 0.35)
    for proposal in Proposer.of(arch, Prices(PIXEL1), 1e-6)(arch, Prices(PIXEL1).exactly(arch)):
        assert proposal.after == (proposal.before - 1) // 8 * 8


def test_the_lowest_latency_is_that_of_the_least_widths():
    # block 0's output and block 1's expansion and output at 8, but for the expansion, which may not be its input's 8
    assert Proposer.of(PLAIN, width_of_block_0, 1.0).lowest_ms(PLAIN) == pytest.approx(8.0)


def test_ops_that_a_calibrated_table_lacks_are_added_to_it_and_told():
    told = []
    prices = Prices(PIXEL1, told.append)
    arch = reference("mobilenet_v3_small", 0.9, 130)
    missing = len(PIXEL1.missing(lower(arch)))
    prices.exactly(arch)
    assert missing > 0
    assert [len(table.timings) for table in told] == [len(PIXEL1.timings) + missing]
