"""nas-latency: what a table says of a network, and what this host measures."""

from contextlib import closing, nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from nas.commands import shell
from nas.commands.network import load_network
from nas.network_table import COLUMNS, network_rows
from search_spaces import Arch, lower

if TYPE_CHECKING:
    from latency import LatencyTable, TableHeader, Timing

HOST = "host"  # the device that needs no table


def command(
    arch: Annotated[str, typer.Argument(help="A reference network's name, or an architecture in YAML or JSON.")],
    device: Annotated[str, typer.Option(help="A shipped table, a file made by nas-build-lut, or host.")] = "pixel1",
    width: Annotated[float | None, typer.Option(help="Width multiplier of a reference network.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input resolution, in pixels.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Refuse a table for another number of threads.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Refuse a table for another type: float32, int8.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time it on this host too, by ONNX Runtime.")] = False,
    json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Say how long a network takes on a device, part by part.

    Ops that a table lacks are priced by its costs, or measured if it is of this host; other measured tables refuse.
    Without a table of this host, --device host measures the whole network.

    Example: nas-latency mobilenet_v3_large --resolution 192 --measure
    """
    from latency import load_table

    network = load_network(arch, width, resolution, classes)
    with Console(stderr=True).status("timing on this host") if _measures(device) else nullcontext():
        table = _measured_now(network) if _measures(device) else load_table(device, dtype=dtype, threads=threads)
    added = table.missing(lower(network))
    extended = _complete(table, network) if added else table
    latency_ms = extended.estimate_ms(network)
    _print_parts(network, extended, latency_ms)
    print(f"{network.name} at {network.resolution} px: {latency_ms:.2f} ms on {table.header.device}")
    if added:
        how = "priced by the table's costs per class of work"
        if table.header.provenance == "measured":
            how = "measured on this host now"
        print(f"{len(added)} of its Ops are not in the table: they were {how}")
        for op in added:
            print(f"  {op.key}")
    _print_header(table.header)
    timing = _measure(network) if measure else None
    if timing:
        print(
            f"this host, ONNX Runtime, 1 thread: {timing.median_ms:.2f} ms "
            f"(p10 {timing.p10_ms:.2f}, p90 {timing.p90_ms:.2f}, {timing.runs} runs)"
        )
    if json:
        values = {
            "latency_ms": latency_ms,
            "device": table.header.device,
            "provenance": table.header.provenance,
            "overhead_ms": table.header.overhead_ms,
            "parts": [{"op": op.key, "ms": ms} for op, ms in extended.parts(network)],
            "not_in_table": [op.key for op in added],
        }
        shell.print_json(values | ({"host_ms": timing.median_ms} if timing else {}))


def _measures(device: str) -> bool:
    return device == HOST and not Path(device).exists()


def _measured_now(network: Arch) -> "LatencyTable":
    from latency.complete import network_table
    from latency.onnxruntime_source import onnxruntime_source

    with closing(onnxruntime_source()) as source:
        return network_table(network, source, date.today())


def _complete(table: "LatencyTable", network: Arch) -> "LatencyTable":
    from latency.complete import complete_table

    with Console(stderr=True).status("measuring what the table lacks"):
        return complete_table(table, [network])


def _measure(arch: Arch) -> "Timing":
    from latency import time_network

    with Console(stderr=True).status("timing on this host"):
        return time_network(arch)


def _print_parts(arch: Arch, table: "LatencyTable", latency_ms: float) -> None:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        shown.add_column(name, no_wrap=True)
    for name in ("ms", "share"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row, (_, ms) in zip(network_rows(arch, None), table.parts(arch), strict=True):
        shown.add_row(*row.cells, f"{ms:.3f}", f"{ms / latency_ms:.1%}")
    overhead_ms = table.header.overhead_ms
    if overhead_ms:
        blank = [""] * (len(COLUMNS) - 1)
        shown.add_row("overhead", *blank, f"{overhead_ms:.3f}", f"{overhead_ms / latency_ms:.1%}")
    console = Console()
    if not console.is_terminal:
        console.width = 120  # in a pipe there is no width to fit; nothing is cut short
    console.print(shown)


def _print_header(header: "TableHeader") -> None:
    checked = header.accuracy.sentence() if header.accuracy else "never checked on whole networks"
    print(f"table: {header.device}, {header.provenance}, made {header.date}, {header.entries} Ops")
    print(f"  runtime: {header.runtime} {header.runtime_version}, {header.dtype}, threads: {header.threads}")
    print(f"  clock: {header.clock_policy}")
    print(f"  error: {checked}")
    if header.notes:
        print(f"  notes: {header.notes}")


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-latency")


if __name__ == "__main__":
    main()
