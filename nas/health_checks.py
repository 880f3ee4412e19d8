"""What tells that a search does not learn: one check for each fault, at one moment of a search.

The thresholds come from experiments/controllers/health.py, which plants faults and counts false alarms.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, takewhile
from statistics import median

from nas.health_state import RECENT, HealthWarning, Moment, gain_over_random, last_scored, pattern_odds, same
from nas.points import Tokens
from nas.search import Trial

Check = Callable[[Moment], HealthWarning | None]

DISTINCT = 10  # networks among them, at least, for their rewards to say something
PATTERN_AT = (50, 60, 100)  # trials after which rewards must show a pattern; fewer do not show a weak one
ACCURACY_PATTERN_AT = (60, 100)  # those of them after which accuracies must, which a search for low latency varies less
PATTERN_ODDS = 2.0  # their logarithm; noise exceeded it in 1 of 300 searches, the least of 900 that learnt was 2.3
LARGE_STEP = 3.0  # nats a decision: what was chosen became e^3 = 20 times rarer; healthy policies stayed below 0.8
SETTLED_POLICY = 0.1  # share of its entropy that a policy has left
SETTLED_DECISION = 0.02  # the same of each decision of a stage
STUCK = 30  # trials with one choice of all of a stage, or with one network
HARDLY = 3  # trials in all with another choice of such a stage: ten random ones try more
LEARNT_BY, COMPARED = 100, 80  # trials by which a policy beats chance, and how many of the last are compared with it
COMPARED_UPDATES = 5  # at least so many of the last: of few large batches, one that goes wrong says nothing


def constant(moment: Moment) -> HealthWarning | None:
    """Notice rewards, or else accuracies, that are all the same though networks are not."""
    recent = last_scored(moment.trials, RECENT)
    if len(recent) < RECENT or len({trial.key for trial in recent}) < DISTINCT:
        return None
    if same([trial.reward for trial in recent]):
        text = f"the reward has not changed in {RECENT} trials: there is nothing to learn from it"
        return moment.warning("constant", text)
    if same([trial.accuracy for trial in recent]):
        text = f"the accuracy has not changed in {RECENT} trials: latency alone tells the networks apart"
        return moment.warning("constant", text)
    return None


def no_pattern(moment: Moment) -> HealthWarning | None:
    """Notice rewards, or else accuracies, that do not follow from what was chosen."""
    if not moment.passed(PATTERN_AT):
        return None
    first = {trial.tokens: trial for trial in reversed(moment.trials) if trial.reward is not None}
    rewards = {tokens: trial.reward for tokens, trial in first.items()}
    accuracies = {tokens: trial.accuracy for tokens, trial in first.items()}
    said = f"after {moment.count} trials the {{}} look like noise: they do not follow from the choices"
    if _is_noise(rewards, moment):
        return moment.warning("no pattern", said.format("rewards"))
    if moment.passed(ACCURACY_PATTERN_AT) and _is_noise(accuracies, moment):
        return moment.warning("no pattern", f"{said.format('accuracies')}; latency alone does")
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
    """Notice a policy that has settled and can't know on what."""
    share = moment.update.diagnostics.get("entropy_share", 1.0)
    if not (share < SETTLED_POLICY and moment.hasty):
        return None
    return moment.warning(
        "settled policy",
        f"the policy has settled {_while_it_varies(moment)}, with {100 * share:.1f} % of its entropy left; lower the "
        "controller's learning_rate or raise its entropy_weight",
    )


def settled_stage(moment: Moment) -> HealthWarning | None:
    """Notice stages that have settled likewise, in a policy that has not as a whole."""
    entropies = moment.update.decision_entropies
    settled = [
        stage
        for stage, members in moment.decisions.stages.items()
        if entropies and max(entropies[index] for index in members) < SETTLED_DECISION
    ]
    open_policy = moment.update.diagnostics.get("entropy_share", 0.0) >= SETTLED_POLICY
    if not (settled and open_policy and moment.hasty):
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
    """Notice a policy that mostly proposes no better networks than chance does, lately and ever.

    Bold batches may well go wrong, and once the best of a small space are found, what is left is no better than chance.
    """
    learnt = moment.updates[1:]  # the first batch was proposed before there was anything to learn from
    compared = sum(1 for _ in takewhile(lambda update: update.trials > moment.count - COMPARED, reversed(learnt)))
    gains = [gain for gain in map(gain_over_random, learnt) if gain is not None]
    recent = gains[-max(compared, COMPARED_UPDATES) :]
    if len(gains) < COMPARED_UPDATES or median(recent) > 0 or median(gains) > 0:
        return None
    if not (moment.learning and moment.count >= LEARNT_BY and moment.spread > 0):
        return None
    return moment.warning(
        "no gain",
        f"after {moment.count} trials the proposals are no better than networks drawn at random: "
        f"{100 * median(recent):+.2g} points of reward",
    )


CHECKS: tuple[Check, ...] = (
    large_step,
    settled_policy,
    settled_stage,
    stuck,
    constant,
    no_pattern,
    no_gain,
)


def _is_noise(values: Mapping[Tokens, float | None], moment: Moment) -> bool:
    if len(values) < RECENT:
        return False
    odds = pattern_odds(values, moment.decisions.sizes)
    return odds is not None and odds < PATTERN_ODDS


def _keeps_to_one(trials: Sequence[Trial], members: Sequence[int]) -> bool:
    kept = _chosen(trials[-1], members)
    if any(_chosen(trial, members) != kept for trial in trials[-STUCK:]):
        return False
    others = (trial for trial in trials if _chosen(trial, members) != kept)
    return len(list(islice(others, HARDLY + 1))) <= HARDLY  # a long search soon has more


def _chosen(trial: Trial, members: Sequence[int]) -> tuple[int, ...]:
    return tuple(trial.tokens[index] for index in members)


def _while_it_varies(moment: Moment) -> str:
    return f"after {moment.count} trials while the reward still varies by {100 * moment.spread:.2g} points"


def _have(stages: Sequence[str]) -> str:
    """Make stages the subject of a sentence in the perfect tense."""
    if len(stages) == 1:
        return f"{stages[0]} has"
    return f"{', '.join(stages[:-1])} and {stages[-1]} have"
