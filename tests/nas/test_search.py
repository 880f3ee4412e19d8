"""The state of a search, driven in this process on a space whose rewards are known."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from controllers import Proposal, create
from nas.children import outcome_of
from nas.loop import run_in_process
from nas.points import SpacePoints
from nas.rewards import make_reward
from nas.search import GIVE_UP_AFTER, Outcome, PolicyUpdate, Search, Trial, child_seed
from search_spaces import count, load_space

TINY = load_space(Path(__file__).parent.parent / "spaces" / "tiny.yaml")


def latency_ms(arch):
    return count(arch).macs / 1e5


def accuracy_of(candidate):
    """A stand-in that is a function of the network alone, as a child's accuracy is."""
    return 0.5 + int(candidate.key[:4], 16) / 2**17


class Recorder:
    """Keeps what a search gives out to be written down."""

    def __init__(self):
        self.trials: list[Trial] = []
        self.updates: list[PolicyUpdate] = []

    def search(self, controller="reinforce", trials=30, batch=4, seed=0):
        return Search(
            points=SpacePoints(TINY, latency_ms),
            controller=create(controller, TINY.sizes, seed),
            reward=make_reward("soft", 10.0, -0.15),
            trials=trials,
            batch=batch,
            on_trial=self.trials.append,
            on_update=self.updates.append,
        )


def test_search_evaluates_every_trial_of_the_budget_and_learns_after_each_batch():
    seen = Recorder()
    search = seen.search(trials=30, batch=4)
    run_in_process(search, lambda candidate: Outcome(accuracy_of(candidate), 0.1))
    assert search.done
    assert [trial.trial for trial in seen.trials] == list(range(30))
    assert [update.trials for update in seen.updates] == [4, 8, 12, 16, 20, 24, 28]
    assert {len(update.decision_entropies) for update in seen.updates} == {len(TINY.sizes)}


def test_trial_carries_the_reward_of_its_accuracy_and_latency():
    seen = Recorder()
    search = seen.search(trials=1)
    run_in_process(search, lambda candidate: Outcome(0.8, 0.1))
    (trial,) = seen.trials
    assert trial.latency_ms == latency_ms(TINY.decode(trial.tokens))
    assert trial.reward == pytest.approx(0.8 * (trial.latency_ms / 10.0) ** -0.15)
    assert trial.state == "finished"


def test_a_network_seen_before_takes_its_accuracy_over_without_training():
    seen = Recorder()
    evaluated = []

    def evaluate(candidate):
        evaluated.append(candidate.key)
        return Outcome(accuracy_of(candidate), 0.1)

    run_in_process(seen.search("random", trials=60), evaluate)
    assert len(evaluated) == len(set(evaluated))
    reused = [trial for trial in seen.trials if trial.state == "reused"]
    assert len(reused) == 60 - len(evaluated)
    assert reused  # 60 draws from at most 32 networks
    first = {trial.key: trial.accuracy for trial in seen.trials if trial.state == "finished"}
    assert all(trial.accuracy == first[trial.key] and trial.seconds == 0 for trial in reused)


def test_a_twin_of_a_network_in_training_waits_for_it():
    seen = Recorder()
    search = seen.search("random", trials=60)
    held = []
    while (candidate := search.next()) is not None:
        held.append(candidate)  # nothing finishes until everything is handed out
    assert len({candidate.key for candidate in held}) == len(held) < 60
    for candidate in held:
        search.finish(candidate.trial, Outcome(accuracy_of(candidate), 0.1))
    assert search.done
    assert sorted(trial.trial for trial in seen.trials) == list(range(60))


def test_a_diverged_network_is_a_failed_trial_with_reward_0_that_the_policy_learns_from():
    seen = Recorder()
    search = seen.search(trials=8, batch=4)
    run_in_process(search, lambda c: Outcome(None, 0.1, "diverged") if c.trial == 0 else Outcome(0.5, 0.1))
    assert (seen.trials[0].state, seen.trials[0].reward, seen.trials[0].error) == ("failed", 0.0, "diverged")
    assert seen.updates[0].trials == 4


DEAD = Outcome(None, 0.1, "the worker process died", network_fault=False)


def test_a_fault_of_the_machine_is_forgiven_once():
    seen = Recorder()
    search = seen.search(trials=8, batch=4)
    first = search.next()
    assert search.finish(first.trial, DEAD) is None
    assert search.next() == first
    assert search.finish(first.trial, Outcome(0.7, 0.1)).state == "finished"
    assert [trial.trial for trial in seen.trials] == [0]


def test_a_fault_of_the_machine_that_comes_twice_is_a_failed_trial_kept_from_the_policy():
    seen = Recorder()
    search = seen.search(trials=8, batch=4)
    run_in_process(search, lambda c: DEAD if c.trial == 0 else Outcome(0.5, 0.1))
    assert (seen.trials[0].state, seen.trials[0].reward) == ("failed", None)
    assert seen.updates[0].trials == 5


def test_a_network_that_diverged_is_not_trained_again():
    seen = Recorder()
    evaluated = []

    def evaluate(candidate):
        evaluated.append(candidate.key)
        diverged = len(evaluated) % 2 == 0
        return Outcome(None, 0.1, "diverged") if diverged else Outcome(accuracy_of(candidate), 0.1)

    run_in_process(seen.search("random", trials=60), evaluate)
    assert len(evaluated) == len(set(evaluated))
    again = [trial for trial in seen.trials if trial.state == "failed" and trial.seconds == 0]
    assert again
    assert all((trial.reward, trial.error) == (0.0, "diverged") for trial in again)


