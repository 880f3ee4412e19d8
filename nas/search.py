"""The state of one search: hands out candidates, takes outcomes, decides when the controller learns.

It knows neither Ray nor files. The in-process loop and Ray Tune drive it alike; whoever drives it passes in what to do
with a finished trial and with a policy update.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import ConfigDict

from controllers import Controller, Proposal
from nas.points import Point, Points, Tokens
from nas.rewards import Reward
from search_spaces import Arch

TrialState = Literal["finished", "reused", "failed"]
GIVE_UP_AFTER = 5  # trials that all failed, none finished: something else than the networks is wrong


class SearchFailedError(RuntimeError):
    """A search that cannot end with a seed; the message is written for whoever started it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came back with: an accuracy in [0, 1], or an error.

    ``network_fault``: the error is the network's own (it diverged, it cannot be built), not the machine's.
    """

    accuracy: float | None
    seconds: float
    error: str | None = None
    network_fault: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that is to be evaluated, and the trial number under which to report it."""

    trial: int
    proposal: Proposal
    point: Point

    @property
    def tokens(self) -> Tokens:
        return self.proposal.tokens

    @property
    def key(self) -> str:
        return self.point.key

    @property
    def latency_ms(self) -> float:
        return self.point.latency_ms

    @property
    def arch(self) -> Arch:
        """Its network, for who builds it; ``LookupError`` where the search knows tokens alone."""
        if self.point.arch is None:
            raise LookupError(f"of candidate {self.trial} the tokens are known, and no network")
        return self.point.arch


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of ``trials.jsonl``.

    ``reused``: a network seen before, whose result was taken over. A failed trial has no accuracy; its reward is 0
    where the network is to blame, and none, so that the policy learns nothing, where the machine is.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # for lines that are read back

    trial: int
    tokens: Tokens
    key: str
    latency_ms: float
    accuracy: float | None
    reward: float | None
    seconds: float
    state: TrialState
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyUpdate:
    """One learning step of the controller: after how many trials, on what mean reward, and its state afterwards.

    ``decision_entropies`` are shares of each decision's maximum; empty in runs that did not record them.
    """

    update: int
    trials: int
    mean_reward: float
    diagnostics: dict[str, float]
    decision_entropies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: what `Search.restore` needs beside its results and the controller's state.

    ``last``: trial and key of its last result; ``open``: proposals without a result, by trial; ``lessons``: proposals
    with their rewards that the controller has not been told yet.
    """

    results: int
    last: tuple[int, str] | None
    issued: int
    updates: int
    open: tuple[tuple[int, Proposal], ...]
    lessons: tuple[tuple[Proposal, float], ...]

    def fits(self, results: Sequence[Trial]) -> bool:
        """Whether these results begin with those that it was made after."""
        if not 0 <= self.results <= len(results):
            return False
        before = results[self.results - 1] if self.results else None
        return self.last == (None if before is None else (before.trial, before.key))


@dataclass
class Search:
    """One search among ``points`` with a budget of ``trials``; the controller learns after every ``batch`` outcomes."""

    points: Points
    controller: Controller
    reward: Reward
    trials: int
    batch: int
    on_trial: Callable[[Trial], None]
    on_update: Callable[[PolicyUpdate], None]
    results: list[Trial] = field(default_factory=list)
    gave_up: str | None = None  # why the search stopped before its budget was used up, if it did
    stopped: bool = False  # it hands out nothing more
    _issued: int = 0
    _updates: int = 0
    _failures: int = 0  # since this process began, while nothing finished
    _retried: set[int] = field(default_factory=set)
    _open: dict[int, Candidate] = field(default_factory=dict)  # proposed, without a result yet
    _backlog: deque[Candidate] = field(default_factory=deque)
    _twins: dict[str, list[Candidate]] = field(default_factory=dict)
    _known: dict[str, Outcome] = field(default_factory=dict)
    _lessons: list[tuple[Proposal, float]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether every trial of the budget has its result, or the search gave up or was stopped."""
        return self.stopped or self.gave_up is not None or len(self.results) >= self.trials

    def stop(self) -> None:
        """Hand out no further candidates; outcomes of those that are handed out are still taken."""
        self.stopped = True

    def next(self) -> Candidate | None:
        """Hand out the next network to evaluate, or None while there is none.

        A network seen before takes its result over at once; one that is being evaluated waits for its twin.
        """
        while not self.stopped and self.gave_up is None and (self._backlog or self._issued < self.trials):
            candidate = self._backlog.popleft() if self._backlog else self._propose()
            if candidate.key in self._known:
                self._reuse(candidate)
            elif candidate.key in self._twins:
                self._twins[candidate.key].append(candidate)
            else:
                self._twins[candidate.key] = []
                return candidate
        return None

    def finish(self, trial: int, outcome: Outcome) -> Trial | None:
        """Take the outcome of a candidate, and settle those that waited for the same network.

        A fault of the machine is forgiven once: the candidate is handed out again, and None comes back.
        """
        candidate = self._open[trial]
        waiting = self._twins.pop(candidate.key)
        if outcome.accuracy is None and not outcome.network_fault and trial not in self._retried:
            self._retried.add(trial)
            self._backlog.extendleft([*reversed(waiting), candidate])
            return None
        result = self._result(candidate, outcome)
        self._take(result, candidate.proposal)
        self._count_failure(result)
        if candidate.key in self._known:
            for twin in waiting:
                self._reuse(twin)
        else:
            self._backlog.extend(waiting)
        return result

    def progress(self) -> Progress:
        """Say how far the search is, for one that goes on from here with a controller in the same state."""
        last = self.results[-1] if self.results else None
        return Progress(
            results=len(self.results),
            last=None if last is None else (last.trial, last.key),
            issued=self._issued,
            updates=self._updates,
            open=tuple((trial, candidate.proposal) for trial, candidate in sorted(self._open.items())),
            lessons=tuple(self._lessons),
        )

    def restore(self, results: Sequence[Trial], progress: Progress) -> None:
        """Go on from where a search had these results; the controller is in the state that it had then."""
        waiting = [Candidate(trial, proposal, self.points.point(proposal.tokens)) for trial, proposal in progress.open]
        self._open = {candidate.trial: candidate for candidate in waiting}
        self._issued, self._updates, self._lessons = progress.issued, progress.updates, list(progress.lessons)
        for result in results:
            self._note(result)

    def replay(self, results: Iterable[Trial]) -> None:
        """Take over the results of an interrupted run, in the order in which they finished.

        The controller is asked and told as it was then, so that with one worker it goes on as if never interrupted.
        What had been handed out but not finished comes first when the search goes on.
        """
        for result in results:
            while self._issued <= result.trial:
                self._propose()
            proposal = self._open[result.trial].proposal
            if proposal.tokens != result.tokens:  # several workers: the order of asking and telling was another
                proposal = Proposal(result.tokens)
            self._take(result, proposal, record=False)
        self._backlog.extend(self._open[trial] for trial in sorted(self._open))

    def _propose(self) -> Candidate:
        proposal = self.controller.ask(1)[0]
        candidate = Candidate(self._issued, proposal, self.points.point(proposal.tokens))
        self._open[candidate.trial] = candidate
        self._issued += 1
        return candidate

    def _reuse(self, candidate: Candidate) -> None:
        outcome = replace(self._known[candidate.key], seconds=0.0)
        self._take(self._result(candidate, outcome, "reused"), candidate.proposal)

    def _count_failure(self, result: Trial) -> None:
        self._failures += result.state == "failed"
        if self._failures >= GIVE_UP_AFTER and all(trial.state == "failed" for trial in self.results):
            self.gave_up = f"the first {len(self.results)} trials all failed; the last error: {result.error}"

    def _result(self, candidate: Candidate, outcome: Outcome, state: TrialState = "finished") -> Trial:
        if outcome.accuracy is None:
            state, reward = "failed", 0.0 if outcome.network_fault else None
        else:
            reward = self.reward(outcome.accuracy, candidate.latency_ms)
        return Trial(
            candidate.trial,
            candidate.tokens,
            candidate.key,
            candidate.latency_ms,
            outcome.accuracy,
            reward,
            outcome.seconds,
            state,
            outcome.error,
        )

    def _take(self, result: Trial, proposal: Proposal, record: bool = True) -> None:
        """Write the trial down first, then learn from it: what is on disk is never ahead of nothing."""
        if record:
            self.on_trial(result)
        self._open.pop(result.trial)
        self._note(result)
        if result.reward is not None:
            self._lessons.append((proposal, result.reward))
        if len(self._lessons) >= self.batch:
            self._learn()

    def _note(self, result: Trial) -> None:
        self.results.append(result)
        if result.reward is not None:  # neither luck nor another worker would change it
            self._known[result.key] = Outcome(result.accuracy, result.seconds, result.error)

    def _learn(self) -> None:
        lessons, self._lessons = self._lessons, []
        self.controller.tell(lessons)
        self._updates += 1
        mean = sum(reward for _, reward in lessons) / len(lessons)
        entropies = tuple(self.controller.decision_entropies())
        self.on_update(
            PolicyUpdate(self._updates, len(self.results), mean, dict(self.controller.diagnostics()), entropies)
        )


def child_seed(seed: int, key: str) -> int:
    """Give the seed of a network's training: the same network trains alike whenever a search of this seed meets it."""
    return int.from_bytes(hashlib.sha256(f"{seed}-{key}".encode()).digest()[:4], "big")
