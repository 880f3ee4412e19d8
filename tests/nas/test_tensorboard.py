"""TensorBoard logs of a training: each epoch once, also where the training was resumed."""

from pathlib import Path

from nas.fitted import EpochResult
from nas.tensorboard import TensorBoardLog
from tests.nas.events import scalars

FIRST = EpochResult(1, 2.0, 0.125, 10.0, 50.0, {})
SECOND = EpochResult(2, 1.5, 0.0625, 10.0, 60.0, {"accuracy": 0.75})

EXPECTED = [
    ("training/images_per_second", 1, 50.0),
    ("training/images_per_second", 2, 60.0),
    ("training/learning_rate", 1, 0.125),
    ("training/learning_rate", 2, 0.0625),
    ("training/loss", 1, 2.0),
    ("training/loss", 2, 1.5),
    ("validation/accuracy", 2, 0.75),
]


def test_each_epoch_is_written_once(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path)
    log.epoch([FIRST])
    log.epoch([FIRST, SECOND])
    log.close()
    assert scalars(tmp_path) == EXPECTED


def test_a_resumed_trainings_log_has_the_epochs_before_once(tmp_path: Path) -> None:
    before = TensorBoardLog(tmp_path)
    before.epoch([FIRST])
    before.close()
    (written,) = (tmp_path / "tensorboard").iterdir()
    written.rename(written.with_name("events.out.tfevents.1"))  # files are named by the second
    after = TensorBoardLog(tmp_path)
    after.epoch([FIRST, SECOND])
    after.close()
    assert scalars(tmp_path) == EXPECTED


def test_a_training_that_has_nothing_left_to_do_keeps_its_log(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path)
    log.epoch([FIRST, SECOND])
    log.close()
    TensorBoardLog(tmp_path).close()
    assert scalars(tmp_path) == EXPECTED
