"""nas-build-lut: make a latency table."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.commands import shell
from nas.commands.network import load_network
from nas.commands.sources import Via, Wire, best_way, check_protocol, open_source, protocol

if TYPE_CHECKING:
    from latency.device import Device
    from search_spaces import Arch, SearchSpace


def command(
    device: Annotated[
        str | None, typer.Option(help="A shipped device profile, or a YAML file; else what --via implies.")
    ] = None,
    space: Annotated[
        list[str] | None, typer.Option(help="A space whose Ops the table gets: shipped name or YAML file. Repeatable.")
    ] = None,
    arch: Annotated[
        list[str] | None, typer.Option(help="A network whose Ops it gets: reference name or file. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The table file to write; else DEVICE.lut in this folder.")] = None,
    via: Annotated[Via, typer.Option(help="Where times come from; auto takes the best way there is.")] = Via.AUTO,
    check: Annotated[
        int, typer.Option(min=0, help="Time so many networks that the table never saw, and say how well it predicts.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads that a network runs on.")] = 1,
    host: Annotated[str | None, typer.Option(help="With --via ssh: the board, as user@board.")] = None,
    ssh_option: Annotated[list[str] | None, typer.Option(help="With --via ssh: an option for ssh. Repeatable.")] = None,
    python: Annotated[str, typer.Option(help="With --via ssh: the board's Python that has onnxruntime.")] = "python3",
    benchmark_model: Annotated[
        Path | None, typer.Option(help="With --via adb: TensorFlow Lite's benchmark tool for the phone.")
    ] = None,
    serial: Annotated[str | None, typer.Option(help="With --via adb: which phone, if several are attached.")] = None,
    xnnpack: Annotated[bool, typer.Option(help="With --via adb: XNNPACK's kernels, not the built-in ones.")] = False,
    block_table: Annotated[
        Path | None,
        typer.Option(
            "--import", help="Read a table in ProxylessNAS's and once-for-all's YAML layout; measure nothing."
        ),
    ] = None,
    json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Make a latency table for a device.

    Calibrated tables get the Ops of all shipped spaces and reference networks without --space and --arch; measured
    ones those of the mnasnet space. A build that was cut short goes on where it was when the same command runs again.

    Example: nas-build-lut --via onnxruntime --space mnasnet --check 50 --out my_machine.lut
    """
    from latency.device import load_device
    from search_spaces import load_space

    spaces = [load_space(name) for name in space or []]
    archs = [load_network(name) for name in arch or []]
    if block_table is not None:
        _import(block_table, device or block_table.stem, spaces, archs, out, json)
        return
    profile = load_device(device or ("host" if via in (Via.ONNXRUNTIME, Via.TFLITE) else "pixel1"))
    path = out or Path(f"{profile.name}.lut")
    wire = Wire(threads, host, tuple(ssh_option or ()), python, benchmark_model, serial, xnnpack)
    if via is Via.AUTO:
        via, reason = best_way(profile, wire)
        print(f"via {via}: {reason}")
    if via is Via.CALIBRATED:
        _calibrate(profile, spaces, archs, path, check, json)
    else:
        _measure(via, profile, wire, spaces or [load_space("mnasnet")], archs, path, check, json)


def _measure(
    via: Via,
    profile: "Device",
    wire: Wire,
    spaces: "list[SearchSpace]",
    archs: "list[Arch]",
    path: Path,
    check: int,
    json: bool,
) -> None:
    from nas.commands.measured_build import build_measured, check_json, print_check

    with closing(open_source(via, profile, wire)) as source:
        table, result = build_measured(source, spaces, archs, path, protocol(via), check_protocol(via), check)
    if result:
        print_check(result)
    print(f"wrote {path}: {table.header.sentence()}")
    if json:
        values = {"out": str(path), "device": table.header.device, "entries": table.header.entries}
        shell.print_json(values | ({"check": check_json(result)} if result else {}))


def _import(
    file: Path, device: str, spaces: "list[SearchSpace]", archs: "list[Arch]", out: Path | None, json: bool
) -> None:
    from latency import save_table
    from latency.block_tables import import_block_table, unstated
    from search_spaces import lower

    asked = [op for one in spaces for op in one.ops()] + [op for one in archs for op in lower(one)]
    found = import_block_table(file, unstated(device), date.today(), asked)
    path = out or Path(f"{device}.lut")
    save_table(found.table, path)
    print(f"wrote {path}: {found.table.header.sentence()}")
    for key, why in found.unknown.items():
        print(f"left out {key}: {why}")
    if asked:
        print(f"of the {len(set(asked))} Ops asked for the table lacks {len(found.missing)}")
    for missing in found.missing:
        print(f"missing {missing.key}")
    if json:
        values = {"out": str(path), "device": device, "entries": found.table.header.entries}
        shell.print_json(values | {"missing": [op.key for op in found.missing], "left_out": dict(found.unknown)})


def _calibrate(
    profile: "Device", spaces: "list[SearchSpace]", archs: "list[Arch]", path: Path, check: int, json: bool
) -> None:
    from latency import save_table
    from latency.build_table import calibrated_table, shipped_ops
    from search_spaces import InputError, lower

    if check:
        raise InputError("--check times networks on the device, and a calibrated table has none: use another --via")
    ops = [op for one in spaces for op in one.ops()] + [op for one in archs for op in lower(one)]
    table = calibrated_table(profile, ops or shipped_ops(), date.today())
    save_table(table, path)
    print(f"wrote {path}: {table.header.sentence()}")
    if json:
        shell.print_json({"out": str(path), "device": profile.name, "entries": table.header.entries})


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-build-lut")


if __name__ == "__main__":
    main()
