"""What a person sees while a network is trained: a live line on a terminal, a line for each epoch elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nas.fitted import EpochResult, Watch, best_of

_SHOWN_METRICS = 3  # of the first: a class each would not fit a line


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Put the first metrics in words, as percentages."""
    return ", ".join(f"{name} {100 * value:.2f} %" for name, value in list(metrics.items())[:_SHOWN_METRICS])


class TrainDisplay:
    """Shows the epoch and its step, the loss, the best epoch so far and the time left."""

    def __init__(self, console: Console, epochs: int, steps: int) -> None:
        self._console, self._epochs, self._steps = console, epochs, steps
        self._best = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(f"epoch 1/{epochs}", total=epochs * steps)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the live line on the screen while the block runs."""
        with self._progress:
            yield

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Show a step."""
        text = f"epoch {epoch}/{self._epochs}, loss {loss:.3f}{self._best}"
        self._progress.update(self._task, completed=(epoch - 1) * self._steps + step, description=text)

    def epoch(self, history: Sequence[EpochResult]) -> None:
        """Print the line of the last epoch."""
        last, best = history[-1], best_of(history)
        self._best = f", best {100 * best.merit:.2f} %" if best.metrics else ""
        facts = [f"loss {last.loss:.4f}", metrics_text(last.metrics), f"{last.images_per_second:.0f} images/s"]
        self._console.print(
            f"epoch {last.epoch}/{self._epochs}: {', '.join(fact for fact in facts if fact)}", soft_wrap=True
        )

    @property
    def watch(self) -> Watch:
        """Give what `fit_task` tells."""
        return Watch(on_step=self.step, on_epoch=self.epoch)
