"""Who works on what, without any workers."""

from collections import deque
from dataclasses import dataclass, field

import pytest

from nas.dispatch import Dispatch, Job, TrialClock
from nas.search import Outcome
from search_spaces import Arch, reference

ARCH = reference("mobilenet_v3_small")
MACHINE = Outcome(None, 1.0, "out of memory", network_fault=False)


@dataclass(frozen=True)
class Candidate:
    trial: int
    key: str = "key"
    arch: Arch = ARCH
    latency_ms: float = 1.0


@dataclass
class Few:
    """So many trials, each tried once more where the machine failed; ``together`` may run at a time."""

    left: deque[int]
    together: int = 100
    running: set[int] = field(default_factory=set)
    outcomes: list[tuple[int, float | None]] = field(default_factory=list)
    stopped: bool = False

    @property
    def done(self) -> bool:
        return self.stopped or not (self.left or self.running)

    def next(self) -> Candidate | None:
        if self.stopped or not self.left or len(self.running) == self.together:
            return None
        trial = self.left.popleft()
        self.running.add(trial)
        return Candidate(trial)

    def finish(self, trial: int, outcome: Outcome) -> None:
        self.running.remove(trial)
        tried = trial in [number for number, _ in self.outcomes]
        self.outcomes.append((trial, outcome.accuracy))
        if outcome.accuracy is None and not outcome.network_fault and not tried:
            self.left.appendleft(trial)


