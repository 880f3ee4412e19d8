"""Trials on real Ray, with evaluators that answer fast."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import ray
from ray import tune
from ray.exceptions import OutOfMemoryError

from controllers import create
from nas.dispatch import Dispatch
from nas.loop import run_in_process
from nas.points import SpacePoints
from nas.ray_cluster import Placement, _code, head_address, missed, ray_cluster, room
from nas.ray_trials import STILLBORN, _Workers, run_on_ray
from nas.rewards import make_reward
from nas.search import Outcome, Search, SearchFailedError
from search_spaces import Arch, FileError, InputError, count, load_space, reference
from tests.nas.sockets import LOOPBACK, listening

TINY = load_space(Path(__file__).parent.parent / "spaces" / "tiny.yaml")


def accuracy_of(key):
    return 0.5 + int(key[:4], 16) / 2**17


class QuickEvaluator:
    """Answers from the network's key alone; holds an array, as the real one holds the images."""

    def __init__(self):
        self.images = np.zeros((1000, 32, 32, 3), np.uint8)

    def __call__(self, arch, key):
        assert not self.images.flags.writeable  # mapped from the object store, not copied
        return Outcome(accuracy_of(key), 0.01)


class MoodyEvaluator:
    """Raises for every third network, and kills its own process for one of them."""

    def __init__(self, fatal_key):
        self.fatal_key = fatal_key

    def __call__(self, arch, key):
        if key == self.fatal_key:
            os._exit(1)
        if int(key[:8], 16) % 3 == 0:
            raise RuntimeError("no luck")
        return Outcome(accuracy_of(key), 0.01)


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(None) as dashboard:
        yield dashboard


def make_search(trials, seed=0, controller="reinforce"):
    recorded = []
    search = Search(
        SpacePoints(TINY, lambda arch: count(arch).macs / 1e5),
        create(controller, TINY.sizes, seed),
        make_reward("soft", 10.0, -0.15),
        trials,
        4,
        recorded.append,
        lambda update: None,
    )
    return search, recorded


def test_ray_gives_what_the_loop_in_this_process_gives(cluster):
    search, recorded = make_search(12)
    run_on_ray(search, QuickEvaluator(), Placement(workers=1, cpus_per_trial=1))
    alone, expected = make_search(12)
    run_in_process(alone, lambda candidate: Outcome(accuracy_of(candidate.key), 0.01))
    assert search.done
    assert recorded == expected


def test_two_workers_finish_every_trial_once(cluster):
    search, recorded = make_search(20, controller="random")
    run_on_ray(search, QuickEvaluator(), Placement(workers=2, cpus_per_trial=1))
    assert sorted(trial.trial for trial in recorded) == list(range(20))


