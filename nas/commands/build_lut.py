"""nas-build-lut: make a latency table."""

from contextlib import closing
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.commands import shell
from nas.commands.network import load_network

if TYPE_CHECKING:
    from latency.device import Device
    from latency.source import LatencySource
    from search_spaces import Arch, SearchSpace


class Via(StrEnum):
    """Where times come from."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    TFLITE = "tflite"
    SSH = "ssh"
    CALIBRATED = "calibrated"


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

    profile = load_device(device or ("host" if via in (Via.ONNXRUNTIME, Via.TFLITE) else "pixel1"))
    spaces = [load_space(name) for name in space or []]
    archs = [load_network(name) for name in arch or []]
    path = out or Path(f"{profile.name}.lut")
    if via is Via.AUTO:
        via, reason = _best_way(profile)
        print(f"via {via}: {reason}")
    if via is Via.CALIBRATED:
        _calibrate(profile, spaces, archs, path, check, json)
        return
    with closing(_source(via, profile, threads, host, ssh_option or [], python)) as source:
        _measure(source, spaces or [load_space("mnasnet")], archs, path, check, json)


def _best_way(profile: "Device") -> tuple[Via, str]:
    from latency.build_table import calibrated_devices

    if profile.name in calibrated_devices():
        return Via.CALIBRATED, f"no {profile.name} to measure is known here, and published latencies are"
    return Via.ONNXRUNTIME, "this host"


def _source(
    via: Via, profile: "Device", threads: int, host: str | None, ssh_options: list[str], python: str
) -> "LatencySource":
    from latency.litert_source import litert_source
    from latency.onnxruntime_source import onnxruntime_source
    from latency.ssh_source import ssh_source
    from search_spaces import InputError

    if via is Via.ONNXRUNTIME:
        return onnxruntime_source(threads)
    if via is Via.TFLITE:
        return litert_source(threads)
    if host is None:
        raise InputError("--via ssh needs the board: --host user@board")
    return ssh_source(host, threads=threads, options=ssh_options, python=python, device=profile.name)


def _measure(
    source: "LatencySource", spaces: "list[SearchSpace]", archs: "list[Arch]", path: Path, check: int, json: bool
) -> None:
    from latency.protocol import Protocol
    from nas.commands.measured_build import build_measured, check_json, print_check

    table, result = build_measured(source, spaces, archs, path, Protocol(), check)
    if result:
        print_check(result)
    print(f"wrote {path}: {table.header.sentence()}")
    if json:
        values = {"out": str(path), "device": table.header.device, "entries": table.header.entries}
        shell.print_json(values | ({"check": check_json(result)} if result else {}))


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
