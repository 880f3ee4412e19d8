"""Tables that others publish, as ours. The numbers here are invented; those of the real files stay outside."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from latency import Timing
from latency.block_tables import (
    BlockTable,
    block_table_to_lut,
    import_block_table,
    missing_keys,
    read_block_table,
    unstated,
)
from latency.table_files import table_from_text, table_to_text
from search_spaces import Arch, Block, FileError, Head, Op, SqueezeExcite, Stem, lower, reference

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
PIXEL1 = SHARED / "pixel1-block-lut" / "mobile_trim.yaml"
NOTE10 = SHARED / "note10-block-lut"
TODAY = date(2026, 11, 21)

RATIOS = """\
Conv-input:8x8x3-output:4x4x16: {count: 10, mean: 1.0, var: 0.01}
expanded_conv-input:4x4x16-output:4x4x16-expand:1-kernel:3-stride:1-idskip:0: {count: 10, mean: 2.0, var: 0.04}
expanded_conv-input:4x4x16-output:2x2x24-expand:3-kernel:5-stride:2-idskip:0: {count: 10, mean: 3.0, var: 0.09}
expanded_conv-input:2x2x24-output:2x2x24-expand:6-kernel:7-stride:1-idskip:1: {count: 10, mean: 4.0, var: 0.16}
Conv_1-input:2x2x24-output:2x2x20: {count: 10, mean: 5.0, var: 0.25}
Logits-input:2x2x20-output:10: {count: 10, mean: 7.0, var: 0.36}
"""
WIDTHS = """\
Conv-input:8x8x3-output:4x4x16: {count: 9, mean: 1.0, std: 0.1}
expanded_conv-input:4x4x16-output:4x4x16-expand:16-kernel:3-stride:1-idskip:1-se:0-hs:0: {count: 9, mean: 2.0, std: 0.1}
expanded_conv-input:4x4x16-output:2x2x24-expand:88-kernel:5-stride:2-idskip:0-se:1-hs:1: {count: 9, mean: 3.0, std: 0.1}
Conv_1-input:2x2x24-output:2x2x144: {count: 9, mean: 4.0, std: 0.1}
AvgPool2D-input:2x2x144-output:1x1x144: {count: 9, mean: 5.0, std: 0.1}
Conv_2-input:1x1x144-output:1x1x200: {count: 9, mean: 6.0, std: 0.1}
Logits-input:1x1x200-output:10: {count: 9, mean: 7.0, std: 0.1}
"""
RATIO_NETWORK = Arch(
    name="of_ratios",
    resolution=8,
    classes=10,
    stem=Stem(16, activation="relu6"),
    blocks=(
        Block("mbconv", 16, 3, 1, 16, activation="relu6"),
        Block("mbconv", 24, 5, 2, 48, activation="relu6"),
        Block("mbconv", 24, 7, 1, 144, activation="relu6", skip="identity"),
        Block("mbconv", 24, 7, 1, 144, activation="relu6", skip="identity"),
    ),
    head=Head(20, activation="relu6"),
)
WIDTH_NETWORK = Arch(
    name="of_widths",
    resolution=8,
    classes=10,
    stem=Stem(16, activation="hswish"),
    blocks=(
        Block("mbconv", 16, 3, 1, 16, activation="relu", skip="identity"),
        # 88 / 4 = 22, rounded to 24
        Block("mbconv", 24, 5, 2, 88, SqueezeExcite(24, "hard_sigmoid"), "hswish"),
    ),
    head=Head(144, 200, "hswish"),
)


def read(tmp_path: Path, text: str) -> BlockTable:
    (tmp_path / "their_table.yaml").write_text(text)
    return read_block_table(tmp_path / "their_table.yaml")


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(FileError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "their_table.yaml"))
    assert "\n" not in message
    return message.removeprefix(str(tmp_path / "their_table.yaml"))


def why_unknown(tmp_path: Path, row: str) -> str:
    table = read(tmp_path, f"{RATIOS}{row}: {{mean: 1.0}}\n")
    assert len(table.timings) == 7
    (name,) = table.unknown
    assert name == row
    return table.unknown[row]


def test_a_table_with_ratios_gives_a_networks_time(tmp_path: Path) -> None:
    table = block_table_to_lut(read(tmp_path, RATIOS), unstated("toy"), TODAY)
    # stem 1, blocks 2 + 3 + 4 + 4, convolution 5, pool and classifier 7
    assert table.estimate_ms(RATIO_NETWORK) == pytest.approx(26)
    assert len(table.timings) == 7


def test_a_table_with_widths_gives_a_networks_time(tmp_path: Path) -> None:
    table = block_table_to_lut(read(tmp_path, WIDTHS), unstated("toy"), TODAY)
    assert table.estimate_ms(WIDTH_NETWORK) == pytest.approx(1 + 2 + 3 + 4 + 5 + 6 + 7)
    assert len(table.timings) == 7


def test_a_mean_and_its_variance_become_a_median_and_its_spread(tmp_path: Path) -> None:
    timing = read(tmp_path, RATIOS).timings[lower(RATIO_NETWORK)[2]]
    # a tenth of a normal distribution lies more than 1.2816 standard deviations below its mean: 3 - 1.2816 * 0.3
    assert timing.median_ms == 3.0
    assert timing.p10_ms == pytest.approx(2.61553, abs=1e-5)
    assert timing.p90_ms == pytest.approx(3.38447, abs=1e-5)
    assert timing.runs == 10


def test_a_standard_deviation_serves_as_well(tmp_path: Path) -> None:
    timing = read(tmp_path, WIDTHS).timings[lower(WIDTH_NETWORK)[2]]
    assert timing.p10_ms == pytest.approx(3 - 0.128155)


@pytest.mark.parametrize(
    "row", ["{mean: 1.0}", "{mean: 1.0, var: 0.1}", "{mean: 1.0, count: 3}", "{mean: 1.0, count: 3, std: 0.9}"]
)
def test_a_row_without_a_spread_that_fits_gives_none(tmp_path: Path, row: str) -> None:
    table = read(tmp_path, f"AvgPool2D-input:2x2x144-output:1x1x144: {row}")
    assert table.timings == {Op("pool", 2, 2, 144, 144): Timing(1.0)}


def test_one_time_for_two_ops_is_shared_out_and_told(tmp_path: Path) -> None:
    blocks = read(tmp_path, RATIOS)
    # the pool reads 2 * 2 * 20 = 80 numbers, the classifier 20 inputs and 20 * 10 weights: 80 to 220 of 7 ms
    pool, classifier = (blocks.timings[op] for op in lower(RATIO_NETWORK)[-2:])
    assert (pool.median_ms, classifier.median_ms) == pytest.approx((7 * 80 / 300, 7 * 220 / 300))
    assert (pool.runs, classifier.runs) == (None, None)
    assert blocks.shared == ("Logits-input:2x2x20-output:10",)
    table = block_table_to_lut(blocks, unstated("toy"), TODAY)
    assert "shared out by the numbers that each reads: Logits-input:2x2x20-output:10." in table.header.notes


def test_microseconds_are_taken_at_their_word(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text("AvgPool2D-input:2x2x144-output:1x1x144: {mean: 1500.0, count: 9, std: 100.0}")
    (timing,) = read_block_table(tmp_path / "table.yaml", unit="us").timings.values()
    assert (timing.median_ms, timing.p10_ms, timing.p90_ms) == pytest.approx((1.5, 1.371845, 1.628155))


def test_another_activation_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(RATIOS)
    table = read_block_table(tmp_path / "table.yaml", activation="relu")
    assert {op.activation for op in table.timings} == {"relu", None}


def test_the_header_says_measured_by_others_and_what_nobody_stated(tmp_path: Path) -> None:
    stated = replace(unstated("toy_phone", threads=4), runtime="TFLite")
    header = block_table_to_lut(read(tmp_path, RATIOS), stated, TODAY).header
    assert (header.device, header.provenance, header.date, header.threads) == ("toy_phone", "measured", TODAY, 4)
    assert (header.runtime, header.runtime_version, header.dtype) == ("TFLite", "unstated", "unstated")
    assert header.overhead_ms == 0
    assert header.notes.startswith("Imported from their_table.yaml; its means stand as medians")


def test_an_import_lists_the_ops_that_the_table_lacks(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(RATIOS + "Conv_9-input:1x1x1-output:1x1x1: {mean: 1.0}\n")
    unlike = Op("pool", 9, 9, 8, 8)
    imported = import_block_table(tmp_path / "table.yaml", unstated("toy"), TODAY, [*lower(RATIO_NETWORK), unlike])
    assert imported.missing == (unlike,)
    assert missing_keys(imported.table, [unlike]) == ["pool-9x9x8-8-k1-s1-e0-se0-linear-none"]
    assert list(imported.unknown) == ["Conv_9-input:1x1x1-output:1x1x1"]
    assert "Rows left out: 1." in imported.table.header.notes


def test_an_imported_table_can_be_written_and_read(tmp_path: Path) -> None:
    table = block_table_to_lut(read(tmp_path, RATIOS), unstated("toy"), TODAY)
    again = table_from_text(table_to_text(table), "again")
    assert again.header == table.header
    assert again.estimate_ms(RATIO_NETWORK) == pytest.approx(26)


BLOCK = "expanded_conv-input:4x4x16-output:4x4x16-expand:3-kernel:3-stride:1-idskip:1"


def test_a_map_need_not_be_square(tmp_path: Path) -> None:
    table = read(tmp_path, BLOCK.replace("4x4", "4x9") + ": {mean: 1.0}")
    (op,) = table.timings
    assert (op.height, op.width, op.out_height, op.out_width) == (4, 9, 4, 9)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Softmax-input:1x1x10-output:1x1x10", "a name of another layout"),
        (BLOCK + "-se:1", "a name of another layout"),
        (BLOCK.replace("kernel:3", "kernel:4"), "kernel must be odd"),
        (BLOCK.replace("expand:3", "expand:0"), "expanded must be a whole number of at least 1"),
        (BLOCK.replace("stride:1-idskip:1", "stride:0-idskip:0"), "stride must be a whole number of at least 1"),
        (BLOCK.replace("input:4x4x16", "input:0x4x16"), "a size of 0"),
        (BLOCK.replace("output:4x4x16", "output:4x4x24"), "idskip:1 needs stride 1 and as many channels"),
        (BLOCK.replace("4x4x16-e", "2x2x16-e").replace("stride:1", "stride:2"), "idskip:1 needs stride 1"),
        (BLOCK.replace("output:4x4", "output:3x4"), "its output would be 4x4"),
        ("Conv-input:8x8x4-output:4x4x16", "Conv is the stem, whose input has 3 channels"),
        ("Conv-input:9x9x3-output:3x3x16", "its output would be 5x5"),
        ("Conv_1-input:4x4x24-output:2x2x20", "its output would be 4x4"),
        ("Conv_2-input:2x2x20-output:2x2x30", "Conv_2 comes after the pool"),
        ("AvgPool2D-input:2x2x20-output:1x1x30", "a pool has as many channels out as in"),
        ("AvgPool2D-input:4x4x20-output:2x2x20", "its output would be 1x1"),
        (
            "Logits-input:3x3x20-output:10",
            "the Op linear-1x1x20-10-k1-s1-e0-se0-linear-none is that of Logits-input:2x2",
        ),
    ],
)
def test_a_row_that_no_op_says_is_listed_with_why(tmp_path: Path, row: str, why: str) -> None:
    assert why in why_unknown(tmp_path, row)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    assert problem(tmp_path, "name: tiny\n").startswith(" has no row that is a block; one is named as expanded_conv-")
    assert problem(tmp_path, "[1, 2]\n") == " must hold a mapping of rows, got list"
    assert problem(tmp_path, "") == " must hold a mapping of rows, got NoneType"
    assert problem(tmp_path, "a: [b\n").startswith(" is not YAML: ")
    with pytest.raises(FileError, match=r"cannot read .*absent\.yaml"):
        read_block_table(tmp_path / "absent.yaml")


def test_two_rows_of_one_name_are_refused(tmp_path: Path) -> None:
    first = RATIOS.splitlines(keepends=True)[0]
    assert problem(tmp_path, RATIOS + first) == (
        " has rows of the same name, and only one can be right: Conv-input:8x8x3-output:4x4x16"
    )


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("{mean: 0}", "mean: input should be greater than 0, got 0"),
        ("{mean: .nan}", "mean: input should be a finite number, got nan"),
        ("{mean: '1.0'}", "mean: input should be a valid number, got '1.0'"),
        ("{count: 1}", "mean is missing"),
        ("{mean: 1.0, count: 0}", "count: input should be greater than 0, got 0"),
        ("{mean: 1.0, var: -1.0}", "var: input should be greater than or equal to 0, got -1.0"),
        ("{mean: 1.0, var: 0.1, std: 0.1}", "give var or std, not both"),
        ("{mean: 1.0, counts: 3}", "unknown key 'counts' at the top level; did you mean 'count'?"),
        ("3.5", "the top level: must be a mapping of keys to values, got 3.5"),
    ],
)
def test_a_row_with_impossible_numbers_is_refused_by_name(tmp_path: Path, row: str, what: str) -> None:
    assert problem(tmp_path, f"{RATIOS}{BLOCK}: {row}\n") == f": {BLOCK}: {what}"


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    message = problem(tmp_path, RATIOS.replace("mean: ", "mean: -"))
    assert message.count("input should be greater than 0") == 3
    assert message.endswith("; and 3 more")


@pytest.mark.skipif(not PIXEL1.exists(), reason="needs the measured Pixel 1 blocks in ../shared/data")
def test_every_row_of_the_published_pixel_1_table_is_an_op() -> None:
    blocks = read_block_table(PIXEL1)
    assert blocks.unknown == {}
    assert len(blocks.timings) == 73  # of 72 rows, one for two Ops


@pytest.mark.skipif(not PIXEL1.exists(), reason="needs the measured Pixel 1 blocks in ../shared/data")
def test_the_published_pixel_1_table_knows_mnasnet_b1_and_no_proxyless_mobile() -> None:
    ops = lower(reference("proxyless_mobile"))
    imported = import_block_table(PIXEL1, unstated("pixel1"), TODAY, ops, activation="relu")
    assert imported.table.missing(lower(reference("mnasnet_b1"))) == []
    assert missing_keys(imported.table, ops)


@pytest.mark.skipif(not NOTE10.exists(), reason="needs the measured Note 10 blocks in ../shared/data")
@pytest.mark.parametrize("resolution", [160, 192, 224])
def test_every_row_of_the_published_note_10_tables_is_an_op(resolution: int) -> None:
    blocks = read_block_table(NOTE10 / f"{resolution}_lookup_table.yaml")
    assert blocks.unknown == {}
    assert blocks.shared == ()
    assert len(blocks.timings) == 96
