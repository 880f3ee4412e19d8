"""`nas-report`: a page on a search."""

from pathlib import Path
from typing import Annotated

import typer

from nas.commands import shell
from nas.report import write_report


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run, which nas-search wrote.")],
    as_json: shell.Json = False,
    debug: shell.Debug = False,
) -> None:
    """Write DIR/report.html: the Pareto front, the curves of the search, the seed, block by block.

    The page needs no network. A search that still runs can be reported on, too.

    Example: nas-report runs/20261121-digits
    """
    path = write_report(folder)
    print(path)
    if as_json:
        shell.print_json({"report": str(path)})


def main() -> None:
    """Run the command."""
    shell.main(command, "nas-report")


if __name__ == "__main__":
    main()
