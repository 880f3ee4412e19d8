"""The files of a run."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from controllers import Proposal
from nas.points import SpacePoints
from nas.run_folder import RunFolder
from nas.search import PolicyUpdate, Progress, Trial
from search_spaces import FileError, InputError, load_space, space_text


def trial(number, latency_ms=10.0, accuracy=0.5, state="finished"):
    return Trial(number, (1, 2), f"k{number}", latency_ms, accuracy, 0.6, 1.5, state)


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", {"target_ms": 15.0}, space_text("mnasnet_small"), {"python": "3.11"})


def test_a_run_keeps_its_configuration_environment_and_space(run):
    again = RunFolder.open(run.path)
    assert again.config() == {"target_ms": 15.0}
    assert again.environment() == {"python": "3.11"}
    assert again.space() == load_space("mnasnet_small")


def test_trials_are_read_as_they_were_written(run):
    trials = [trial(0), trial(2), Trial(1, (0, 0), "k1", 9.0, None, 0.0, 0.1, "failed", "diverged")]
    for one in trials:
        run.append_trial(one)
    assert run.read_trials() == trials


def test_a_trial_is_one_line_of_json_with_the_documented_fields(run):
    run.append_trial(trial(0))
    (line,) = (run.path / "trials.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "trial": 0,
        "tokens": [1, 2],
        "key": "k0",
        "latency_ms": 10.0,
        "accuracy": 0.5,
        "reward": 0.6,
        "seconds": 1.5,
        "state": "finished",
        "error": None,
    }


def test_half_a_line_at_the_end_is_left_out_and_cut_off_before_the_next_one(run):
    run.append_trial(trial(0))
    with (run.path / "trials.jsonl").open("a") as file:
        file.write('{"trial": 1, "tok')
    assert run.read_trials() == [trial(0)]
    run.cut_half_trial()
    run.append_trial(trial(1))
    assert run.read_trials() == [trial(0), trial(1)]


def test_a_broken_line_in_the_middle_is_named(run):
    run.append_trial(trial(0))
    with (run.path / "trials.jsonl").open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(InputError, match=r"trials.jsonl line 2 is not a trial"):
        run.read_trials()


def real_trial(number, **changes):
    space = load_space("mnasnet_small")
    tokens = (0,) * len(space.sizes)
    values = {"trial": number, "tokens": list(tokens), "key": space.decode(tokens).key, "latency_ms": 9.0}
    values |= {"accuracy": 0.5, "reward": 0.6, "seconds": 1.0, "state": "finished", "error": None}
    return json.dumps(values | changes)


HOSTILE_LINES = [
    ({"trial": 1}, "trial 1 stands there twice"),
    ({"trial": -1}, "none of the 8 of this run"),
    ({"trial": 20000}, "none of the 8 of this run"),
    ({"trial": "x"}, "trial Input should be a valid integer"),
    ({"tokens": [0]}, "takes 42 tokens, got 1"),
    ({"tokens": [9] * 42}, "must be 0 to"),
    ({"key": "0" * 16}, "is of other tokens"),
    ({"reward": float("nan")}, "reward Input should be a finite number"),
    ({"accuracy": "x"}, "accuracy Input should be a valid number"),
    ({"state": "foo"}, "state Input should be 'finished', 'reused' or 'failed'"),
]


@pytest.mark.parametrize(("changes", "says"), HOSTILE_LINES)
def test_a_line_that_is_no_trial_of_this_run_is_named(changes, says, run):
    (run.path / "trials.jsonl").write_text(real_trial(1) + "\n" + real_trial(2, **changes) + "\n")
    with pytest.raises(InputError) as caught:
        run.check_trials(SpacePoints(run.space(), lambda arch: 9.0), 8)
    assert "trials.jsonl line 2" in str(caught.value)
    assert says in str(caught.value)


def test_trials_of_this_run_pass_the_check(run):
    (run.path / "trials.jsonl").write_text(real_trial(1) + "\n" + real_trial(0) + "\n")
    run.check_trials(SpacePoints(run.space(), lambda arch: 9.0), 8)


@pytest.mark.parametrize("name", ["space.yaml", "environment.json", "trials.jsonl"])
def test_a_file_that_is_gone_is_named(name, run):
    (run.path / name).unlink()
    read = {"space.yaml": run.space, "environment.json": run.environment, "trials.jsonl": run.read_trials}[name]
    with pytest.raises(InputError, match=name):
        read()


def test_updates_are_flat_lines(run):
    run.append_update(PolicyUpdate(1, 5, 0.7, {"entropy_share": 0.9}, (1.0, 0.81239)))
    assert json.loads((run.path / "updates.jsonl").read_text()) == {
        "update": 1,
        "trials": 5,
        "mean_reward": 0.7,
        "entropy_share": 0.9,
        "decision_entropies": [1.0, 0.8124],
    }


def test_pareto_file_holds_the_front_once_a_network(run):
    trials = [
        trial(0, 10, 0.5),
        trial(1, 12, 0.4),  # slower and worse than trial 0
        trial(2, 14, 0.9),
        trial(3, 14, 0.9, state="reused"),
    ]
    run.write_pareto(trials)
    with (run.path / "pareto.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["0", "2"]


PROGRESS = Progress(
    results=1,
    last=(0, "k0"),
    issued=3,
    updates=0,
    open=((1, Proposal((1, 2), -0.125)), (2, Proposal((0, 0)))),
    lessons=((Proposal((1, 2)), 0.1),),
)


def test_controller_state_and_progress_are_read_back_as_they_were(run):
    run.write_controller({"weights": torch.ones(2), "step": 3}, PROGRESS)
    state, progress = run.read_controller()
    assert (state["weights"].tolist(), state["step"]) == ([1.0, 1.0], 3)
    assert progress == PROGRESS


class Planted:
    """Runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", ["missing", "cut", "nonsense", "other", "code"])
