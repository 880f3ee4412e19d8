import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency import Accuracy, LatencyTable, TableHeader, Timing, load_table, save_table, shipped_tables
from latency.table_files import table_from_text, table_to_text
from search_spaces import FileError, InputError, Op, SqueezeExcite

TEXT = """\
format: 1
device: toy
provenance: measured
runtime: onnxruntime
runtime_version: '1.0'
threads: 1
dtype: float32
clock_policy: none
date: 2026-11-21
entries: 2
overhead_ms: 0.25
---
op,median_ms,p10_ms,p90_ms,runs
mbconv-56x56x24-24-k3-s1-e72-se24hard_sigmoid-relu-identity,1.5,1.25,2.0,100
linear-1x1x8-4-k1-s1-e0-se0-linear-none,0.5,,,
"""
MBCONV = Op("mbconv", 56, 56, 24, 24, 3, 1, 72, SqueezeExcite(24, "hard_sigmoid"), "relu", "identity")
LINEAR = Op("linear", 1, 1, 8, 4)


def problem(text: str) -> str:
    with pytest.raises(FileError) as caught:
        table_from_text(text, "toy.lut")
    return str(caught.value)


def test_a_file_holds_a_header_and_a_row_for_each_op() -> None:
    table = table_from_text(TEXT, "toy.lut")
    assert (table.header.device, table.header.date, table.header.overhead_ms) == ("toy", date(2026, 11, 21), 0.25)
    assert table.timings == {MBCONV: Timing(1.5, 1.25, 2.0, 100), LINEAR: Timing(0.5)}


@st.composite
def tables(draw: st.DrawFn) -> LatencyTable:
    sizes = st.integers(1, 300)
    ops = draw(st.lists(st.builds(Op, st.sampled_from(["conv", "linear"]), sizes, sizes, sizes, sizes), unique=True))
    steps = draw(st.lists(st.integers(1, 99999), min_size=len(ops), max_size=len(ops)))
    timings = {op: Timing(step / 100, step / 200, step / 50, step) for op, step in zip(ops, steps, strict=True)}
    text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
    accuracy = Accuracy(method="held out", networks=3, mape=0.1, worst=0.2, spearman=1)
    header = TableHeader(
        device=draw(text),
        provenance=draw(st.sampled_from(["measured", "calibrated"])),
        runtime=draw(text),
        runtime_version="1",
        threads=draw(st.integers(1, 8)),
        dtype="float32",
        clock_policy="none",
        date=draw(st.dates()),
        entries=len(ops),
        overhead_ms=draw(st.floats(0, 10)),
        costs_ns=draw(st.none() | st.just({"a": 0.5})),
        accuracy=draw(st.none() | st.just(accuracy)),
        notes=draw(text),
    )
    return LatencyTable(header, timings)


@given(tables())
def test_reading_is_the_inverse_of_writing(table: LatencyTable) -> None:
    assert table_from_text(table_to_text(table), "toy.lut") == table


def test_a_table_is_saved_and_loaded_by_path(tmp_path: Path) -> None:
    save_table(table_from_text(TEXT, "toy.lut"), tmp_path / "mine.lut")
    assert load_table(tmp_path / "mine.lut").timings[LINEAR] == Timing(0.5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.lut"]  # nothing is left lying about


def test_the_tables_of_three_phones_are_shipped() -> None:
    assert shipped_tables() == ["pixel1", "pixel2", "pixel3"]
    assert [load_table(name).header.device for name in shipped_tables()] == shipped_tables()


def test_an_unknown_name_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(InputError) as caught:
        load_table("pixel9")
    assert str(caught.value) == (
        "unknown device or table 'pixel9'; give one of pixel1, pixel2, pixel3, or a table file made by nas-build-lut"
    )


def test_a_folder_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read table"):
        load_table(tmp_path)
    (tmp_path / "image.lut").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="is not a text file"):
        load_table(tmp_path / "image.lut")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(TEXT.index("linear-"), id="between two rows"),
        pytest.param(len(TEXT) - 1, id="within the last row"),
        pytest.param(TEXT.index("---"), id="after the header"),
        pytest.param(TEXT.index("runtime"), id="within the header"),
        pytest.param(0, id="at its start"),
    ],
)
def test_a_file_that_was_cut_is_refused(end: int) -> None:
    assert "cut" in problem(TEXT[:end])


