"""A training's epochs as TensorBoard logs: ``tensorboard --logdir`` on the folder of several compares them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tensorboardX import SummaryWriter  # type: ignore[import-untyped, unused-ignore]

from nas.fitted import EpochResult

FOLDER = "tensorboard"


class TensorBoardLog:
    """Writes loss, learning rate, speed and metrics, by epochs, into a folder of its own in the training's.

    A resumed training's log is written anew, with the epochs before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._writer: SummaryWriter | None = None
        self._written = 0

    def epoch(self, history: Sequence[EpochResult]) -> None:
        """Write what is not written yet of all epochs so far."""
        if self._writer is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._writer = SummaryWriter(str(self._folder))
        for result in history[self._written :]:
            for name, value in _scalars(result).items():
                self._writer.add_scalar(name, value, result.epoch)
        self._writer.flush()
        self._written = len(history)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


def _scalars(result: EpochResult) -> dict[str, float]:
    metrics = {f"validation/{name}": value for name, value in result.metrics.items()}
    return {
        "training/loss": result.loss,
        "training/learning rate": result.learning_rate,
        "training/images per second": result.images_per_second,
        **metrics,
    }
