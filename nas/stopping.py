"""Being told to stop: SIGTERM is noted, and acted on where nothing gets lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.set())
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
