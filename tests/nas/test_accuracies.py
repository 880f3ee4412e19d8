"""Files of known accuracies: what is read from them, and what is said of those that cannot be used."""

import itertools
from pathlib import Path

import pytest

from nas.accuracies import load_accuracies
from search_spaces import FileError, load_space

SPACE = load_space(Path(__file__).parent.parent / "spaces" / "tiny.yaml")  # five decisions of two
FOUR = "tokens,accuracy,latency_ms\n00,0.5,10\n01,0.6,12.5\n10,0.7,11\n11,0.8,14\n"


@pytest.fixture
def read(tmp_path):
    def load(text, space=None):
        path = tmp_path / "known.csv"
        path.write_text(text, encoding="utf-8")
        return load_accuracies(path, space)

    return load


def test_a_file_with_tokens_defines_its_own_decisions(read):
    table = read("tokens,accuracy,latency_ms\n00,0.5,10\n01,0.6,12.5\n02,0.65,13\n10,0.7,11\n11,0.8,14\n12,0.75,15\n")
    assert table.sizes == (2, 3)
    assert (table.rows[0, 1].accuracy, table.rows[0, 1].latency_ms) == (0.6, 12.5)
    assert table.has_latencies
    assert str(table) == "known.csv, 6 networks of 2 decisions"


@pytest.mark.parametrize("written", ["0{sep}1", "[0{sep} 1]", "( 0{sep}1 )"])
@pytest.mark.parametrize("sep", [" ", "-", ","])
def test_tokens_may_be_integers_with_something_between(read, written, sep):
    row = f'"{written.format(sep=sep)}"'
    table = read(FOUR.replace("01,0.6", f"{row},0.6"))
    assert table.rows[0, 1].accuracy == 0.6


def test_tokens_of_more_than_nine_choices_are_written_apart(read):
    table = read("tokens,accuracy\n" + "".join(f"{token}-0,0.5\n" for token in range(12)))
    assert table.sizes == (12, 1)


def test_accuracies_in_percent_are_named_so(read):
    table = read("tokens,accuracy_percent,latency_ms\n0,93.25,1\n1,94,2\n")
    assert table.rows[0,].accuracy == pytest.approx(0.9325)


def test_a_network_without_an_accuracy_is_one_that_fails(read):
    table = read(FOUR.replace("0.7", ""))
    assert table.rows[1, 0].accuracy is None
    assert str(table) == "known.csv, 4 networks of 2 decisions, 1 of them without an accuracy"


def test_columns_that_say_nothing_to_a_search_are_named(read):
    assert str(read("tokens, accuracy, params, std\n0,0.5,7,8\n1,0.6,7,8\n")) == (
        "known.csv, 2 networks of 1 decisions; columns not used: params, std"
    )


def test_empty_lines_and_a_byte_order_mark_are_passed_over(read):
    assert read("\ufefftokens,accuracy\n\n0,0.5\n1,0.6\n\n").sizes == (2,)


def test_a_file_of_a_space_may_have_a_column_for_each_decision(read):
    names = [decision.name for decision in SPACE.decisions]
    assert names == ["stage1.op", "stage1.kernel", "stage2.se", "stage2.channels", "stage2.depth"]
    rows = itertools.product(["dconv", "mbconv3"], [3, 5.0], ["0", 0.25], [16, 24], [1, 2])
    lines = [",".join(map(str, (*row, 0.5 + index / 100))) for index, row in enumerate(rows)]
    table = read("\n".join([",".join([*names, "accuracy"]), *lines]), SPACE)
    assert table.rows[0, 0, 0, 0, 0].accuracy == 0.5
    assert table.rows[1, 0, 1, 1, 0].accuracy == 0.72  # the 22nd of 32: 10110 in binary
    assert not table.has_latencies


