"""TensorBoard logs of a search: each trial and update once, also where the search was resumed."""

from pathlib import Path

import pytest

from nas.search import PolicyUpdate, Trial
from nas.search_log import SearchLog
from tests.nas.events import scalars

FINISHED = Trial(0, (1, 2), "a" * 16, 14.0, 0.75, 0.5, 3.0, "finished", None)
FAILED = Trial(1, (1, 3), "b" * 16, 15.0, None, None, 3.0, "failed", "no luck")
UPDATE = PolicyUpdate(1, 2, 0.25, {"entropy_share": 0.875, "model_gain": 0.125})

EXPECTED = [
    ("trial/accuracy", 0, 0.75),
    ("trial/latency_ms", 0, 14.0),
    ("trial/latency_ms", 1, 15.0),
    ("trial/reward", 0, 0.5),
    ("update/entropy_share", 1, 0.875),
    ("update/gain_over_random", 1, 0.125),
    ("update/mean_reward", 1, 0.25),
]


def test_trials_and_updates_are_written_with_what_is_known_of_them(tmp_path: Path) -> None:
    log = SearchLog(tmp_path)
    log.trial(FINISHED)
    log.trial(FAILED)
    log.update(UPDATE)
    log.close()
    assert scalars(tmp_path) == EXPECTED


def test_an_update_of_a_controller_without_a_policy_has_its_mean_reward_alone(tmp_path: Path) -> None:
    log = SearchLog(tmp_path)
    log.update(PolicyUpdate(1, 2, 0.25, {}))
    log.close()
    assert scalars(tmp_path) == [("update/mean_reward", 1, 0.25)]


def test_a_resumed_searchs_log_has_what_was_before_once(tmp_path: Path) -> None:
    before = SearchLog(tmp_path)
    before.trial(FINISHED)
    before.close()
    (written,) = (tmp_path / "tensorboard").iterdir()
    written.rename(written.with_name("events.out.tfevents.1"))  # files are named by the second
    after = SearchLog(tmp_path)
    after.trial(FINISHED)
    after.trial(FAILED)
    after.update(UPDATE)
    after.close()
    assert scalars(tmp_path) == EXPECTED


def test_a_search_goes_on_where_its_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file is in the way")
    log = SearchLog(tmp_path)
    log.trial(FINISHED)
    log.close()
    assert (tmp_path / "tensorboard").read_text() == "a file is in the way"


def test_a_search_goes_on_when_the_disk_fills_up(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, as on Linux")
    log = SearchLog(tmp_path)
    assert log._file is not None
    log._file.close()
    log._file._writer = full.open("wb")
    for _ in range(200):  # more than a buffer holds
        log.trial(FINISHED)
    assert log._file is None
    log.close()
