"""Being told to stop: signals are noted, and acted on where nothing gets lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(Exception):
    """SIGTERM came; the state after so many epochs, and so many steps of the next, is on disk."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(epoch, step)
        self.epoch, self.step = epoch, step

    def __str__(self) -> str:
        return f"stopped after {self.epoch} epochs and {self.step} steps of the next"


@contextmanager
def sigterm_noted() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGTERM has come; outside the main thread, Python lets none be noted."""
    came = threading.Event()
    with _handled(signal.SIGTERM, lambda number, frame: came.set()):
        yield came.is_set


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C does, by another name."""


class _Held:
    """What keeps a signal from ending something half done."""

    def __init__(self) -> None:
        self.depth = 0
        self.due: BaseException | None = None

    def end(self, error: BaseException) -> None:
        """Raise now, or after what is held."""
        if not self.depth:
            raise error
        self.due = self.due or error  # the first to come


_HELD = _Held()


@contextmanager
def held() -> Iterator[None]:
    """Let no signal end the block; one that came is acted on after it (see `stoppable`)."""
    _HELD.depth += 1
    try:
        yield
    finally:
        _HELD.depth -= 1
        if not _HELD.depth and _HELD.due is not None:
            due, _HELD.due = _HELD.due, None
            raise due


@contextmanager
def terminable() -> Iterator[None]:
    """Raise ``TerminatedError`` at SIGTERM and ``KeyboardInterrupt`` at Ctrl-C, where nothing is `held`.

    Ray makes a plain ``KeyboardInterrupt`` of any that arises while it waits: here it gets its name back.
    """
    came = False

    def terminated(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        _HELD.end(TerminatedError())

    def interrupted(number: int, frame: FrameType | None) -> None:
        _HELD.end(KeyboardInterrupt())

    with _handled(signal.SIGTERM, terminated), _handled(signal.SIGINT, interrupted):
        try:
            yield
        except KeyboardInterrupt as error:
            if came and not isinstance(error, TerminatedError):
                raise TerminatedError from error
            raise


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first Ctrl-C; raise ``KeyboardInterrupt`` at the second, ``TerminatedError`` at SIGTERM."""
    asked = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _HELD.end(KeyboardInterrupt())
        asked = True
        stop()

    with terminable(), _handled(signal.SIGINT, interrupted):
        yield


@contextmanager
def _handled(number: signal.Signals, handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle a signal; outside the main thread Python lets none be handled, and the block runs as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)
