"""What a person sees while a search runs: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from nas.health_state import HealthWarning, gain_over_random
from nas.search import PolicyUpdate, Trial

PLAIN_LINE_SECONDS = 15.0  # between two lines where there is no terminal to redraw


def describe_trial(trial: Trial) -> str:
    """Put a trial in a few words: reward, accuracy, latency."""
    if trial.accuracy is None or trial.reward is None:
        return f"failed: {trial.error}"
    return f"reward {trial.reward:.4f} ({100 * trial.accuracy:.1f} %, {trial.latency_ms:.1f} ms)"


def describe_policy(update: PolicyUpdate) -> str:
    """Put the policy in a few words: entropy, gain over random networks in points of reward, share of repeats."""
    share, repeats = (update.diagnostics.get(name) for name in ("entropy_share", "repeated_share"))
    gain = gain_over_random(update)
    said = [
        *([] if share is None else [f"entropy {100 * share:.0f} %"]),
        *([] if gain is None else [f"{100 * gain:+.1f} over random"]),
        *([] if repeats is None else [f"repeats {100 * repeats:.0f} %"]),
    ]
    return ", ".join(said)


class SearchDisplay:
    """Shows the trials done, the best reward with its accuracy and latency, the policy, failures, and the time left."""

    def __init__(self, console: Console, total: int, done: list[Trial]) -> None:
        self._console = console
        self._best: Trial | None = None
        self._failed = 0
        self._count = 0
        self._printed = time.monotonic()
        self._policy = ""
        self._progress = Progress(
            TextColumn("trials"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("no trial yet", total=total, completed=len(done))
        self._total = total
        for trial in done:
            self._note(trial)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the live line on the screen while the block runs."""
        with self._progress:
            yield

    def trial(self, trial: Trial) -> None:
        """Show a finished trial."""
        self._note(trial)
        self._progress.update(self._task, completed=self._count, description=self._text())
        due = time.monotonic() - self._printed > PLAIN_LINE_SECONDS or self._count == self._total
        if not self._console.is_terminal and due:
            self._printed = time.monotonic()
            self._console.print(f"trial {self._count}/{self._total}: {self._text()}", soft_wrap=True)

    def update(self, update: PolicyUpdate) -> None:
        """Show the policy after a learning step."""
        self._policy = describe_policy(update)

    def stopping(self) -> None:
        """Say that trials which run are waited for."""
        text = "stopping: trials that run are finished first (Ctrl-C again: at once)"
        self._console.print(text, soft_wrap=True, highlight=False)

    def warn(self, warning: HealthWarning) -> None:
        """Print what a search suffers from, when it shows."""
        text = Text.assemble(("warning:", "yellow"), " ", warning.text)
        self._console.print(text, soft_wrap=True, highlight=False)

    def _note(self, trial: Trial) -> None:
        self._count += 1
        self._failed += trial.state == "failed"
        if trial.reward is not None and (self._best is None or trial.reward > (self._best.reward or 0.0)):
            self._best = trial

    def _text(self) -> str:
        best = f"best {describe_trial(self._best)}" if self._best else "none finished"
        return ", ".join([best, *([self._policy] if self._policy else []), *self._failures()])

    def _failures(self) -> list[str]:
        return [f"{self._failed} failed"] if self._failed else []


@contextmanager
def task_display(console: Console, text: str) -> Iterator[Callable[[int, int], None]]:
    """Show a task with a known end; yields the function to call with (done, total)."""
    columns = (TextColumn(text), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield report
