"""What tells that a search does not learn: one check for each fault, at one moment of a search.

The thresholds come from experiments/controllers/health.py, which plants faults and counts false alarms.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.pattern import log_odds
from nas.points import Tokens
from nas.search import PolicyUpdate, Trial
from search_spaces import SearchSpace

RECENT = 40  # trials that say how things are now: rewards that do not change, their spread, the gain over random
DISTINCT = 10  # networks among them, at least, for their rewards to say something
PATTERN_AT = (50, 60, 100)  # trials after which a pattern is looked for: fewer do not show a weak one
PATTERN_ODDS = 1.5  # their logarithm; noise exceeded it in 1 of 300 searches, whoever learnt had 4.6 and more
LARGE_STEP = 3.0  # nats a decision: what was chosen became e^3 = 20 times rarer; healthy policies stayed below 0.8
SETTLED_POLICY = 0.1  # share of its entropy; healthy policies had 0.2 and more after 100 trials
EARLY, EARLY_SHARE = 100, 0.33  # trials, and share of the budget, before which a policy has no reason to settle
SETTLED_DECISION = 0.02  # share of the entropy of each decision of a stage
EARLY_STAGE = 50  # trials before which a stage has no reason to settle; on small tables healthy ones did after 65
STUCK = 30  # trials with one choice of all of a stage, or with one network
HARDLY = 3  # trials in all with another choice of such a stage: ten random ones try more
ROOM = 4  # times as many networks as trials, at least; in a space that is all but used up the best are gone
LEARNT_BY = 100  # trials by which a policy proposes better networks than chance


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
    budget: int

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
        rewards = [trial.reward or 0.0 for trial in _scored(self.trials[-RECENT:])]
        return float(np.diff(np.quantile(rewards, [0.1, 0.9]))[0]) if rewards else 0.0

    def passed(self, marks: Sequence[int]) -> bool:
        """Whether there are as many trials as one of the marks, and were not an update ago."""
        before = self.updates[-2].trials if len(self.updates) > 1 else 0
        return any(before < mark <= self.count for mark in marks)

    def warning(self, kind: str, text: str) -> HealthWarning:
        return HealthWarning(kind, self.count, text)


def gain_over_random(update: PolicyUpdate) -> float | None:
    """Give how much better than a random network's the rewards of an update are: by the table, or else by the model."""
    return update.diagnostics.get("table_gain", update.diagnostics.get("model_gain"))


def constant(moment: Moment) -> HealthWarning | None:
    """Notice rewards, or else accuracies, that are all the same though networks are not."""
    recent = _scored(moment.trials)[-RECENT:]
    if len(recent) < RECENT or len({trial.key for trial in recent}) < DISTINCT:
        return None
    if _same([trial.reward for trial in recent]):
        text = f"the reward has not changed in {RECENT} trials: there is nothing to learn from it"
        return moment.warning("constant", text)
    if _same([trial.accuracy for trial in recent]):
        text = f"the accuracy has not changed in {RECENT} trials: latency alone tells the networks apart"
        return moment.warning("constant", text)
    return None


def no_pattern(moment: Moment) -> HealthWarning | None:
    """Notice rewards, or else accuracies, that do not follow from what was chosen."""
    if not moment.passed(PATTERN_AT):
        return None
    first = {trial.tokens: trial for trial in reversed(moment.trials) if trial.reward is not None}
    for what, of, more in (
        ("rewards", {tokens: trial.reward for tokens, trial in first.items()}, ""),
        ("accuracies", {tokens: trial.accuracy for tokens, trial in first.items()}, "; latency alone does"),
    ):
        if _is_noise(of, moment.decisions.sizes):
            text = f"after {moment.count} trials the {what} look like noise: they do not follow from the choices{more}"
            return moment.warning("no pattern", text)
    return None


def large_step(moment: Moment) -> HealthWarning | None:
    """Notice an update that threw the policy about."""
    change = moment.update.diagnostics.get("policy_change", 0.0)
    if change <= LARGE_STEP:
        return None
    return moment.warning(
        "large step",
        f"update {moment.update.update}, after {moment.count} trials, moved the policy by {change:.2g} nats a "
        "decision, further than so few rewards can tell; lower the controller's learning_rate",
    )


