"""nas-build-lut: make a latency table."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nas.commands import shell
from nas.commands.network import load_network


class Via(StrEnum):
    """Where times come from."""

    AUTO = "auto"
    CALIBRATED = "calibrated"


def command(
    device: Annotated[str, typer.Option(help="A shipped device profile, or a YAML file.")] = "pixel1",
    space: Annotated[
        list[str] | None, typer.Option(help="A space whose Ops the table gets: shipped name or YAML file. Repeatable.")
    ] = None,
    arch: Annotated[
        list[str] | None, typer.Option(help="A network whose Ops it gets: reference name or file. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The table file to write; else DEVICE.lut in this folder.")] = None,
    via: Annotated[Via, typer.Option(help="Where times come from; auto takes the best way there is.")] = Via.AUTO,
    json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Make a latency table for a device.

    Without --space and --arch it gets the Ops of all shipped spaces and reference networks.

    Example: nas-build-lut --device pixel1 --space my_space.yaml --out my_table.lut
    """
    from latency import save_table
    from latency.build_table import calibrated_table, shipped_ops
    from latency.device import load_device
    from search_spaces import load_space, lower

    profile = load_device(device)
    ops = [op for name in space or [] for op in load_space(name).ops()]
    ops += [op for name in arch or [] for op in lower(load_network(name))]
    table = calibrated_table(profile, ops if space or arch else shipped_ops(), date.today())
    path = out or Path(f"{profile.name}.lut")
    save_table(table, path)
    if via is Via.AUTO:
        print(f"via calibrated: the way that this version has for {profile.name}")
    print(f"wrote {path}: {table.header.sentence()}")
    if json:
        shell.print_json({"out": str(path), "device": profile.name, "entries": table.header.entries})


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-build-lut")


if __name__ == "__main__":
    main()