WRONG = [
    ("", "must have one column accuracy (in [0, 1]) or accuracy_percent, it has nothing"),
    ("tokens;accuracy\n0;0.5\n", "must have one column accuracy (in [0, 1]) or accuracy_percent, it has tokens;acc"),
    (
        "tokens,accuracy,accuracy_percent\n",
        "must have one column accuracy (in [0, 1]) or accuracy_percent, it has bo",
    ),
    ("tokens,accuracy,accuracy\n", "has column 'accuracy' twice; give each column a name of its own"),
    ("arch,accuracy\n0,0.5\n", "has no column tokens; add it, or give the --space whose decisions its columns are"),
    ("tokens,accuracy\n", "lists no network; give it a row for each"),
    (FOUR.replace("0.7", "1.7"), ": line 4: accuracy must be 0 to 1, got 1.7; a column in percent is named"),
    (FOUR.replace("0.7", "-0.1"), ": line 4: accuracy must be 0 to 1, got -0.1"),
    (FOUR.replace("0.7", "nan"), ": line 4: accuracy must be 0 to 1, got nan"),
    (FOUR.replace("0.7", "high"), ": line 4: accuracy must be a number, got 'high'"),
    (FOUR.replace("accuracy", "accuracy_percent").replace("0.7", "101"), "accuracy_percent must be 0 to 100, got 101"),
    (FOUR.replace("12.5", "0"), ": line 3: latency_ms must be a positive number, got 0"),
    (FOUR.replace("12.5", ""), ": line 3: latency_ms must be a number, got ''"),
    (FOUR.replace("12.5", "inf"), ": line 3: latency_ms must be a positive number, got inf"),
    (
        FOUR.replace("10,0.7", "1x,0.7"),
        ": line 4: tokens must be integers from 0 on, such as 0122 or 0-1-2-2, got '1x",
    ),
    (FOUR.replace("10,0.7", ",0.7"), ": line 4: tokens must be integers from 0 on"),
    (FOUR.replace("10,0.7", "-1 0,0.7"), ": line 4: tokens must be integers from 0 on"),
    (FOUR.replace("10,0.7", "10000-0,0.7"), ": line 4: tokens must be integers from 0 on"),
    (FOUR.replace("10,0.7", "01,0.7"), ": line 4: its tokens stand on line 3 already; list each network once"),
    (FOUR.replace("01,0.6", "1,0.6"), ": line 3: 1 tokens, where others have 2 (leading zeros get lost where tokens"),
    (FOUR.replace("0.7,11", "0.7"), ": line 4: it has 2 cells for 3 columns"),
    (FOUR.replace("0.7,11", "0.7,11,12"), ": line 4: it has 4 cells for 3 columns"),
    (
        FOUR.replace("11,0.8,14\n", ""),
        "lists 3 of the 4 networks that 2 decisions make, and not 1-1; give every netwo",
    ),
]


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_a_file_that_cannot_be_used_says_where_and_why(read, text, says):
    with pytest.raises(FileError) as caught:
        read(text)
    assert "known.csv" in str(caught.value)
    assert says in str(caught.value)


def test_the_first_three_problems_are_named_and_the_others_counted(read):
    rows = "".join(f"{token},{token}\n" for token in range(2, 8))
    with pytest.raises(FileError, match=r"line 2: .*; line 3: .*; line 4: .*; and 3 more$"):
        read("tokens,accuracy\n" + rows)


def test_tokens_must_be_of_the_space(read):
    with pytest.raises(FileError, match=r"line 2: space 'tiny' takes 5 tokens, got 4"):
        read("tokens,accuracy\n0000,0.5\n", SPACE)
    with pytest.raises(FileError, match=r"line 2: token for stage1.kernel must be 0 to 1 in space 'tiny', got 2"):
        read("tokens,accuracy\n02000,0.5\n", SPACE)


def test_choices_must_be_of_the_space(read):
    header = "stage1.op,stage1.kernel,stage2.se,stage2.channels,stage2.depth,accuracy\n"
    with pytest.raises(FileError, match=r"line 2: stage1.kernel must be one of 3, 5, got '7'"):
        read(header + "dconv,7,0,16,1,0.5\n", SPACE)
    with pytest.raises(FileError, match=r"it lacks stage1.op, stage1.kernel, stage2.se, \.\.\.$"):
        read("kernel,accuracy\n3,0.5\n", SPACE)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*nowhere.csv"):
        load_accuracies(tmp_path / "nowhere.csv")


def test_another_accuracy_is_another_fingerprint(read):
    assert read(FOUR).fingerprint != read(FOUR.replace("0.7", "0.71")).fingerprint


def test_a_published_table_needs_only_its_columns_renamed(tmp_path):
    published = Path(__file__).parents[3] / "shared" / "data" / "nas-bench-macro" / "nas_bench_macro_cifar10.csv"
    if not published.is_file():
        pytest.skip(f"needs NAS-Bench-Macro (Su et al. 2021) at {published}")
    header, rest = published.read_text(encoding="utf-8").split("\n", 1)
    assert header == "arch,acc_run1,acc_run2,acc_run3,mean_acc,std,params,flops"
    renamed = "tokens,acc_run1,acc_run2,acc_run3,accuracy_percent,std,params,latency_ms"
    (tmp_path / "macro.csv").write_text(f"{renamed}\n{rest}", encoding="utf-8")
    table = load_accuracies(tmp_path / "macro.csv")
    assert table.sizes == (3,) * 8
    assert table.rows[(0,) * 8].accuracy == pytest.approx(0.453633)
    assert max(row.accuracy for row in table.rows.values()) == pytest.approx(0.9313, abs=5e-5)
