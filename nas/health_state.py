"""What a check of a search's health sees: its trials and updates at one moment, and what follows from them."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nas.pattern import log_odds
from nas.points import Tokens
from nas.search import PolicyUpdate, Trial
from search_spaces import SearchSpace

RECENT = 40  # trials that say how things are now: rewards that do not change, and their spread
SUPPORT = 0.5  # nats of log odds for each nat of entropy given up; healthy policies that had settled had 0.8 and more
TELLING = 500  # trials after which the odds are past counting
ROOM = 4  # times as many networks as trials, at least; in a space that is all but used up the best are gone


@dataclass(frozen=True, slots=True)
class HealthWarning:
    """What a search suffers from: which of the kinds, after how many trials it showed, and how to say it."""

    kind: str
    trials: int
    text: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a search decides: how many choices each decision has, and its name (``stage1.kernel``) where it has one."""

    sizes: tuple[int, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, space: SearchSpace | None, sizes: Sequence[int]) -> "Decisions":
        """Take the names from a space, where it is known."""
        return cls(tuple(sizes), () if space is None else tuple(decision.name for decision in space.decisions))

    @property
    def stages(self) -> dict[str, list[int]]:
        """The decisions of each stage that has several with a choice; one alone may well settle early."""
        found: dict[str, list[int]] = {}
        for index, (name, size) in enumerate(zip(self.names, self.sizes, strict=False)):
            stage, dot, _ = name.partition(".")
            if dot and size > 1:
                found.setdefault(re.sub(r"(?<=\D)(?=\d)", " ", stage), []).append(index)
        return {stage: members for stage, members in found.items() if len(members) > 1}


@dataclass(frozen=True, slots=True)
class Moment:
    """A search just after an update: its trials in the order in which they finished, and all updates so far."""

    trials: Sequence[Trial]
    updates: Sequence[PolicyUpdate]
    decisions: Decisions

    @property
    def update(self) -> PolicyUpdate:
        return self.updates[-1]

    @property
    def count(self) -> int:
        return len(self.trials)

    @property
    def learning(self) -> bool:
        """Whether there is a policy that updates move, and enough to find."""
        return "policy_change" in self.update.diagnostics and self.roomy

    @property
    def roomy(self) -> bool:
        """Whether most networks are untried."""
        return math.prod(self.decisions.sizes) >= ROOM * self.count

    @property
    def spread(self) -> float:
        """How far the rewards of recent networks lie apart, tenth to ninetieth percentile."""
        rewards = [trial.reward or 0.0 for trial in scored(self.trials[-RECENT:])]
        return float(np.diff(np.quantile(rewards, [0.1, 0.9]))[0]) if rewards else 0.0

    @property
    def hasty(self) -> bool:
        """Whether the policy gave up more entropy than the rewards so far can account for."""
        share = self.update.diagnostics.get("entropy_share", 1.0)
        given_up = (1 - share) * sum(map(math.log, self.decisions.sizes))
        if not self.learning or self.count > TELLING:
            return False
        rewards = {trial.tokens: trial.reward for trial in self.trials if trial.reward is not None}
        odds = pattern_odds(rewards, self.decisions.sizes)
        return odds is not None and odds < SUPPORT * given_up

    def passed(self, marks: Sequence[int]) -> bool:
        """Whether there are as many trials as one of the marks, and were not an update ago."""
        before = self.updates[-2].trials if len(self.updates) > 1 else 0
        return any(before < mark <= self.count for mark in marks)

    def warning(self, kind: str, text: str) -> HealthWarning:
        return HealthWarning(kind, self.count, text)


def gain_over_random(update: PolicyUpdate) -> float | None:
    """Give how much better than a random network's the rewards of an update are: by the table, or else by the model."""
    return update.diagnostics.get("table_gain", update.diagnostics.get("model_gain"))


def scored(trials: Iterable[Trial]) -> Iterator[Trial]:
    return (trial for trial in trials if trial.reward is not None and trial.state != "failed")


def last_scored(trials: Sequence[Trial], count: int) -> list[Trial]:
    """Give the last trials with a reward that is not a failure's, so many or fewer, as they finished."""
    return list(islice(scored(reversed(trials)), count))[::-1]


def same(values: Sequence[float | None]) -> bool:
    present = [value for value in values if value is not None]
    return not present or max(present) - min(present) <= 1e-9 * max(map(abs, present))


def pattern_odds(values: Mapping[Tokens, float | None], sizes: Sequence[int]) -> float | None:
    """Give the log odds of a pattern in what is known of networks; None where all of it is the same."""
    present = {tokens: value for tokens, value in values.items() if value is not None}
    if same(list(present.values())):
        return None
    return log_odds(list(present), list(present.values()), sizes)
