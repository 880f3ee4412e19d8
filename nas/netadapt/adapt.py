"""The state of one NetAdapt: hands out a step's proposals, takes their accuracies, decides, and goes on.

It knows neither Ray nor files, nor how accuracies come about. `nas.loop` and `nas.ray_trials` drive it as they drive a
search.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field
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

    ``key`` names it in the run; ``latency_ms`` is the whole network's. ``base`` is the key of the network that it
    narrows: not always one that was kept, see `Adaptation`.
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
    base: str = ""  # lines of older runs have none


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
class Round:
    """The proposals that narrow one network, ``base``: those that wait, and what became of the others, by key."""

    base: Kept
    candidates: dict[str, Candidate]
    results: dict[str, Judged]
    waiting: list[Candidate] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = [one for key, one in self.candidates.items() if key not in self.results]

    @property
    def complete(self) -> bool:
        """Whether all of them are judged."""
        return len(self.results) == len(self.candidates)

    def best(self, select: Select) -> Kept | None:
        """Give the best of those judged so far; None where none has an accuracy."""
        results = [self.results[key] for key in self.candidates if key in self.results]
        best = choose(results, self.base, select)
        return None if best is None else _kept(best, self.candidates[best.key].arch)


@dataclass(slots=True)
class Adaptation:
    """One NetAdapt on its way (Yang et al. 2018, algorithm 1).

    ``steps`` begins with the seed and grows; ``done`` before the target is reached means ``exhausted``, no proposal
    saves enough any more, or ``gave_up`` with a reason. ``judged`` are recorded lines, which are taken over.
    ``on_judged`` and ``on_kept`` are told what is new before anything builds on it.

    Who asks for a proposal when all of the step are handed out gets one of the next step, as if the best so far were
    kept: it is, unless one of those that still run is better. So nobody waits for the last one. What was guessed
    wrongly plays no part: steps do not depend on how many judge at a time.
    """

    steps: list[Kept]
    goal: Goal
    propose: Callable[[Arch, float], list[Proposal]]
    judged: InitVar[Iterable[Judged]] = ()
    on_judged: Callable[[Judged], None] = lambda judged: None
    on_kept: Callable[[Kept], None] = lambda kept: None
    exhausted: bool = field(init=False, default=False)
    gave_up: str = field(init=False, default="")
    _recorded: dict[str, Judged] = field(init=False)
    _round: Round = field(init=False)
    _guessed: dict[str, Round] = field(init=False, default_factory=dict)  # of the next step, by the network guessed
    _running: dict[int, tuple[Round, Candidate]] = field(init=False, default_factory=dict)
    _tried_again: set[str] = field(init=False, default_factory=set)
    _trials: int = field(init=False, default=0)

    def __post_init__(self, judged: Iterable[Judged]) -> None:
        self._recorded = {one.key: one for one in judged}
        self._begin_step()

    @property
    def current(self) -> Kept:
        """The network that has been reached."""
        return self.steps[-1]

    @property
    def done(self) -> bool:
        """Whether there is nothing more to judge."""
        return self._reached(self.current) or self.exhausted or bool(self.gave_up)

    @property
    def progress(self) -> tuple[int, int]:
        """How many of this step's proposals are judged, and how many there are."""
        return len(self._round.results), len(self._round.candidates)

    def next(self) -> Candidate | None:
        """Hand out a proposal; None where all of this step are handed out and none of the next can be guessed."""
        if self.done:
            return None
        round_ = self._round if self._round.waiting else self._guess()
        if round_ is None or not round_.waiting:
            return None
        candidate = round_.waiting.pop(0)
        self._running[candidate.trial] = round_, candidate
        return candidate

    def finish(self, trial: int, outcome: Outcome) -> None:
        """Take what became of a proposal; with the last one the step is decided, and the next begins."""
        round_, candidate = self._running.pop(trial)
        if round_ is not self._round and round_.base.key not in self._guessed:
            return  # of a network that was not kept
        if not outcome.network_fault and candidate.key not in self._tried_again:
            self._tried_again.add(candidate.key)  # the machine's fault, which may pass
            round_.waiting.append(candidate)
            return
        judged = _judged(round_.base, candidate, outcome)
        round_.results[candidate.key] = judged
        self.on_judged(judged)
        if round_ is self._round and round_.complete:
            self._decide()

    def _guess(self) -> Round | None:
        """Give the round of the step after this one, if the best so far is likelier than not to be kept."""
        leader = self._round.best(self.goal.select)
        done, total = self.progress
        if leader is None or 2 * done < total or self._reached(leader):
            return None
        if leader.key not in self._guessed:
            self._guessed[leader.key] = self._round_from(leader)
        return self._guessed[leader.key]

    def _begin_step(self) -> None:
        now = self.current
        self._round = self._guessed.get(now.key) or (Round(now, {}, {}) if self.done else self._round_from(now))
        self._guessed = {}
        self.exhausted = not self._round.candidates and not self.done
        if self._round.candidates and self._round.complete:
            self._decide()

    def _round_from(self, base: Kept) -> Round:
        candidates = {}
        for proposal in self.propose(base.arch, base.latency_ms):
            key = proposal_key(base, proposal.arch)
            candidates[key] = Candidate(self._trials, key, proposal.arch, proposal.latency_ms, proposal)
            self._trials += 1
        return Round(base, candidates, {key: self._recorded[key] for key in candidates if key in self._recorded})

    def _decide(self) -> None:
        kept = self._round.best(self.goal.select)
        if kept is None:
            results = list(self._round.results.values())
            self.gave_up = f"all {len(results)} proposals of step {len(self.steps)} failed ({results[0].error})"
            return
        self.on_kept(kept)
        self.steps.append(kept)
        self._begin_step()

    def _reached(self, kept: Kept) -> bool:
        return kept.latency_ms <= self.goal.target_ms


def proposal_key(base: Kept, arch: Arch) -> str:
    """Name a proposal: its step, what it narrows, and what it is. Two ways to one network are two proposals."""
    return f"{base.step + 1:03}-{base_mark(base.key)}-{arch.key}"


def base_mark(key: str) -> str:
    """Shorten a network's key, to stand in those of the proposals that narrow it."""
    return hashlib.blake2b(key.encode(), digest_size=4).hexdigest()


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


def _judged(base: Kept, candidate: Candidate, outcome: Outcome) -> Judged:
    proposal = candidate.proposal
    return Judged(
        step=base.step + 1,
        key=candidate.key,
        target=proposal.target,
        before=proposal.before,
        after=proposal.after,
        latency_ms=proposal.latency_ms,
        accuracy=outcome.accuracy,
        seconds=outcome.seconds,
        error=outcome.error,
        base=base.key,
    )


def _kept(best: Judged, arch: Arch) -> Kept:
    return Kept(
        step=best.step,
        key=best.key,
        target=best.target,
        before=best.before,
        after=best.after,
        latency_ms=best.latency_ms,
        accuracy=best.accuracy or 0.0,
        arch=arch,
    )
