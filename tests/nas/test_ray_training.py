"""Training on two real Ray workers: stopped and resumed, with the losses of one process."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.fitted import EpochResult, Watch
from nas.fitting import fit_task
from nas.open_task import open_task
from nas.ray_cluster import ray_cluster
from nas.ray_training import fit_on_workers
from nas.schedule import Schedule
from nas.stopping import StoppedError
from nas.train_config import TrainConfig, train_config
from search_spaces import Arch, Block, Head, Stem

# Ray Train sets up Ray Data, which warns of settings of its own
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

QUICK = Schedule(2, 32, 0.05, optimizer="sgd", views="shift", dropout=0.0, ema_decay=0.9, batch_norm_momentum=0.1)


def config(schedule: Schedule = QUICK) -> TrainConfig:
    """Two workers on 128 digits, with a network that trains in a moment."""
    arch = Arch("tiny", 8, 10, Stem(8, stride=1), (Block("mbconv", 8, 3, 2, 16),), Head(16))
    values = {"arch": arch, "data": "digits", "schedule": schedule, "threads": 2, "device": "cpu", "workers": 2}
    return train_config(values | {"train_images": 128, "validation_images": 64}, "test")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with ray_cluster(None):
        yield


def on_workers(folder: Path, of: TrainConfig | None = None, *, resume: bool = False, **watch: Any) -> list[EpochResult]:
    return fit_on_workers(of or config(), folder, resume=resume, watch=Watch(**watch))


def losses(history: list[EpochResult]) -> list[float]:
    return [result.loss for result in history]


def test_stopped_by_sigterm_and_resumed_two_workers_reach_the_losses_of_one_process(tmp_path: Path) -> None:
    heard: list[int] = []

    def stop(history: Sequence[EpochResult]) -> None:
        heard.append(len(history))
        os.kill(os.getpid(), signal.SIGTERM)

    schedule = replace(QUICK, epochs=30, sync_batch_norm=False)
    with pytest.raises(StoppedError) as stopped:
        on_workers(tmp_path, config(schedule), on_epoch=stop)
    assert 1 <= stopped.value.epoch < 30
    resumed = on_workers(tmp_path, config(schedule), resume=True, on_epoch=lambda history: heard.append(len(history)))
    assert heard == list(range(1, 31))
    assert {"best.pt", "last.pt", "checkpoint.pt"} <= {path.name for path in tmp_path.iterdir()}
    halves = replace(schedule, accumulate=2)  # the same parts, one after the other
    alone = fit_task(open_task(config(halves), note=print), halves, 0, threads=1)
    assert losses(resumed) == pytest.approx(losses(alone.history), rel=1e-4)