@dataclass
class Rounds:
    """Trials of NetAdapt's kind: a round begins when the one before is over."""

    rounds: int
    each: int
    handed_out: int = 0
    finished: int = 0

    @property
    def done(self):
        return self.finished == self.rounds * self.each

    def next(self):
        if self.done or self.handed_out == (self.finished // self.each + 1) * self.each:
            return None
        self.handed_out += 1
        return Candidate(self.handed_out, f"{self.handed_out}", reference("mobilenet_v3_small"), 1.0)

    def finish(self, trial, outcome):
        self.finished += 1


@dataclass(frozen=True)
class Candidate:
    trial: int
    key: str
    arch: Arch
    latency_ms: float


@dataclass(frozen=True)
class MeetsTheOther:
    """Leaves its round and its process in a folder, and goes on once two processes are in that round."""

    folder: Path
    each: int

    def __call__(self, arch, key):
        number = (int(key) - 1) // self.each
        (self.folder / f"{number}-{os.getpid()}").touch()
        while len(list(self.folder.glob(f"{number}-*"))) < 2:
            time.sleep(0.01)
        return Outcome(0.5, 0.01)


def test_workers_without_work_wait_for_the_next_round_and_are_not_started_anew(cluster, tmp_path):
    rounds = Rounds(rounds=4, each=3)
    run_on_ray(rounds, MeetsTheOther(tmp_path, rounds.each), Placement(workers=2, cpus_per_trial=1))
    assert rounds.finished == 12
    assert len({file.name.split("-")[1] for file in tmp_path.iterdir()}) == 2


class LeavesItsNumber:
    """Answers at once, as no worker is started, and leaves its process's number."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, arch, key):
        (self.folder / str(os.getpid())).touch()
        time.sleep(0.05)
        return Outcome(0.5, 0.05)


def test_short_trials_are_not_all_taken_by_the_worker_that_is_up_first(cluster, tmp_path):
    run_on_ray(Rounds(rounds=1, each=200), LeavesItsNumber(tmp_path), Placement(workers=2, cpus_per_trial=1))
    assert len(list(tmp_path.iterdir())) == 2


def test_workers_that_there_is_no_room_for_are_not_waited_for(cluster):
    rounds = Rounds(rounds=1, each=4)
    run_on_ray(rounds, QuickEvaluator(), Placement(workers=500, cpus_per_trial=1))
    assert rounds.finished == 4


def test_a_child_that_raises_and_a_worker_that_dies_are_failed_trials_after_a_second_try(cluster):
    probe, _ = make_search(1)
    fatal = probe.next().key  # the first network of this seed
    search, recorded = make_search(12)
    run_on_ray(search, MoodyEvaluator(fatal), Placement(workers=1, cpus_per_trial=1))
    assert search.done
    assert (recorded[0].trial, recorded[0].state, recorded[0].reward) == (0, "failed", None)
    assert recorded[0].error == "the worker process died"
    raised = [trial for trial in recorded if trial.error == "RuntimeError: no luck"]
    assert raised
    assert all(trial.state == "failed" and trial.reward is None for trial in raised)
    assert any(trial.state == "finished" for trial in recorded)


class Hanging:
    """Never comes back for the first network that it is given, nor lets Python run anything else."""

    def __init__(self, key):
        self.key = key

    def __call__(self, arch, key):
        if key == self.key:
            re.fullmatch("(a+)+b", "a" * 64)  # takes years, in C
        return Outcome(accuracy_of(key), 0.01)


def test_a_child_that_hangs_is_ended_at_its_deadline_and_fails_after_a_second_try(cluster):
    probe, _ = make_search(1)
    search, recorded = make_search(6)
    placement = Placement(workers=1, cpus_per_trial=1, deadline_seconds=2.0)
    run_on_ray(search, Hanging(probe.next().key), placement)
    assert [trial.state for trial in recorded] == ["failed"] + ["finished"] * 5
    assert recorded[0].error == "the worker process was ended at its deadline of 2 s, or died later"


class Unreadable:
    """Cannot be read where it arrives, as where a node lacks a package."""

    def __reduce__(self):
        return _not_there, ()


def _not_there():
    raise ImportError("no module of that name")


def test_workers_that_never_come_up_end_the_run_and_say_why(cluster):
    rounds = Rounds(rounds=1, each=3)
    with pytest.raises(SearchFailedError, match=r"5 workers in a row ended before they .* no module of that name"):
        run_on_ray(rounds, Unreadable(), Placement(workers=1, cpus_per_trial=1))
    assert rounds.finished == 0


def test_where_others_work_workers_that_do_not_come_up_are_tried_now_and_then(cluster):
    rounds = Rounds(rounds=1, each=9)
    workers = _Workers(Dispatch(rounds, lambda worker, job: None), Placement(2, 1), None)
    assert workers.suggest("a") == {"worker": "a"}
    workers.on_trial_result("a", {"up": True})
    for number in range(STILLBORN):
        assert workers.suggest(str(number)) == {"worker": str(number)}
        workers.on_trial_complete(str(number), error=True)
        workers.give_up("no such package")
    assert workers.suggest("b") is None  # not at once, and a goes on
    assert not workers._dispatch.over


def test_a_trial_that_no_node_has_room_for_is_refused_though_all_together_have(cluster, monkeypatch):
    half = {"Alive": True, "Resources": {"CPU": 1.0}}
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "nodes", lambda: [half, half])
    with pytest.raises(InputError, match="a trial asks for 2 CPU and 0 GPU, and no single node of the Ray cluster has"):
        run_on_ray(Rounds(rounds=1, each=1), QuickEvaluator(), Placement(workers=1, cpus_per_trial=2))


def test_our_own_ray_ends_no_worker_for_its_memory(cluster):
    name = "RAY_memory_monitor_refresh_ms"  # as Ray spells it
    assert os.environ[name] == "0"  # of such an end, Tune makes the end of the search


def test_tune_ending_over_a_worker_that_ray_ended_is_no_end_of_the_run(cluster, monkeypatch):
    fit, calls = tune.Tuner.fit, []

    def sometimes(tuner):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("caught unexpected exception") from OutOfMemoryError("too much")
        return fit(tuner)

    monkeypatch.setattr(tune.Tuner, "fit", sometimes)
    rounds = Rounds(rounds=1, each=3)
    run_on_ray(rounds, QuickEvaluator(), Placement(workers=1, cpus_per_trial=1))
    assert (rounds.finished, len(calls)) == (3, 2)


class EndsTheMailbox:
    """Kills the actor that hands out candidates while it evaluates the second."""

    def __call__(self, arch, key):
        if key == "2":
            of_this_node = Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read_text().split()
            (mailbox,) = [pid for pid in of_this_node if "ray::Mailbox" in Path(f"/proc/{pid}/cmdline").read_text()]
            os.kill(int(mailbox), signal.SIGKILL)
        return Outcome(0.5, 0.01)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc to find a process")
def test_candidates_are_not_blamed_for_the_loss_of_who_hands_them_out(cluster):
    rounds = Rounds(rounds=1, each=9)
    with pytest.raises(SearchFailedError, match="the actor that hands out the candidates died; go on with --resume"):
        run_on_ray(rounds, EndsTheMailbox(), Placement(workers=1, cpus_per_trial=1))
    assert rounds.finished == 2


class FullDisk:
    """Fails as a disk does that is full, for the second trial."""

    def __call__(self, arch, key):
        if key == "2":
            raise FileError("no room; make some")
        return Outcome(0.5, 0.01)


def test_a_disk_that_is_full_on_a_worker_ends_the_run_and_is_no_outcome(cluster):
    rounds = Rounds(rounds=1, each=9)
    with pytest.raises(FileError, match="no room; make some"):
        run_on_ray(rounds, FullDisk(), Placement(workers=1, cpus_per_trial=1))
    assert rounds.finished == 1


@dataclass
class Unwritable(Rounds):
    """Trials that cannot be recorded from the second one on; of the first round, the last one ends it."""

    def finish(self, trial, outcome):
        if self.finished == 1:
            raise FileError("cannot record it")
        super().finish(trial, outcome)


def test_what_the_trials_raise_ends_the_run_also_for_a_worker_that_waits(cluster):
    with pytest.raises(FileError, match="cannot record it"):
        run_on_ray(Unwritable(rounds=2, each=2), QuickEvaluator(), Placement(workers=2, cpus_per_trial=1))


def test_a_trial_that_could_never_start_is_refused(cluster):
    search, recorded = make_search(2)
    with pytest.raises(InputError, match=r"a trial asks for 0\.5 GPU, and the Ray cluster has 0"):
        run_on_ray(search, QuickEvaluator(), Placement(workers=1, cpus_per_trial=1, gpus_per_trial=0.5))
    assert recorded == []


def test_the_room_is_that_of_the_nodes(cluster):
    cores = int(ray.cluster_resources()["CPU"])
    assert room(Placement(None, 1)) == cores
    assert room(Placement(None, cores)) == 1
    assert room(Placement(None, 1, gpus_per_trial=0.5)) == 0


def test_without_a_number_of_workers_there_are_as_many_as_there_is_room_for(cluster, tmp_path):
    rounds = Rounds(rounds=2, each=3)
    run_on_ray(rounds, MeetsTheOther(tmp_path, rounds.each), Placement(None, 1))  # hangs with one worker
    assert rounds.finished == 6


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_head_that_does_not_answer_is_missed_once_until_it_is_back():
    said = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with missed(address, lambda: said.append(1), seconds=0.02):
        wait_until(lambda: said)
        time.sleep(0.2)  # it goes on trying
        with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))) as server:
            server.settimeout(60)
            server.accept()[0].close()
            assert said == [1]
        wait_until(lambda: said == [1, 1])


def test_the_head_of_a_cluster_answers(cluster):
    said = []
    with missed(head_address(), lambda: said.append(1), seconds=0.05):
        time.sleep(0.5)
    assert said == []


def test_a_cluster_is_sent_packages_that_can_be_imported_by_themselves(tmp_path):
    printed = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "import nas.ray_worker, latency; print(nas.__file__); latency.load_table('pixel1')",
        ],
        env={"PYTHONPATH": str(copied := Path(_code())), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(printed.strip()) == copied / "nas" / "__init__.py"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc to see who listens where")
def test_nothing_listens_beyond_this_machine(cluster):
    assert cluster.startswith("http://127.0.0.1:")
    search, _ = make_search(2)
    run_on_ray(search, QuickEvaluator(), Placement(workers=1, cpus_per_trial=1))  # a worker has ports, too
    found = listening(os.getpid())
    assert found
    assert found <= LOOPBACK
