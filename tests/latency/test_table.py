import pickle
from datetime import date
from itertools import pairwise

import pytest

from latency import LatencyTable, MissingOpsError, TableHeader, Timing
from search_spaces import Arch, Block, Head, InputError, Op, Stem, lower

ARCH = Arch(
    name="three_ops_and_a_head",
    resolution=8,
    classes=10,
    stem=Stem(8),
    blocks=(Block("mbconv", 8, 3, 1, 16), Block("mbconv", 8, 3, 1, 16)),
    head=Head(32),
)
OPS = lower(ARCH)  # stem, block, the same block, head convolution, pool, linear: five different Ops


def header(entries: int, overhead_ms: float = 0.0) -> TableHeader:
    return TableHeader(
        device="toy",
        provenance="measured",
        runtime="none",
        runtime_version="1",
        threads=1,
        dtype="float32",
        clock_policy="none",
        date=date(2026, 11, 21),
        entries=entries,
        overhead_ms=overhead_ms,
    )


def table(ops: list[Op], overhead_ms: float = 0.0) -> LatencyTable:
    """A table in which the first Op takes 1 ms, the second 2 ms, and so on."""
    different = list(dict.fromkeys(ops))
    timings = {op: Timing(float(index)) for index, op in enumerate(different, 1)}
    return LatencyTable(header(len(different), overhead_ms), timings)


def test_estimate_is_the_overhead_and_the_sum_of_all_ops() -> None:
    # 0.5 + stem 1 + block 2 + block 2 + convolution 3 + pool 4 + linear 5
    assert table(OPS, overhead_ms=0.5).estimate_ms(ARCH) == 17.5


def test_parts_are_in_the_order_of_the_network_without_the_overhead() -> None:
    assert [ms for _, ms in table(OPS, overhead_ms=0.5).parts(ARCH)] == [1, 2, 2, 3, 4, 5]


def test_op_ms_looks_one_op_up() -> None:
    assert table(OPS).op_ms(OPS[3]) == 3


def test_missing_lists_each_op_once_in_the_order_given() -> None:
    assert table(OPS[:1]).missing(OPS) == [OPS[1], OPS[3], OPS[4], OPS[5]]


def test_estimate_raises_with_every_missing_op() -> None:
    with pytest.raises(MissingOpsError) as caught:
        table(OPS[:2]).estimate_ms(ARCH)
    assert caught.value.missing == (OPS[3], OPS[4], OPS[5])


def test_parts_and_op_ms_never_guess_a_missing_op() -> None:
    with pytest.raises(MissingOpsError):
        table(OPS[:2]).parts(ARCH)
    with pytest.raises(MissingOpsError):
        table(OPS[:2]).op_ms(OPS[5])


def test_missing_ops_are_told_by_number_first_three_and_the_command_that_fills_them() -> None:
    with pytest.raises(MissingOpsError) as caught:
        table(OPS[:1]).check_ops(OPS, "my_space.yaml")
    assert str(caught.value) == (
        "the table for toy lacks 4 of the 5 Ops of space 'my_space.yaml': "
        "mbconv-4x4x8-8-k3-s1-e16-se0-relu-none, conv-4x4x8-32-k1-s1-e0-se0-relu-none, "
        "pool-4x4x32-32-k1-s1-e0-se0-linear-none, ...; "
        "make a table that has them as this one was made, and add --space my_space.yaml"
    )


def test_check_ops_is_content_with_a_full_table() -> None:
    table(OPS).check_ops(OPS, "my_space.yaml")


def test_missing_ops_error_is_the_users_and_a_lookup_error_and_survives_pickling() -> None:
    error = MissingOpsError("lacks one", (OPS[0],))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, InputError)
    assert isinstance(again, LookupError)
    assert (str(again), again.missing) == ("lacks one", (OPS[0],))


def test_a_table_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(table(OPS))).estimate_ms(ARCH) == 17


def test_a_table_must_have_as_many_ops_as_its_header_promises() -> None:
    with pytest.raises(InputError, match="promises 3 entries, but there are 1"):
        LatencyTable(header(3), {OPS[0]: Timing(1.0)})


def test_a_dearer_op_makes_every_network_that_has_it_dearer() -> None:
    estimates = [
        LatencyTable(header(5), dict(table(OPS).timings) | {OPS[1]: Timing(ms)}).estimate_ms(ARCH) for ms in (1, 2, 3)
    ]
    assert [after - before for before, after in pairwise(estimates)] == [2, 2]  # the block is there twice