class Sent:
    """What was sent to each worker: trial numbers, and None for the end."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int | None]] = []
        self.deadlines: list[float | None] = []

    def __call__(self, worker: str, job: Job | None) -> None:
        self.jobs.append((worker, None if job is None else job.trial))
        if job is not None:
            self.deadlines.append(job.deadline_seconds)

    def since(self, count: int) -> list[tuple[str, int | None]]:
        return self.jobs[count:]


def begin(trials: Few, *workers: str, deadline_seconds: float | None = None) -> tuple[Dispatch, Sent]:
    sent = Sent()
    dispatch = Dispatch(trials, sent, deadline_seconds)
    for worker in workers:
        dispatch.join(worker)
    return dispatch, sent


def test_each_outcome_is_the_call_for_the_next_candidate_and_the_last_sends_all_home() -> None:
    trials = Few(deque(range(3)))
    dispatch, sent = begin(trials, "a", "b")
    dispatch.take("a", Outcome(0.5, 1.0))
    assert sent.jobs == [("a", 0), ("b", 1), ("a", 2)]
    dispatch.take("a", Outcome(0.6, 1.0))
    assert sent.since(3) == []  # there may be work again once b is done
    assert not dispatch.over
    dispatch.take("b", Outcome(0.7, 1.0))
    assert sorted(sent.since(3)) == [("a", None), ("b", None)]
    assert dispatch.over
    assert dispatch.deserted
    assert trials.outcomes == [(0, 0.5), (2, 0.6), (1, 0.7)]


def test_a_worker_that_waits_gets_what_an_outcome_of_another_brings() -> None:
    trials = Few(deque(range(3)), together=1)
    dispatch, sent = begin(trials, "a", "b")
    assert sent.jobs == [("a", 0)]
    dispatch.take("a", Outcome(0.5, 1.0))
    assert sent.since(1) == [("a", 1)]
    dispatch.leave("a")
    assert sent.since(2) == [("b", 1)]


def test_what_a_machine_failed_at_goes_to_another_worker() -> None:
    dispatch, sent = begin(Few(deque(range(3))), "a", "b")
    dispatch.take("a", MACHINE)  # 0 failed on a, which gets 2 instead
    assert sent.since(2) == [("a", 2)]
    dispatch.take("b", Outcome(0.5, 1.0))
    assert sent.since(3) == [("b", 0)]


def test_a_worker_that_is_alone_tries_again_itself() -> None:
    dispatch, sent = begin(Few(deque(range(2))), "a")
    dispatch.take("a", MACHINE)
    assert sent.since(1) == [("a", 0)]


def test_a_worker_on_which_nothing_succeeds_any_more_is_sent_home() -> None:
    dispatch, sent = begin(Few(deque(range(9))), "a", "b")
    dispatch.take("a", MACHINE)
    dispatch.take("a", Outcome(0.5, 1.0))
    dispatch.take("a", MACHINE)
    assert ("a", None) not in sent.jobs  # one success between them
    count = len(sent.jobs)
    dispatch.take("a", MACHINE)
    assert sent.since(count) == [("a", None)]
    dispatch.join("c")
    assert sent.since(count + 1) == [("c", 0)]  # which failed first


def test_of_a_faulty_network_a_worker_is_not_blamed() -> None:
    dispatch, sent = begin(Few(deque(range(9))), "a")
    for _ in range(4):
        dispatch.take("a", Outcome(None, 1.0, "diverged"))
    assert ("a", None) not in sent.jobs


def test_where_no_worker_is_left_all_that_ran_failed_and_others_begin_anew() -> None:
    trials = Few(deque(range(2)), together=1)
    dispatch, sent = begin(trials, "a", "b")
    dispatch.abandon()
    assert trials.outcomes == [(0, None)]  # b waited
    dispatch.join("c")
    assert sent.since(1) == [("c", 0)]


class Nameless(Candidate):
    """A candidate whose network nobody knows."""

    def __getattribute__(self, name: str) -> object:
        if name == "arch":
            raise LookupError("no network")
        return super().__getattribute__(name)


def test_a_candidate_that_cannot_be_sent_is_the_fault_and_its_worker_is_not_waited_for() -> None:
    class OfTokens(Few):
        def next(self) -> Candidate | None:
            return Nameless(0)

    dispatch, sent = begin(OfTokens(deque(range(9))), "a")
    assert str(dispatch.fault) == "no network"
    assert sent.jobs == [("a", None)]
    assert dispatch.deserted


def test_what_is_kept_for_another_worker_comes_back_when_the_others_leave() -> None:
    trials = Few(deque(range(2)))
    dispatch, sent = begin(trials, "a", "b")
    dispatch.take("a", MACHINE)
    assert sent.since(2) == []  # 0 waits for b
    dispatch.leave("b")  # and what it was at failed, too
    assert sent.since(2) == [("a", 0)]
    dispatch.take("a", Outcome(0.5, 1.0))
    assert sent.since(3) == [("a", 1)]


def test_a_worker_that_leaves_failed_at_what_it_was_at() -> None:
    trials = Few(deque([0]))
    dispatch, sent = begin(trials, "a")
    dispatch.leave("a")
    assert trials.outcomes == [(0, None)]
    dispatch.join("b")
    assert sent.since(1) == [("b", 0)]
    dispatch.leave("b")
    assert dispatch.over
    dispatch.join("c")
    assert sent.since(2) == [("c", None)]


def test_stopped_trials_end_with_those_that_run() -> None:
    trials = Few(deque(range(9)))
    dispatch, sent = begin(trials, "a", "b")
    trials.stopped = True
    dispatch.take("b", Outcome(0.5, 1.0))
    assert sent.since(2) == [("b", None)]
    assert not dispatch.deserted
    dispatch.take("a", Outcome(0.5, 1.0))
    assert sent.since(3) == [("a", None)]
    assert dispatch.deserted


def test_a_fault_sends_home_who_waits_and_who_ran_after_that() -> None:
    dispatch, sent = begin(Few(deque(range(9)), together=2), "a", "b", "c")
    dispatch.fail(OSError("full"), "a")
    assert sorted(sent.since(2)) == [("a", None), ("c", None)]
    dispatch.take("b", Outcome(0.5, 1.0))
    assert sent.since(4) == [("b", None)]
    assert str(dispatch.fault) == "full"


class Unwritable(Few):
    """Trials that cannot be recorded."""

    def finish(self, trial: int, outcome: Outcome) -> None:
        raise OSError("full")


def test_what_the_trials_raise_is_the_fault_and_the_first_one_stays() -> None:
    dispatch, sent = begin(Unwritable(deque(range(9))), "a", "b")
    dispatch.take("a", Outcome(0.5, 1.0))
    dispatch.fail(ValueError("later"), "b")
    assert str(dispatch.fault) == "full"
    assert sent.since(2) == [("a", None), ("b", None)]


def test_the_deadline_is_the_given_one_or_follows_from_the_trials_so_far() -> None:
    _, sent = begin(Few(deque(range(9))), "a", deadline_seconds=7.0)
    assert sent.deadlines == [7.0]
    dispatch, sent = begin(Few(deque(range(9))), "a")
    dispatch.take("a", Outcome(0.5, 100.0))
    assert sent.deadlines == [None, 1000.0]


def test_without_a_deadline_a_trial_may_take_ten_times_the_longest_and_ten_minutes() -> None:
    clock = TrialClock()
    assert clock.deadline() is None
    clock.add(3.0, now=5.0)
    assert clock.deadline() == 600.0
    clock.add(100.0, now=5.0)
    assert clock.deadline() == 1000.0


def test_overhead_is_the_wall_time_that_no_trial_filled() -> None:
    clock = TrialClock()
    clock.add(3.0, now=13.0)  # from 10 to 13
    clock.add(2.0, now=15.0)
    # from 10 to 15 are 5 s of wall time; 5 s of trials on 2 workers would take 2.5 s: half of it was overhead
    assert clock.overhead(2) == pytest.approx(0.5)
    assert clock.overhead(1) == pytest.approx(0.0)


def test_overhead_of_no_trials_is_unknown() -> None:
    assert TrialClock().overhead(2) is None