def settled_policy(moment: Moment) -> HealthWarning | None:
    """Notice a policy without entropy while there is much to find out."""
    share = moment.update.diagnostics.get("entropy_share", 1.0)
    early = moment.count < max(EARLY, EARLY_SHARE * moment.budget)
    if not (moment.learning and share < SETTLED_POLICY and early and moment.spread > 0):
        return None
    return moment.warning(
        "settled policy",
        f"the policy has settled {_while_it_varies(moment)}, with {100 * share:.1f} % of its entropy left; lower the "
        "controller's learning_rate or raise its entropy_weight",
    )


def settled_stage(moment: Moment) -> HealthWarning | None:
    """Notice stages without entropy, in a policy that has not settled as a whole."""
    entropies = moment.update.decision_entropies
    open_policy = moment.update.diagnostics.get("entropy_share", 0.0) >= SETTLED_POLICY
    if not (moment.learning and open_policy and entropies and moment.count < EARLY_STAGE and moment.spread > 0):
        return None
    settled = [
        stage
        for stage, members in moment.decisions.stages.items()
        if max(entropies[index] for index in members) < SETTLED_DECISION
    ]
    if not settled:
        return None
    text = f"{_have(settled)} settled on one choice {_while_it_varies(moment)}"
    return moment.warning("settled stage", text)


def stuck(moment: Moment) -> HealthWarning | None:
    """Notice proposals that keep to one network, or to one choice of a stage though others were hardly tried."""
    if moment.count < STUCK + DISTINCT or not moment.roomy:
        return None
    if len({trial.tokens for trial in moment.trials[-STUCK:]}) == 1:
        return moment.warning("stuck", f"the last {STUCK} of {moment.count} trials are one network")
    kept = [stage for stage, members in moment.decisions.stages.items() if _keeps_to_one(moment.trials, members)]
    if not kept:
        return None
    text = f"{_have(kept)} not changed in the last {STUCK} of {moment.count} trials, and hardly before"
    return moment.warning("stuck", text)


def no_gain(moment: Moment) -> HealthWarning | None:
    """Notice a policy that proposes no better networks than chance does, where networks differ at all."""
    recent = [update for update in moment.updates if update.trials > moment.count - RECENT]
    gains = [gain for gain in map(gain_over_random, recent) if gain is not None]
    if not (moment.learning and moment.count >= LEARNT_BY and gains and sum(gains) <= 0 and moment.spread > 0):
        return None
    return moment.warning(
        "no gain",
        f"after {moment.count} trials the proposals are no better than networks drawn at random: "
        f"{100 * sum(gains) / len(gains):+.2g} points of reward",
    )


CHECKS: tuple[Callable[[Moment], HealthWarning | None], ...] = (
    large_step,
    settled_policy,
    settled_stage,
    stuck,
    constant,
    no_pattern,
    no_gain,
)


def _scored(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.reward is not None and trial.state != "failed"]


def _same(values: Sequence[float | None]) -> bool:
    present = [value for value in values if value is not None]
    return not present or max(present) - min(present) <= 1e-9 * max(map(abs, present))


def _is_noise(values: Mapping[Tokens, float | None], sizes: Sequence[int]) -> bool:
    present = {tokens: value for tokens, value in values.items() if value is not None}
    if len(present) < RECENT or _same(list(present.values())):
        return False
    return log_odds(list(present), list(present.values()), sizes) < PATTERN_ODDS


def _keeps_to_one(trials: Sequence[Trial], members: Sequence[int]) -> bool:
    chosen = [tuple(trial.tokens[index] for index in members) for trial in trials]
    return len(set(chosen[-STUCK:])) == 1 and sum(choice != chosen[-1] for choice in chosen) <= HARDLY


def _while_it_varies(moment: Moment) -> str:
    return f"after {moment.count} trials while the reward still varies by {100 * moment.spread:.2g} points"


def _have(stages: Sequence[str]) -> str:
    """Make stages the subject of a sentence in the perfect tense."""
    if len(stages) == 1:
        return f"{stages[0]} has"
    return f"{', '.join(stages[:-1])} and {stages[-1]} have"
