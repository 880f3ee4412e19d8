"""More Ops for a calibrated table, from the costs in its header."""

from collections.abc import Iterable

from latency.features import Features, calibrated_ms
from latency.table import LatencyTable
from latency.timing import Timing
from search_spaces import InputError, Op


def extend_table(table: LatencyTable, ops: Iterable[Op]) -> LatencyTable:
    """Give a calibrated table the Ops that it lacks, priced by its own costs; a measured table comes back as it is.

    The caller says aloud which Ops these were: `LatencyTable.missing`.
    """
    costs = table.header.costs_ns
    missing = table.missing(ops)
    if costs is None or not missing:
        return table
    if set(costs) != set(Features._fields):
        raise InputError(
            f"the table for {table.header.device} has costs for {', '.join(sorted(costs))}, and this version prices "
            f"{', '.join(sorted(Features._fields))}; make the table again with nas-build-lut"
        )
    timings = dict(table.timings) | {op: Timing(calibrated_ms(op, costs)) for op in missing}
    return LatencyTable(table.header.model_copy(update={"entries": len(timings)}), timings)