def test_a_controller_file_that_is_not_one_counts_as_none_and_runs_nothing(run, kind, tmp_path):
    path = run.path / "controller.pt"
    run.write_controller({"step": 3}, PROGRESS)
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "nonsense":
        path.write_bytes(b"\x80\x05nonsense")
    else:
        torch.save({"step": 3} if kind == "other" else {"controller": Planted(tmp_path / "ran"), "progress": {}}, path)
    assert run.read_controller() is None
    assert not (tmp_path / "ran").exists()


def update(number):
    return PolicyUpdate(number, 4 * number, 0.5, {"entropy_share": 0.9}, (1.0, 0.5))


def test_updates_are_cut_off_after_those_that_are_kept(run):
    for number in (1, 2, 3):
        run.append_update(update(number))
    assert run.keep_updates(2) == [update(1), update(2)]
    run.append_update(update(3))
    assert [json.loads(line)["update"] for line in (run.path / "updates.jsonl").read_text().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("second", ["", '{"update": 2, "tri', "\0\0\0\n"])
def test_updates_that_are_not_all_there_are_none(run, second):
    run.append_update(update(1))
    with (run.path / "updates.jsonl").open("a") as file:
        file.write(second)
    assert run.keep_updates(2) is None
    assert not (run.path / "updates.jsonl").exists()
    assert run.keep_updates(0) == []


def test_a_folder_that_holds_a_run_is_not_begun_again(run):
    with pytest.raises(InputError, match=r"already holds a run; go on with --resume"):
        RunFolder.create(run.path, {}, "", {})


def test_a_folder_without_a_run_is_not_opened(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        RunFolder.open(tmp_path)


def test_a_second_writer_is_locked_out(run):
    with run.locked(), pytest.raises(InputError, match="another process is writing"), run.locked():
        pass


def test_a_run_that_cannot_be_written_says_so(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InputError, match="cannot write a run to"):
        RunFolder.create(blocked / "run", {}, "", {})


def full(folder, name):
    """Put a file on a device that has no room, ever."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device without room")
@pytest.mark.parametrize(
    ("name", "written", "write"),
    [
        ("trials.jsonl", "trials.jsonl", lambda run: run.append_trial(trial(0))),
        ("updates.jsonl", "updates.jsonl", lambda run: run.append_update(update(1))),
        (".controller.pt", "controller.pt", lambda run: run.write_controller({"step": 3}, PROGRESS)),
        (".pareto.csv", "pareto.csv", lambda run: run.write_pareto([trial(0)] * 1000)),
    ],
)
def test_a_full_disk_is_one_line_that_says_how_to_go_on(run, name, written, write):
    full(run.path, name)
    with pytest.raises(FileError, match=rf"cannot write .*{written}: No space left on device; .* --resume {run.path}"):
        write(run)


def test_a_folder_that_is_gone_is_one_line_that_says_how_to_go_on(run):
    shutil.rmtree(run.path)
    with pytest.raises(FileError, match=r"cannot write .*trials.jsonl: No such file or directory; .* go on with"):
        run.append_trial(trial(0))