def test_search_gives_up_when_the_first_trials_all_fail_and_says_why():
    seen = Recorder()
    search = seen.search(trials=30)
    run_in_process(search, lambda candidate: Outcome(None, 0.1, f"no memory for {candidate.key}"))
    assert search.done
    assert GIVE_UP_AFTER <= len(seen.trials) < 30
    assert search.gave_up.startswith(f"the first {len(seen.trials)} trials all failed; the last error: no memory")


def test_a_search_that_gave_up_stays_so_when_a_late_trial_succeeds():
    seen = Recorder()
    search = seen.search(trials=30)
    held = [search.next() for _ in range(GIVE_UP_AFTER + 1)]
    for candidate in held[:-1]:
        search.finish(candidate.trial, Outcome(None, 0.1, "diverged"))
    search.finish(held[-1].trial, Outcome(0.9, 0.1))
    assert search.gave_up is not None
    assert search.next() is None


def test_a_search_that_gave_up_tries_again_when_it_is_resumed():
    before = Recorder()
    run_in_process(before.search("random", trials=30), lambda candidate: Outcome(None, 0.1, "diverged"))
    after = Recorder()
    resumed = after.search("random", trials=30)
    resumed.replay(before.trials)
    assert resumed.gave_up is None
    run_in_process(resumed, lambda candidate: Outcome(0.5, 0.1))
    assert len(resumed.results) == 30


def test_search_goes_on_when_only_some_trials_fail():
    seen = Recorder()
    search = seen.search("random", trials=30)
    run_in_process(search, lambda c: Outcome(0.5, 0.1) if c.trial == 0 else Outcome(None, 0.1, "diverged"))
    assert search.gave_up is None
    assert len(seen.trials) == 30


@pytest.mark.parametrize("finished", [0, 1, 7, 8, 19])
def test_a_replayed_search_goes_on_as_if_never_interrupted(finished):
    whole = Recorder()
    run_in_process(whole.search(trials=20), lambda c: Outcome(accuracy_of(c), 0.1))

    rest = Recorder()
    resumed = rest.search(trials=20)
    resumed.replay(whole.trials[:finished])
    run_in_process(resumed, lambda c: Outcome(accuracy_of(c), 0.1))
    assert rest.trials == whole.trials[finished:]
    assert rest.updates == whole.updates


def test_replay_hands_out_first_what_was_not_finished():
    # two workers: trial 1 came back, trial 0 was lost with the process
    before = Recorder()
    search = before.search(trials=6)
    first, second = search.next(), search.next()
    search.finish(second.trial, Outcome(0.6, 0.1))

    after = Recorder()
    resumed = after.search(trials=6)
    resumed.replay(before.trials)
    again = resumed.next()
    assert (again.trial, again.tokens) == (first.trial, first.tokens)
    resumed.finish(again.trial, Outcome(0.7, 0.1))
    run_in_process(resumed, lambda c: Outcome(accuracy_of(c), 0.1))
    assert sorted(trial.trial for trial in resumed.results) == [0, 1, 2, 3, 4, 5]


class ListeningController:
    """Proposes one network again and again, and keeps what it is told."""

    def __init__(self):
        self.lessons = []

    def ask(self, n):
        return [Proposal((0,) * len(TINY.sizes))] * n

    def tell(self, results):
        self.lessons += results

    def diagnostics(self):
        return {}

    def decision_entropies(self):
        return [1.0] * len(TINY.sizes)


def test_replay_teaches_the_recorded_tokens_where_the_policy_would_propose_others():
    # as with several workers, whose order of asking and telling was another
    before = Recorder()
    run_in_process(before.search("random", trials=4), lambda c: Outcome(accuracy_of(c), 0.1))
    resumed = Recorder().search(trials=4)
    resumed.controller = ListeningController()
    resumed.replay(before.trials)
    assert [proposal.tokens for proposal, _ in resumed.controller.lessons] == [t.tokens for t in before.trials]
    assert len({trial.tokens for trial in before.trials}) > 1


def test_child_seed_depends_on_the_network_and_the_search_alone():
    assert child_seed(3, "abc") == child_seed(3, "abc")
    assert len({child_seed(3, "abc"), child_seed(4, "abc"), child_seed(3, "abd")}) == 3


def test_a_clock_that_jumps_changes_nothing(monkeypatch):
    jumps = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr("time.time", lambda: float(next(jumps)))  # a day back with each look at it

    def training():
        time.sleep(0.01)
        return SimpleNamespace(accuracy=0.5)

    outcome = outcome_of(training)
    assert outcome.accuracy == 0.5
    assert 0.01 <= outcome.seconds < 60


@pytest.mark.parametrize("allocate", [lambda: np.ones(2**50), lambda: torch.ones(2**50)], ids=["numpy", "torch"])
def test_a_child_that_runs_out_of_memory_is_the_machines_fault(allocate):
    outcome = outcome_of(allocate)
    assert (outcome.accuracy, outcome.network_fault) == (None, False)
    assert "llocate" in outcome.error
