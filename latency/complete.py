"""What a table lacks, from where the table came: priced by its costs, or measured on this host."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date as Date

from latency.extend import extend_table
from latency.measured_table import Plan, corrected, known_ops, table_from, timed_inside
from latency.protocol import EMPTY, Protocol
from latency.source import LatencySource, ProfilingSource, SourceFacts
from latency.sweeps import time_all
from latency.table import LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, lower


def host_source(runtime: str, threads: int) -> LatencySource:
    """Open the source of a runtime on this host."""
    if runtime == "LiteRT":
        from latency.litert_source import litert_source

        return litert_source(threads)
    from latency.onnxruntime_source import onnxruntime_source

    return onnxruntime_source(threads)


def complete_table(
    table: LatencyTable,
    networks: Sequence[Arch],
    source: Callable[[str, int], LatencySource] = host_source,
) -> LatencyTable:
    """Give a table the Ops of these networks that it lacks, if it can be asked; else it comes back as it is.

    A calibrated table prices them. One of this host has them measured, at the speed that the machine had when the table
    was made; ``InputError`` if it was made on another machine or runtime. Other devices are not here to be asked.
    """
    missing = table.missing(op for arch in networks for op in lower(arch))
    if not missing or table.header.provenance == "calibrated":
        return extend_table(table, missing)
    if table.header.device != "host":
        return table
    with closing(source(table.header.runtime, table.header.threads)) as opened:
        _check_same(table.header, opened.facts)
        timings = {**table.timings, **_measured(table.header, networks, missing, opened)}
    return LatencyTable(table.header.model_copy(update={"entries": len(timings)}), timings)


def network_table(arch: Arch, source: ProfilingSource, made_on: Date) -> LatencyTable:
    """Make a table of one network, timed now."""
    chain = tuple(lower(arch))
    planned = Plan(tuple(dict.fromkeys(chain)), (chain,), ())
    measurements = time_all(source, planned.chains(), Protocol())
    measurements += time_all(source, planned.profiled(), Protocol(), profile=True)
    return table_from(planned, measurements, source.facts, made_on)


def _measured(
    header: TableHeader, networks: Sequence[Arch], missing: Sequence[Op], source: LatencySource
) -> dict[Op, Timing]:
    assert header.reference_ms is not None  # every measured table has it
    wanted, profiled = set(missing), []
    if any(name.startswith("inside") for name in header.weights or {}) or not header.weights:
        assert isinstance(source, ProfilingSource)  # as it was when the table was made
        chains = dict.fromkeys(tuple(lower(arch)) for arch in networks if wanted.intersection(lower(arch)))
        profiled = time_all(source, list(chains), Protocol(), profile=True)
    if not header.weights:
        inside = timed_inside(time_all(source, [EMPTY], Protocol()) + profiled, header.reference_ms)
        return {op: inside[op] for op in missing}
    measurements = time_all(source, [EMPTY, *((op,) for op in missing)], Protocol()) + profiled
    known = known_ops(missing, measurements, header.reference_ms)
    return corrected(known, header.weights, measurements, header.reference_ms)


def _check_same(header: TableHeader, facts: SourceFacts) -> None:
    names = ("runtime_version", "dtype", "clock_policy")
    differing = [name for name in names if getattr(header, name) != getattr(facts, name)]
    if differing:
        told = "; ".join(f"{name} {getattr(header, name)!r}, here {getattr(facts, name)!r}" for name in differing)
        raise InputError(
            f"the table lacks Ops, and it was not made on this machine as it is ({told}); build it again here"
        )
