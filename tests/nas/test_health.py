"""What a search is warned of: faults that were planted, and nothing where it learns."""

import itertools
import random
from dataclasses import dataclass, replace

import pytest

from controllers import create
from controllers.policy_gradient import PolicyOptions
from nas.health import Health, warnings_of
from nas.health_state import Decisions, HealthWarning, gain_over_random
from nas.loop import run_in_process
from nas.points import Point
from nas.search import Outcome, PolicyUpdate, Search, Trial

STAGES = tuple(f"stage{stage}.{part}" for stage in range(1, 5) for part in ("op", "kernel", "width"))
DECISIONS = Decisions((3,) * 12, STAGES)


@dataclass(frozen=True)
class Product:
    """Tokens that are all there is to a network; latency grows with the first decision."""

    sizes: tuple[int, ...]

    def point(self, tokens: tuple[int, ...]) -> Point:
        return Point("-".join(map(str, tokens)), 10.0 + tokens[0], None)


def additive(tokens: tuple[int, ...]) -> float:
    """Choices add up, and training is noisy: a standard deviation of 3.6 points, and of 0.5 points."""
    effects = random.Random(5)
    weights = [effects.gauss(0, 0.0125) for _ in range(36)]
    return 0.7 + sum(weights[3 * i + token] for i, token in enumerate(tokens)) + noise(tokens) / 4


def noise(tokens: tuple[int, ...]) -> float:
    return random.Random(str(tokens)).gauss(0, 0.02)


def searched(accuracy, name="reinforce", trials=60, decisions=DECISIONS, latency_counts=False, **options):
    """Run a search, and give its warnings."""
    health = Health(decisions)
    search = Search(
        points=Product(decisions.sizes),
        controller=create(name, decisions.sizes, options=options),
        reward=lambda accuracy, ms: accuracy * ((ms / 10) ** -0.5 if latency_counts else 1.0),
        trials=trials,
        batch=5,
        on_trial=lambda trial: None,
        on_update=lambda update: health.note(update, search.results),
    )
    run_in_process(search, lambda candidate: Outcome(accuracy(candidate.tokens), 0.0))
    return health.warnings


def kinds(warnings: list[HealthWarning]) -> list[str]:
    return [warning.kind for warning in warnings]


@pytest.mark.parametrize("options", [{}, {"screen": 0}])
def test_a_learning_rate_a_hundred_times_too_large_is_noticed_within_60_trials(options):
    warnings = searched(additive, learning_rate=100 * PolicyOptions().learning_rate, **options)
    assert {"large step", "settled policy"} <= set(kinds(warnings))
    (step,) = [warning for warning in warnings if warning.kind == "large step"]
    assert "lower the controller's learning_rate" in step.text


@pytest.mark.parametrize("name", ["reinforce", "evolution", "random"])
def test_a_constant_reward_is_noticed_after_40_trials(name):
    (warning,) = searched(lambda tokens: 0.7, name)
    assert (warning.kind, warning.trials) == ("constant", 40)
    assert warning.text == "the reward has not changed in 40 trials: there is nothing to learn from it"


def test_a_reward_that_ceases_to_change_is_noticed_40_trials_later():
    evaluated = itertools.count()
    (warning,) = searched(lambda tokens: additive(tokens) if next(evaluated) < 45 else 0.7, "random", trials=90)
    assert (warning.kind, warning.trials) == ("constant", 85)


def test_a_constant_accuracy_is_noticed_where_latency_moves_the_reward():
    (warning,) = searched(lambda tokens: 0.7, latency_counts=True)
    assert warning.text == ("the accuracy has not changed in 40 trials: latency alone tells the networks apart")


@pytest.mark.parametrize("options", [{}, {"screen": 0}])
def test_rewards_of_pure_noise_are_noticed_within_60_trials(options):
    (warning,) = searched(lambda tokens: 0.7 + noise(tokens), **options)
    assert warning.kind == "no pattern"
    assert warning.text.endswith("trials the rewards look like noise: they do not follow from the choices")


def test_accuracies_of_pure_noise_are_noticed_where_latency_moves_the_reward():
    (warning,) = searched(lambda tokens: 0.7 + noise(tokens), latency_counts=True)
    assert "the accuracies look like noise" in warning.text


@pytest.mark.parametrize(("name", "options"), [("reinforce", {}), ("reinforce", {"screen": 0}), ("ppo", {})])
def test_a_search_that_learns_raises_no_warning(name, options):
    assert searched(additive, name, trials=120, **options) == []


def test_a_space_that_is_soon_used_up_raises_no_warning():
    # 81 networks: the policy settles, and what is left to propose is worse than what was
    small = Decisions((3,) * 4)
    assert searched(lambda tokens: 0.6 + 0.05 * tokens[1] + noise(tokens), trials=120, decisions=small) == []


@pytest.mark.parametrize("name", ["evolution", "random"])
def test_searches_without_a_policy_are_not_blamed_for_it(name):
    assert searched(additive, name, trials=200) == []


def trial(number: int, tokens: tuple[int, ...], reward: float) -> Trial:
    return Trial(number, tokens, str(tokens), 10.0, reward, reward, 1.0, "finished")


