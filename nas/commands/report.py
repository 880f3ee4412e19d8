"""`nas-report`: a page on a search, one that follows it, or a page that compares several."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from nas.commands import shell
from nas.comparison import write_comparison
from nas.page_server import LivePage, PageServer
from nas.report import write_report
from search_spaces import InputError

HOST, PORT = "127.0.0.1", 8300


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of runs, which nas-search wrote.")],
    out: Annotated[Path | None, typer.Option(help="Write the page to this file; DIR/report.html without it.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the page, and let it follow the search.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help=f"Serve at this port ({PORT}); 0: any.")] = None,
    host: Annotated[str | None, typer.Option(help=f"Serve at this address ({HOST}: to this machine alone).")] = None,
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Write DIR/report.html: the Pareto front, the curves of the search, the seed, block by block.

    The page needs no network. A search that still runs can be reported on, too. Of several folders, the page compares
    them.

    Example: nas-report runs/20261121-digits
    Example: nas-report runs/20261121-digits --serve
    Example: nas-report runs/reinforce runs/random --out compare.html
    """
    if serve:
        _check_served(folders, out)
        _serve(folders[0], HOST if host is None else host, PORT if port is None else port, as_json)
        return
    if port is not None or host is not None:
        raise InputError("--port and --host say where to serve a page; add --serve, or leave them away")
    path = _write(folders, out)
    print(path)
    if as_json:
        shell.print_json({"report": str(path)})


def _check_served(folders: list[Path], out: Path | None) -> None:
    if len(folders) > 1:
        raise InputError(f"--serve shows one run, got {len(folders)}; compare them with --out FILE")
    if out is not None:
        raise InputError("--serve writes no file; leave --out away, or --serve")


def _write(folders: list[Path], out: Path | None) -> Path:
    if len(folders) == 1:
        return write_report(folders[0], out)
    if out is None:
        raise InputError(f"the page that compares {len(folders)} runs needs a place; give it with --out FILE")
    return write_comparison(folders, out)


def _serve(folder: Path, host: str, port: int, as_json: bool) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    with PageServer(LivePage(folder), host, port) as server:
        if not server.loopback:
            warning = f"everyone who reaches port {server.server_address[1]} of this machine can read the page"
            print(f"nas-report: {warning}", file=sys.stderr, flush=True)

        def end(number: int, frame: FrameType | None) -> None:
            threading.Thread(target=server.shutdown).start()  # it waits for the loop, which this thread runs

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        print(f"{server.url} shows {folder} until Ctrl-C", flush=True)
        if as_json:
            shell.print_json({"address": server.url})
        server.serve_forever(poll_interval=0.1)


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-report")


if __name__ == "__main__":
    main()
