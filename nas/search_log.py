"""A search's trials and updates as a TensorBoard log: ``tensorboard --logdir`` on a folder of runs compares them."""

import contextlib
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped, unused-ignore]
from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[import-untyped, unused-ignore]
from tensorboardX.record_writer import RecordWriter  # type: ignore[import-untyped, unused-ignore]

from nas.health_state import gain_over_random
from nas.search import PolicyUpdate, Trial
from nas.tensorboard import FOLDER

FLUSH_SECONDS = 5.0


class SearchLog:
    """Writes what trials and updates came to into a folder of its own in the search's.

    A resumed search's log is written anew. It is no record: where it cannot be written, the search goes on without it.
    Events go to a buffered file in this thread, as tensorboardX's own thread stops for good, and its caller with it,
    when a disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._file: RecordWriter | None = None
        self._flushed = time.monotonic()
        try:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            (folder / FOLDER).mkdir()
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
            self._file = RecordWriter(str(folder / FOLDER / name))
        except OSError:
            return
        self._write(Event(file_version="brain.Event:2"))

    def trial(self, trial: Trial) -> None:
        """Write a trial's latency, and its accuracy and reward where it has them."""
        values = {"latency_ms": trial.latency_ms, "accuracy": trial.accuracy, "reward": trial.reward}
        self._write_scalars(trial.trial, {f"trial/{name}": value for name, value in values.items()})

    def update(self, update: PolicyUpdate) -> None:
        """Write an update's mean reward, and what is known of the policy."""
        values = {
            "mean_reward": update.mean_reward,
            "entropy_share": update.diagnostics.get("entropy_share"),
            "gain_over_random": gain_over_random(update),
        }
        self._write_scalars(update.update, {f"update/{name}": value for name, value in values.items()})

    def close(self) -> None:
        """Write what is left, and close the file."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _write_scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        known = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if value is not None]
        self._write(Event(step=step, summary=Summary(value=known)))

    def _write(self, event: Event) -> None:
        if self._file is None:
            return
        event.wall_time = time.time()
        try:
            self._file.write(event.SerializeToString())
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._file.flush()
                self._flushed = time.monotonic()
        except OSError:
            self.close()
