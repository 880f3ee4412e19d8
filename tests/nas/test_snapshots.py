"""Snapshots of a search: what a resumed one takes up in place of a replay."""

from pathlib import Path

import pytest
import torch

from controllers import create
from nas.loop import run_in_process
from nas.points import SpacePoints
from nas.rewards import make_reward
from nas.run_folder import RunFolder
from nas.search import Candidate, Outcome, PolicyUpdate, Search
from nas.snapshots import Snapshots
from search_spaces import count, load_space, space_text

TINY = Path(__file__).parent.parent / "spaces" / "tiny.yaml"
SPACE = load_space(TINY)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {}, space_text(str(TINY)), {})


class Counting:
    """A controller that counts how often it is asked."""

    def __init__(self, name: str = "reinforce") -> None:
        self.controller = create(name, SPACE.sizes, seed=1)
        self.asked = 0

    def ask(self, n):
        self.asked += n
        return self.controller.ask(n)

    def __getattr__(self, name):
        return getattr(self.controller, name)


class Run:
    """A search that writes to a folder as nas-search does."""

    def __init__(self, folder: RunFolder, trials: int = 24) -> None:
        self.folder = folder
        self.updates: list[PolicyUpdate] = []
        self.search = Search(
            points=SpacePoints(SPACE, lambda arch: count(arch).macs / 1e5),
            controller=Counting(),
            reward=make_reward("soft", 10.0, -0.15),
            trials=trials,
            batch=4,
            on_trial=folder.append_trial,
            on_update=self._update,
        )
        self.snapshots = Snapshots(folder, self.search)

    def _update(self, update: PolicyUpdate) -> None:
        self.updates.append(update)
        self.folder.append_update(update)
        self.snapshots.write()

    def resume(self) -> int:
        """Take up what the folder has; give how many trials did not have to be replayed."""
        recorded = self.folder.read_trials()
        self.updates += self.snapshots.restore(recorded, Counting)
        taken = len(self.search.results)
        self.search.replay(recorded[taken:])
        return taken


def outcome(candidate: Candidate) -> Outcome:
    return Outcome(0.5 + int(candidate.key[:4], 16) / 2**17, 0.1)


def drive(search: Search, trials: int, workers: int = 1) -> None:
    """Run so many trials, with so many handed out at a time; the latest of them comes back first."""
    held: list[Candidate] = []
    while len(search.results) < trials:
        while len(held) < workers and (candidate := search.next()) is not None:
            held.append(candidate)
        candidate = held.pop()
        search.finish(candidate.trial, outcome(candidate))


def same_state(first: Search, second: Search) -> bool:
    return repr(first.controller.state_dict()) == repr(second.controller.state_dict())


@pytest.mark.parametrize("finished", [3, 4, 9, 12, 23])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_resumed_search_replays_what_came_after_the_snapshot_alone(folder, tmp_path, finished, workers):
    drive(Run(folder).search, finished, workers)
    resumed = Run(folder)
    taken = resumed.resume()
    assert taken == finished - finished % 4
    assert resumed.search.results == folder.read_trials()
    asked = resumed.search.controller.asked
    assert asked <= finished - taken + workers  # not for all that was proposed before
    run_in_process(resumed.search, outcome)
    assert sorted(trial.trial for trial in folder.read_trials()) == list(range(24))

    if workers == 1:
        whole = Run(RunFolder.create(tmp_path / "whole", {}, space_text(str(TINY)), {}))
        run_in_process(whole.search, outcome)
        assert folder.read_trials() == whole.folder.read_trials()
        assert same_state(resumed.search, whole.search)
        assert [update.trials for update in resumed.updates] == [update.trials for update in whole.updates]


def test_what_was_handed_out_before_the_snapshot_is_handed_out_again(folder):
    search = Run(folder).search
    held = [search.next() for _ in range(6)]
    for candidate in held[2:]:
        search.finish(candidate.trial, outcome(candidate))
    resumed = Run(folder)
    assert resumed.resume() == 4
    again = [resumed.search.next() for _ in range(2)]
    assert [(c.trial, c.proposal) for c in again] == [(c.trial, c.proposal) for c in held[:2]]


def test_a_snapshot_amid_a_batch_keeps_what_the_controller_was_not_told(folder):
    before = Run(folder)
    drive(before.search, 6)
    before.snapshots.write()
    resumed = Run(folder)
    assert resumed.resume() == 6
    drive(resumed.search, 8)
    assert [update.trials for update in resumed.updates] == [4, 8]


def damage(folder: RunFolder, how: str) -> None:
    path = folder.path / "controller.pt"
    saved = torch.load(path, weights_only=True)
    if how == "no updates":
        (folder.path / "updates.jsonl").unlink()
    elif how == "other trials":
        saved["progress"]["last"] = [7, "another"]
    elif how == "ahead of the trials":
        saved["progress"]["results"] = 50
    elif how == "a proposal of another space":
        saved["progress"]["open"] = [[12, {"tokens": [99], "log_probability": None}]]
    elif how == "another controller":
        saved["controller"] = create("ppo", SPACE.sizes).state_dict()
    elif how == "half a controller":
        del saved["controller"]["policy"]["head_bias"]
    else:
        path.write_bytes(b"")
        return
    torch.save(saved, path)


@pytest.mark.parametrize(
    "how",
    [
        "no updates",
        "other trials",
        "ahead of the trials",
        "a proposal of another space",
        "another controller",
        "half a controller",
        "empty",
    ],
)
def test_without_a_snapshot_that_fits_all_trials_are_replayed(folder, tmp_path, how):
    drive(Run(folder).search, 10)
    damage(folder, how)
    resumed = Run(folder)
    assert resumed.resume() == 0
    run_in_process(resumed.search, outcome)
    whole = Run(RunFolder.create(tmp_path / "whole", {}, space_text(str(TINY)), {}))
    run_in_process(whole.search, outcome)
    assert folder.read_trials() == whole.folder.read_trials()
    assert same_state(resumed.search, whole.search)


def test_snapshots_are_seldom_where_they_take_long(folder, monkeypatch):
    run, written = Run(folder), []
    clock = iter(range(1000))
    monkeypatch.setattr("nas.snapshots.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(RunFolder, "write_controller", lambda *_: written.append(True))
    for _ in range(200):  # the clock goes on by one with each look at it
        run.snapshots.update()
    assert len(written) == pytest.approx(200 / 51, abs=2)
