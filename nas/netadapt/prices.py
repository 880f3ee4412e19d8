"""Latencies of networks by a table that grows: Ops that it lacks are priced or measured once, and added to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from latency import LatencyTable
from latency.complete import complete_table
from search_spaces import Arch, lower


@dataclass(slots=True)
class Prices:
    """A `nas.netadapt.proposals.Price`; ``on_grown`` is told of each table that has more Ops than the one before.

    ``refused`` counts networks with Ops that the table lacks and that nobody can be asked for: those of a device that
    is not this host.
    """

    table: LatencyTable
    on_grown: Callable[[LatencyTable], None] = lambda table: None
    refused: int = 0

    def __call__(self, archs: Sequence[Arch]) -> list[float | None]:
        """Give the latency of each network in ms, or None where the table can't say."""
        if self.table.missing(op for arch in archs for op in lower(arch)):
            grown = complete_table(self.table, archs)
            if len(grown.timings) > len(self.table.timings):
                self.table = _as_written(grown, self.table)
                self.on_grown(self.table)
        return [self._estimate_ms(arch) for arch in archs]

    def exactly(self, arch: Arch) -> float:
        """Give the latency of one network; `MissingOpsError` where the table can't say."""
        self([arch])
        return self.table.estimate_ms(arch)

    def refusals(self) -> str:
        """Say what could not be priced, and what to do; nothing where all was."""
        if not self.refused:
            return ""
        return (
            f"{self.refused} narrower networks have no price: the table for {self.table.header.device} lacks "
            "their Ops and nobody can be asked for them here; make one that has them: nas-build-lut --arch FILE"
        )

    def _estimate_ms(self, arch: Arch) -> float | None:
        if self.table.missing(lower(arch)):
            self.refused += 1
            return None
        return self.table.estimate_ms(arch)


def _as_written(grown: LatencyTable, before: LatencyTable) -> LatencyTable:
    """Round new times as a table's file does, so that a run that is resumed from it sees the same latencies."""
    new = {op: grown.timings[op] for op in grown.timings if op not in before.timings}
    rounded = {op: replace(timing, median_ms=float(f"{timing.median_ms:.6g}")) for op, timing in new.items()}
    return LatencyTable(grown.header, {**before.timings, **rounded})