def test_a_table_that_does_not_end_where_it_was_cut_is_never_read() -> None:
    for end in range(len(TEXT)):
        assert "toy.lut" in problem(TEXT[:end])


@pytest.mark.parametrize("cell", ["-0.5", "0", "nan", "inf", ""])
def test_a_time_that_is_not_positive_is_named_with_its_line(cell: str) -> None:
    message = problem(TEXT.replace("none,0.5,", f"none,{cell},"))
    assert message.startswith("toy.lut: line 15: a time must be a positive number of milliseconds")


def test_a_time_that_is_no_number_is_named() -> None:
    assert problem(TEXT.replace("0.5,", "fast,")) == (
        "toy.lut: line 15: a time must be a number of milliseconds, got 'fast'"
    )


def test_an_op_that_stands_twice_is_named() -> None:
    row = "linear-1x1x8-4-k1-s1-e0-se0-linear-none,0.5,,,\n"
    message = problem(TEXT.replace("entries: 2", "entries: 3") + row)
    assert message == "toy.lut: line 16: linear-1x1x8-4-k1-s1-e0-se0-linear-none stands here for the second time"


def test_a_future_format_is_refused_before_anything_else() -> None:
    message = problem(TEXT.replace("format: 1", "format: 2\nnew_key: 1"))
    assert message.startswith("toy.lut has format 2, and this version reads format 1;")


def test_a_wrong_number_of_entries_is_refused() -> None:
    assert "promises 5 entries, but there are 2" in problem(TEXT.replace("entries: 2", "entries: 5"))


def test_an_unknown_header_key_is_refused_with_the_nearest_one() -> None:
    message = problem(TEXT.replace("threads: 1", "thread: 1"))
    assert "threads is missing" in message
    assert "unknown key 'thread' at the top level; did you mean 'threads'?" in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("overhead_ms: 0.25", "overhead_ms: .nan", "overhead_ms"),
        ("overhead_ms: 0.25", "overhead_ms: -1", "overhead_ms"),
        ("provenance: measured", "provenance: guessed", "provenance"),
        ("threads: 1", "threads: 0", "threads"),
        ("format: 1", "{", "not YAML"),
        ("op,median_ms", "op,mean_ms", "line 13: expected the columns op,median_ms"),
        ("linear-1x1x8", "linear-1x8", "is not an Op"),
        (",2.0,100", ",2.0", "line 14: expected 5 cells, got 4"),
        (",100", ",many", "runs must be a whole number, got 'many'"),
    ],
)
def test_a_header_or_row_that_makes_no_sense_is_refused(old: str, new: str, told: str) -> None:
    assert told in problem(TEXT.replace(old, new))


def test_of_many_problems_three_are_told_and_the_rest_counted() -> None:
    message = problem(TEXT + "a\nb\nc\nd\n")
    assert message.count("expected 5 cells") == 3
    assert message.endswith("and 1 more")


def test_a_table_is_not_saved_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot write .*No such file"):
        save_table(table_from_text(TEXT, "toy.lut"), tmp_path / "nowhere" / "mine.lut")


def test_saving_over_a_table_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "mine.lut").mkdir()
    with pytest.raises(FileError, match=r"cannot write .*mine.lut: Is a directory"):
        save_table(table_from_text(TEXT, "toy.lut"), tmp_path / "mine.lut")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.lut"]


_SAVE_FOR_EVER = """
import sys
from latency import load_table, save_table
table = load_table("pixel1")
while True:
    save_table(table, sys.argv[1])
    print("saved", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process the Unix way")
def test_a_kill_while_saving_leaves_a_whole_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.lut"
    for pause in (0.0, 0.007, 0.013):
        process = subprocess.Popen([sys.executable, "-c", _SAVE_FOR_EVER, path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process, process.stdout:
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        assert load_table(path) == load_table("pixel1")


def test_the_file_keeps_six_digits_of_a_time() -> None:
    table = table_from_text(TEXT, "toy.lut")
    fine = replace(table, timings={MBCONV: Timing(1.23456789), LINEAR: Timing(0.000012345678)})
    text = table_to_text(fine)
    assert "-identity,1.23457,,,\n" in text
    assert "-none,1.23457e-05,,,\n" in text
