"""What every command shares: exit codes and one-line errors, `--debug`, `--json`."""

import functools
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.search import SearchFailedError
from nas.stopping import TerminatedError
from search_spaces import InputError

Debug = Annotated[bool, typer.Option("--debug", help="On an error, show where in the code it arose.")]
Json = Annotated[bool, typer.Option("--json", help="End with one line of JSON on standard output.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness (0).")]
SkipBadImages = Annotated[
    bool | None, typer.Option("--skip-bad-images", help="Go on without images that cannot be read.")
]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with what is in this folder.")]

_NEVER_RECORDED = ("resume", "as_json", "debug")

# The base of all mistakes in a command line. Some versions of Typer have click inside them, others beside them.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main(command: Callable[..., None], name: str) -> None:
    """Run a command: exit 0 when done, 2 for the user's mistake (one line on stderr), 1 for a fault of ours."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(_told_of_interrupts(command))
    debug = "--debug" in sys.argv
    try:
        code = typer.main.get_command(app).main(prog_name=name, standalone_mode=False)
    except (InputError, _UsageError) as error:
        # newer versions of Typer put pydantic's words before their own
        text = error.format_message().replace("Value error, ", "") if isinstance(error, _UsageError) else str(error)
        code = _fail(name, " ".join(text.split()), 2, debug)
    except _InterruptedError as error:
        code = _fail(name, "terminated" if error.code == 143 else "interrupted", error.code, debug)
    except (typer.Abort, KeyboardInterrupt):
        code = _fail(name, "interrupted", 130, debug)
    except SearchFailedError as error:
        code = _fail(name, str(error), 1, debug)
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        code = _fail(name, f"failed: {' '.join(text.split())} (--debug shows where)", 1, debug)
    sys.exit(code if isinstance(code, int) else 0)


class _InterruptedError(Exception):
    """A signal ended the command; Typer would make an exit of it, whichever signal it was."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _told_of_interrupts(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def told(*values: Any, **named: Any) -> None:
        try:
            command(*values, **named)
        except KeyboardInterrupt as error:
            raise _InterruptedError(143 if isinstance(error, TerminatedError) else 130) from error

    return told


def given(context: typer.Context) -> dict[str, Any]:
    """Give what stands in the command line, by parameter; but `Resume`, `Json` and `Debug`."""
    named = ((name, value) for name, value in context.params.items() if name not in _NEVER_RECORDED)
    return {name: value for name, value in named if value not in (None, (), [])}


def words(context: typer.Context, names: Iterable[str]) -> str:
    """List parameters as a command line has them: options with their dashes, arguments in capitals."""
    known = {
        parameter.name: parameter.opts[0].upper() if parameter.param_type_name == "argument" else parameter.opts[0]
        for parameter in context.command.params
    }
    return ", ".join(known[name] for name in names)


def refuse_beside_resume(context: typer.Context, refused: Mapping[str, Any]) -> None:
    """Raise ``InputError`` that names these parameters, if there are any: a folder records what it was begun with."""
    if refused:
        raise InputError(f"--resume goes on with what the folder records; leave {words(context, refused)} away")


def print_json(values: Mapping[str, Any]) -> None:
    """Print the line that ``--json`` promises."""
    print(json.dumps(values), flush=True)


def _fail(name: str, message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    shown = "".join(sign if sign.isprintable() else "?" for sign in message)  # it may quote a file of a stranger's
    print(f"{name}: {shown}", file=sys.stderr, flush=True)
    return code
