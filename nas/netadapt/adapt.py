"""The state of one NetAdapt: hands out a step's proposals, takes their accuracies, decides, and goes on.

It knows neither Ray nor files, nor how accuracies come about. `nas.loop` and `nas.ray_trials` drive it as they drive a
search.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ConfigDict

from nas.netadapt.proposals import Proposal
from nas.search import Outcome
from search_spaces import Arch

Select = Literal["ratio", "accuracy"]
_LINE = ConfigDict(extra="forbid", allow_inf_nan=False)  # for lines that are read back


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of ``proposals.jsonl``: a proposal of ``step`` (from 1), its accuracy after fine-tuning or an error.

    ``key`` names it in the run; ``latency_ms`` is the whole network's.
    """

    __pydantic_config__ = _LINE

    step: int
    key: str
    target: str
    before: int
    after: int
    latency_ms: float
    accuracy: float | None
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One line of ``steps.jsonl``: the network that a step ended with; step 0 is the seed, and shrinks nothing."""

    __pydantic_config__ = _LINE

    step: int
    key: str
    target: str
    before: int
    after: int
    latency_ms: float
    accuracy: float
    arch: Arch


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to: at most ``target_ms``; by what to choose among a step's proposals."""

    target_ms: float
    select: Select = "ratio"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal that is to be judged; ``trial`` is the number under which to report it."""

    trial: int
    key: str
    arch: Arch
    latency_ms: float
    proposal: Proposal


@dataclass(slots=True)
class Adaptation:
    """One NetAdapt on its way (Yang et al. 2018, algorithm 1).

    ``steps`` begins with the seed and grows; ``done`` before the target is reached means ``exhausted``, no proposal
    saves enough any more, or ``gave_up`` with a reason. ``judged`` are recorded lines of the step that is next, which
    are taken over. ``on_judged`` and ``on_kept`` are told what is new before anything builds on it.
    """

    steps: list[Kept]
    goal: Goal
    propose: Callable[[Arch, float], list[Proposal]]
    judged: Iterable[Judged] = ()
    on_judged: Callable[[Judged], None] = lambda judged: None
    on_kept: Callable[[Kept], None] = lambda kept: None
    exhausted: bool = field(init=False, default=False)
    gave_up: str = field(init=False, default="")
    _waiting: list[Candidate] = field(init=False, default_factory=list)
    _running: dict[int, Candidate] = field(init=False, default_factory=dict)
    _results: dict[str, Judged] = field(init=False, default_factory=dict)  # of this step
    _tried_again: set[str] = field(init=False, default_factory=set)
    _candidates: dict[str, Candidate] = field(init=False, default_factory=dict)  # of this step
    _trials: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._begin_step({judged.key: judged for judged in self.judged})

    @property
    def current(self) -> Kept:
        """The network that has been reached."""
        return self.steps[-1]

    @property
    def done(self) -> bool:
        """Whether there is nothing more to judge."""
        return self.current.latency_ms <= self.goal.target_ms or self.exhausted or bool(self.gave_up)

    @property
    def progress(self) -> tuple[int, int]:
        """How many of this step's proposals are judged, and how many there are."""
        return len(self._results), len(self._candidates)

    def next(self) -> Candidate | None:
        """Hand out a proposal; None where all of the step are handed out, or nothing is left to do."""
        if self.done or not self._waiting:
            return None
        candidate = self._waiting.pop(0)
        self._running[candidate.trial] = candidate
        return candidate

    def finish(self, trial: int, outcome: Outcome) -> None:
        """Take what became of a proposal; with the last one the step is decided, and the next begins."""
        candidate = self._running.pop(trial)
        if not outcome.network_fault and candidate.key not in self._tried_again:
            self._tried_again.add(candidate.key)  # the machine's fault, which may pass
            self._waiting.append(candidate)
            return
        judged = _judged(len(self.steps), candidate, outcome)
        self._results[candidate.key] = judged
        self.on_judged(judged)
        if len(self._results) == len(self._candidates):
            self._decide()

    def _begin_step(self, recorded: dict[str, Judged]) -> None:
        if self.done:
            return
        step, now = len(self.steps), self.current
        self._candidates, self._waiting, self._results = {}, [], {}
        for proposal in self.propose(now.arch, now.latency_ms):
            key = f"{step:03}-{proposal.arch.key}"
            self._candidates[key] = Candidate(self._trials, key, proposal.arch, proposal.latency_ms, proposal)
            self._trials += 1
        self._results = {key: recorded[key] for key in self._candidates if key in recorded}
        self._waiting = [one for key, one in self._candidates.items() if key not in self._results]
        self.exhausted = not self._candidates
        if self._candidates and not self._waiting:
            self._decide()

    def _decide(self) -> None:
        results = [self._results[key] for key in self._candidates]
        best = choose(results, self.current, self.goal.select)
        if best is None:
            self.gave_up = f"all {len(results)} proposals of step {len(self.steps)} failed ({results[0].error})"
            return
        kept = Kept(
            step=best.step,
            key=best.key,
            target=best.target,
            before=best.before,
            after=best.after,
            latency_ms=best.latency_ms,
            accuracy=best.accuracy or 0.0,
            arch=self._candidates[best.key].arch,
        )
        self.on_kept(kept)
        self.steps.append(kept)
        self._begin_step({})


def choose(results: Iterable[Judged], now: Kept, select: Select) -> Judged | None:
    """Choose among a step's proposals; None where none has an accuracy. Ties go to what saves more, then to the first.

    ``ratio``: the most change of accuracy per ms saved (Howard et al. 2019, section 4.2). ``accuracy``: the highest
    accuracy (Yang et al. 2018, section 3.2).
    """

    def merit(judged: Judged) -> tuple[float, float]:
        assert judged.accuracy is not None
        saved_ms = now.latency_ms - judged.latency_ms
        gain = judged.accuracy if select == "accuracy" else (judged.accuracy - now.accuracy) / saved_ms
        return gain, saved_ms

    return max((judged for judged in results if judged.accuracy is not None), key=merit, default=None)


def seed_step(arch: Arch, latency_ms: float, accuracy: float) -> Kept:
    """Make the line that stands for the seed."""
    return Kept(0, f"000-{arch.key}", "", 0, 0, latency_ms, accuracy, arch)


def _judged(step: int, candidate: Candidate, outcome: Outcome) -> Judged:
    proposal = candidate.proposal
    return Judged(
        step=step,
        key=candidate.key,
        target=proposal.target,
        before=proposal.before,
        after=proposal.after,
        latency_ms=proposal.latency_ms,
        accuracy=outcome.accuracy,
        seconds=outcome.seconds,
        error=outcome.error,
    )
