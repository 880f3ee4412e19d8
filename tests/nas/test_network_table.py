"""Networks as text: what people read must be what the network is."""

from nas.network_table import describe, network_rows
from search_spaces import Arch, Block, Head, Stem, reference


def test_description_counts_runs_of_like_blocks() -> None:
    # ratios to the input: 64/16, 72/24, then 72/24 and 120/40 alike, 240/40, 200/80, 184/80, 480/80 and 672/112, ...
    assert describe(reference("mobilenet_v3_large")) == (
        "stem 16 · dconv k3 16 · mbconv4 k3 24 · mbconv3 k3 24 · 3× mbconv3 k5 40 se"
        " · mbconv6 k3 80 · mbconv2.5 k3 80 · 2× mbconv2.3 k3 80 · 2× mbconv6 k3 112 se · 3× mbconv6 k5 160 se"
        " · head 960"
    )


def test_rows_follow_the_network_from_stem_to_classifier() -> None:
    rows = network_rows(reference("mobilenet_v3_small"), None)
    # a stage begins at a stride of 2 and where the ratio (72/16, 88/24, 96/24, 240/40, 120/40) or the width changes
    assert [row.cells[0] for row in rows] == ["stem", *"12345566777", *["head"] * 4]


def test_a_row_shows_what_a_block_is_and_costs() -> None:
    row = network_rows(reference("mobilenet_v3_small"), None)[
        4
    ]  # 5x5, 96 -> 40, SE 24, h-swish, stride 2, from 24x28x28
    assert row.cells == ("4", "mbconv4", "5×5", "2", "96", "40", "24", "h-swish", "–", "14×14")
    # expand 24*96*784, depthwise 25*96*196, squeeze and excite 2*24*96, project 96*40*196
    assert row.macs == 1_806_336 + 470_400 + 4_608 + 752_640
    # weights 2304 + 2400 + 4608 + 3840, biases 24 + 96, two for each of 96 + 96 + 40 batch-norm channels
    assert row.params == 13_152 + 120 + 464
    assert row.latency_ms is None


def test_times_come_from_the_given_lookup() -> None:
    rows = network_rows(reference("mobilenet_v3_small"), lambda op: float(op.out_channels))
    assert [row.latency_ms for row in rows[:3]] == [16.0, 16.0, 24.0]


def test_full_convolutions_and_skips_are_named() -> None:
    blocks = (Block("conv", 8, 3, 1, skip="identity"), Block("conv", 8, 5, 2, skip="pool"))
    arch = Arch("two", 32, 10, Stem(8), blocks, Head(16))
    rows = network_rows(arch, None)
    assert describe(arch) == "stem 8 · conv k3 8 · conv k5 8 · head 16"
    assert rows[1].cells == ("1", "conv", "3×3", "1", "–", "8", "–", "relu", "identity", "16×16")
    assert rows[2].cells == ("2", "conv", "5×5", "2", "–", "8", "–", "relu", "pool", "8×8")
    assert rows[-1].cells == ("head", "linear", "–", "–", "–", "10", "–", "–", "–", "1×1")
