"""How long a network takes on which device: by latency tables, and as its files were measured here."""

from collections.abc import Sequence
from dataclasses import dataclass

from latency import LatencyTable, extend_table
from latency.agent import facts
from nas.deploy.files import ModelFile
from search_spaces import Op


@dataclass(frozen=True, slots=True)
class Latency:
    """A time for one image, in milliseconds, and where it comes from; ``file`` is None for an estimate by a table."""

    device: str
    runtime: str
    dtype: str
    threads: int
    ms: float
    provenance: str
    file: str | None = None


def estimated(ops: Sequence[Op], table: LatencyTable) -> Latency:
    """Estimate a network by a table; ``MissingOpsError`` if it lacks Ops and has no costs to price them by."""
    missing = table.missing(ops)
    extended, header = extend_table(table, missing), table.header
    ms = header.overhead_ms + sum([extended.op_ms(op) for op in ops])
    how = f"estimated by a {header.provenance} table of {header.date}"
    if missing:
        how += f", {len(missing)} of {len(set(ops))} Ops priced by its costs"
    trust = header.accuracy.sentence() if header.accuracy else "never checked on whole networks"
    runtime = f"{header.runtime} {header.runtime_version}"
    return Latency(header.device, runtime, header.dtype, header.threads, ms, f"{how}; {trust}")


def measured(file: ModelFile) -> Latency:
    """Tell what a file took on this host."""
    timing = file.host
    told = f"measured, median of {timing.runs} runs (p10 {timing.p10_ms:.2f}, p90 {timing.p90_ms:.2f})"
    cpu = facts("onnx")["cpu"]
    device = f"this host: {cpu}" if cpu else "this host"
    return Latency(device, file.runtime, file.dtype, 1, timing.median_ms, told, file.name)
