"""What a person sees while NetAdapt runs: the step's proposals on a live line, a line for each step."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nas.netadapt.adapt import Judged, Kept


def describe_step(before: Kept, after: Kept) -> str:
    """Put what a step did in a line."""
    return (
        f"step {after.step}: {after.target} {after.before} → {after.after}, {after.latency_ms:.3f} ms "
        f"({after.latency_ms - before.latency_ms:+.3f}), accuracy {100 * after.accuracy:.2f} % "
        f"({100 * (after.accuracy - before.accuracy):+.2f})"
    )


class AdaptDisplay:
    """Shows how many of a step's proposals are judged, and each step's end."""

    def __init__(self, console: Console, seed: Kept, now: Kept, target_ms: float) -> None:
        self._console, self._seed, self._now, self._target_ms = console, seed, now, target_ms
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
        self._progress = Progress(
            *columns, TextColumn("proposals"), TimeElapsedColumn(), console=console, disable=not console.is_terminal
        )
        self._task = self._progress.add_task(self._text(), total=None)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the live line on the screen while the block runs."""
        with self._progress:
            yield

    def judged(self, judged: Judged, done: int, total: int) -> None:
        """Show a proposal's end."""
        self._progress.update(self._task, completed=done, total=total)
        if judged.error is not None:
            self._console.print(f"{judged.target} to {judged.after} failed: {judged.error}", soft_wrap=True)

    def kept(self, kept: Kept) -> None:
        """Print a step."""
        self._console.print(describe_step(self._now, kept), soft_wrap=True)
        self._now = kept
        self._progress.update(self._task, completed=0, description=self._text())

    def _text(self) -> str:
        whole = self._seed.latency_ms - self._target_ms
        way = (self._seed.latency_ms - self._now.latency_ms) / whole if whole > 0 else 1.0
        return f"step {self._now.step + 1}, {min(way, 1):.0%} of the way,"
