"""Snapshots of a search, so that a long one is resumed in seconds: what came after the last one alone is replayed."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controllers import Controller
from nas.run_folder import RunFolder
from nas.search import PolicyUpdate, Progress, Search, Trial
from search_spaces import InputError

RARELY = 50  # times as long as one takes until the next: at most 2 % of the time goes into them


class Snapshots:
    """Writes the state of a search to its run folder now and then, and takes it up again."""

    def __init__(self, folder: RunFolder, search: Search) -> None:
        self._folder = folder
        self._search = search
        self._due = 0.0  # on the monotonic clock

    def update(self) -> None:
        """Write after a policy update, unless the last one was just written."""
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Write now."""
        start = time.monotonic()
        self._folder.write_controller(self._search.controller.state_dict(), self._search.progress())
        self._due = time.monotonic() + RARELY * (time.monotonic() - start)

    def restore(self, recorded: Sequence[Trial], anew: Callable[[], Controller]) -> list[PolicyUpdate]:
        """Take up what the snapshot has of the recorded trials; give the updates that it was after.

        Where it can't be used, the search keeps a controller made anew and no results: all trials are to be replayed.
        """
        saved = self._folder.read_controller()
        if saved is not None and saved[1].fits(recorded):
            state, progress = saved
            updates = self._folder.keep_updates(progress.updates)
            if updates is not None and self._restored(state, recorded[: progress.results], progress):
                return updates
            self._search.controller = anew()
        self._folder.keep_updates(0)
        return []

    def _restored(self, state: Mapping[str, Any], results: Sequence[Trial], progress: Progress) -> bool:
        try:
            self._search.controller.load_state_dict(state)
            self._search.restore(results, progress)
        except (InputError, RuntimeError, LookupError, TypeError, ValueError, AttributeError):
            return False  # damaged, or of another version
        return True