def update(trials: int, share: float, entropies: tuple[float, ...] = (), **diagnostics: float) -> PolicyUpdate:
    told = {"entropy_share": share, "policy_change": 0.1} | diagnostics
    return PolicyUpdate(trials // 10, trials, 0.7, told, entropies)


def varied(count: int) -> list[Trial]:
    """Trials of different networks; of the last 40 rewards a tenth is 0.70 and less, and a tenth 0.76 and more."""
    rng = random.Random(0)
    rewards = ([0.70] * 5 + [0.73] * 10 + [0.76] * 5) * (count // 20)
    return [trial(i, tuple(rng.choices(range(3), k=12)), reward) for i, reward in enumerate(rewards)]


THIRD_SETTLED = (*[0.6] * 6, 0.0, 0.019, 0.01, *[0.5] * 3)


def test_a_stage_that_settles_early_is_named_with_how_far_rewards_lie_apart():
    (warning,) = warnings_of(varied(40), [update(40, 0.5, THIRD_SETTLED)], DECISIONS)
    assert warning == HealthWarning(
        "settled stage",
        40,
        "stage 3 has settled on one choice after 40 trials while the reward still varies by 6 points",
    )


def test_several_stages_are_named_together():
    settled = (*THIRD_SETTLED[:9], 0.0, 0.0, 0.0)
    (warning,) = warnings_of(varied(40), [update(40, 0.5, settled)], DECISIONS)
    assert warning.text.startswith("stage 3 and stage 4 have settled on one choice")


def test_a_stage_may_settle_in_part():
    in_part = (*[0.6] * 6, 0.0, 0.0, 0.03, *[0.5] * 3)
    assert warnings_of(varied(40), [update(40, 0.5, in_part)], DECISIONS) == []


def test_a_policy_may_settle_on_what_the_rewards_tell():
    # the more tokens a network has, the better: after 60 trials that is beyond doubt
    telling = [replace(t, reward=sum(t.tokens) / 100, accuracy=sum(t.tokens) / 100) for t in varied(60)]
    assert warnings_of(telling, [update(60, 0.5, THIRD_SETTLED)], DECISIONS) == []
    assert warnings_of(telling, [update(60, 0.05)], DECISIONS) == []
    assert kinds(warnings_of(telling[:10], [update(10, 0.05)], DECISIONS)) == ["settled policy"]


def test_each_warning_is_raised_once_when_it_first_holds():
    updates = [update(20, 0.5), update(40, 0.09), update(60, 0.02)]
    warnings = warnings_of(varied(60), updates, Decisions(DECISIONS.sizes))
    assert [(warning.kind, warning.trials) for warning in warnings] == [("settled policy", 40), ("no pattern", 60)]
    assert warnings[0].text == (
        "the policy has settled after 40 trials while the reward still varies by 6 points, with 9.0 % of its entropy "
        "left; lower the controller's learning_rate or raise its entropy_weight"
    )


def test_proposals_that_keep_to_one_choice_of_a_stage_are_noticed_without_a_policy():
    without = [PolicyUpdate(4, 40, 0.7, {"entropy_share": 1.0})]
    kept = [replace(t, tokens=(0, 1, 2, *t.tokens[3:])) if t.trial >= 3 else t for t in varied(40)]
    (warning,) = warnings_of(kept, without, DECISIONS)
    assert warning.text == "stage 1 has not changed in the last 30 of 40 trials, and hardly before"
    weighed = [replace(t, tokens=(0, 1, 2, *t.tokens[3:])) if t.trial >= 10 else t for t in varied(40)]
    assert warnings_of(weighed, without, DECISIONS) == []  # ten others were tried


def test_a_search_that_proposes_one_network_again_and_again_is_noticed():
    same = [*varied(60), *[trial(60 + i, (0,) * 12, 0.7) for i in range(30)]]
    (warning,) = [w for w in warnings_of(same, [update(90, 0.5)], DECISIONS) if w.kind == "stuck"]
    assert warning.text == "the last 30 of 90 trials are one network"


def no_gain(batch: int, gains: list[float]) -> list[str]:
    """What is said of a search whose updates had these gains."""
    updates = [update(batch * count, 0.5, model_gain=gain) for count, gain in enumerate(gains, 1)]
    warnings = warnings_of(varied(batch * len(gains)), updates, DECISIONS)
    return [warning.text for warning in warnings if warning.kind == "no gain"]


def test_proposals_no_better_than_random_ones_are_noticed_after_100_trials():
    (text,) = no_gain(10, [0.1, 0.1, 0.1, 0.05, -0.003, -0.003, -0.003, -0.003, -0.02, -0.02])
    assert text == "after 100 trials the proposals are no better than networks drawn at random: -0.3 points of reward"
    assert no_gain(10, [-0.1, -0.1, 0.1, 0.05, 0.05, 0.05, -0.003, -0.003, -0.02, -0.02]) == []  # of the last 80


def test_a_search_that_has_found_what_there_was_may_go_on_without_gain():
    assert no_gain(10, [0.0, *[0.05] * 9, *[-0.003] * 8]) == []
    assert no_gain(10, [0.0, *[0.05] * 7, *[-0.003] * 8]) != []


def test_of_large_batches_five_are_waited_for_and_the_first_says_nothing():
    assert no_gain(40, [-0.1, 0.03, -0.1, -0.1]) == []
    assert no_gain(40, [-0.1, 0.03, -0.1, 0.01, -0.1, 0.01]) == []
    (text,) = no_gain(40, [0.1, 0.03, -0.1, 0.01, -0.1, -0.01])
    assert text.startswith("after 240 trials")


def test_the_table_says_the_gain_where_there_is_one():
    assert gain_over_random(update(10, 0.5, model_gain=0.02, table_gain=-0.01)) == -0.01
    assert gain_over_random(update(10, 0.5, model_gain=0.02)) == 0.02
    assert gain_over_random(update(10, 0.5)) is None


def test_warnings_depend_on_what_was_known_by_then_alone():
    updates = [update(20, 0.5), update(40, 0.05)]
    longer = warnings_of(varied(60), [*updates, update(60, 0.5)], DECISIONS)
    assert warnings_of(varied(40), updates, DECISIONS) == longer[:1]
