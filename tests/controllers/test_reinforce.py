"""REINFORCE learns what random search can't, and says how it is doing."""

import itertools
import random
import statistics
from collections import Counter

import pytest

from controllers import Controller, Proposal, create

SIZES = (4, 2, 2, 3, 3, 3)


def reward_of(proposal: Proposal) -> float:
    """Give the share of decisions that took their last choice: separable, best 1."""
    return sum(token == size - 1 for token, size in zip(proposal.tokens, SIZES, strict=True)) / len(SIZES)


def best_of_search(name: str, seed: int, options: dict[str, object] | None = None) -> float:
    """Search for 60 trials in batches of 5, of 4 * 2 * 2 * 3 * 3 * 3 = 432 networks."""
    controller, best = create(name, SIZES, seed, options), 0.0
    for _ in range(12):
        results = [(proposal, reward_of(proposal)) for proposal in controller.ask(5)]
        controller.tell(results)
        best = max(best, *(reward for _, reward in results))
    return best


def test_the_best_of_432_networks_is_found_in_60_trials_where_random_search_finds_it_once_in_seven() -> None:
    assert [best_of_search("reinforce", seed) for seed in range(5)] == [1.0] * 5
    assert statistics.fmean(best_of_search("random", seed) for seed in range(20)) < 0.9


def test_without_the_reward_model_the_policy_gradient_alone_does_better_than_random_search() -> None:
    found = statistics.fmean(best_of_search("reinforce", seed, {"screen": 0}) for seed in range(5))
    assert found > statistics.fmean(best_of_search("random", seed) for seed in range(20)) + 0.05


def test_the_steps_of_a_ppo_update_go_no_further_together_than_its_clip_lets_them() -> None:
    moved = {}
    for clip in (0.05, 1.0):
        quiet = {"screen": 0, "entropy_weight": 0.0, "imitation_weight": 0.0}
        controller = create("ppo", SIZES, options=quiet | {"epochs": 30, "clip": clip})
        controller.tell([(proposal, reward_of(proposal)) for proposal in controller.ask(10)])
        moved[clip] = controller.diagnostics()["policy_change"]
    assert 0 < moved[0.05] < moved[1.0] / 2


@pytest.mark.parametrize("name", ["reinforce", "ppo"])
@pytest.mark.parametrize("screen", [0, 8])
def test_no_network_is_proposed_twice_while_another_is_left(name: str, screen: int) -> None:
    controller = create(name, (2, 3, 2), options={"screen": screen})
    proposals = []
    for _ in range(4):  # 12 networks in all
        batch = controller.ask(3)
        controller.tell([(proposal, float(sum(proposal.tokens))) for proposal in batch])
        proposals += batch
    assert len({proposal.tokens for proposal in proposals}) == 12
    assert len(controller.ask(3)) == 3


def test_networks_may_be_proposed_again_where_that_is_asked_for() -> None:
    controller = create("reinforce", (2, 2), options={"unique": False, "screen": 0})
    assert len({proposal.tokens for proposal in controller.ask(4)} | {p.tokens for p in controller.ask(12)}) <= 4
    assert max(Counter(proposal.tokens for proposal in controller.ask(12)).values()) > 1


def test_imitation_raises_the_probability_of_the_best_network() -> None:
    # Of two alike in all but their rewards the better one; advantages count for little beside such a weight.
    drawn = {}
    for weight in (0.0, 20.0):
        options = {"imitation_weight": weight, "imitation_size": 1, "screen": 0, "unique": False, "learning_rate": 0.1}
        controller = create("reinforce", SIZES, options=options)
        controller.tell([(Proposal((3, 1, 1, 2, 2, 2)), 0.7), (Proposal((0, 0, 0, 0, 0, 0)), 0.5)])
        drawn[weight] = sum(proposal.tokens == (3, 1, 1, 2, 2, 2) for proposal in controller.ask(2000))
    assert drawn[20.0] > 1.5 * drawn[0.0]


def share_of_the_best(seed: int, factorised: bool) -> float:
    """Give the mean reward of the last of 24 batches over 30 additive decisions, the best network's being 1."""
    sizes, draw = (2,) * 30, random.Random(seed)
    effects = [draw.gauss(0, 1) for _ in sizes]
    best = sum(map(abs, effects))
    controller = create("reinforce", sizes, seed, {"screen": 0, "factorised_baseline": factorised})
    for _ in range(24):
        signs = [(proposal, [2 * token - 1 for token in proposal.tokens]) for proposal in controller.ask(5)]
        results = [(p, sum(e * sign for e, sign in zip(effects, row, strict=True)) / best) for p, row in signs]
        controller.tell(results)
    return statistics.fmean(reward for _, reward in results)


def test_an_advantage_of_its_own_for_each_decision_teaches_far_faster() -> None:
    own, shared = (statistics.fmean(share_of_the_best(seed, on) for seed in range(4)) for on in (True, False))
    assert own > shared + 0.08


PLAIN = {"rank_advantages": False, "imitation_weight": 0.0, "screen": 0}  # REINFORCE without its neighbours


def taught(controller: Controller, batches: int = 60) -> Controller:
    for _ in range(batches):
        controller.tell([(proposal, reward_of(proposal)) for proposal in controller.ask(5)])
    return controller


def test_learning_is_alike_for_rewards_of_any_scale_and_offset() -> None:
    controllers = [create("reinforce", SIZES, seed=1), create("reinforce", SIZES, seed=1)]
    for _ in range(10):
        small, large = (controller.ask(5) for controller in controllers)
        assert [p.tokens for p in small] == [p.tokens for p in large]
        controllers[0].tell([(proposal, reward_of(proposal)) for proposal in small])
        controllers[1].tell([(proposal, 1024 * reward_of(proposal) - 256) for proposal in large])


def test_entropy_falls_as_it_learns() -> None:
    assert taught(create("reinforce", SIZES)).diagnostics()["entropy_share"] < 0.7


def test_a_larger_entropy_weight_keeps_the_policy_wider() -> None:
    narrow, wide = (
        taught(create("reinforce", SIZES, options=PLAIN | {"entropy_weight": weight})) for weight in (0.0, 2.0)
    )
    assert wide.diagnostics()["entropy_share"] > narrow.diagnostics()["entropy_share"] + 0.1


def test_diagnostics_tell_of_the_last_update() -> None:
    controller = create("reinforce", (2, 2))
    controller.tell([(Proposal((0, 0)), 0.5), (Proposal((1, 1)), 0.7)])
    controller.tell([(Proposal((0, 0)), 0.5), (Proposal((1, 1)), 0.9)])
    diagnostics = controller.diagnostics()
    assert diagnostics["updates"] == 2.0
    # After two batches of two, k = 0.95**2 = 0.9025: means 0.6 and 0.7, (k * 0.6 + 0.7) / (k + 1) = 0.652562
    assert diagnostics["baseline"] == pytest.approx(0.652562, abs=1e-6)
    # Advantages over the first batch's mean: -0.1 and 0.3; their standard deviation is 0.2.
    assert diagnostics["advantage_std"] == pytest.approx(0.2)
    assert diagnostics["gradient_norm"] > 0


def test_the_loss_is_the_policy_gradients_less_the_entropy_bonus() -> None:
    # One batch of one over a decision without a choice: advantage 0, log-probability 0, entropy 0.
    controller = create("reinforce", (1,))
    controller.tell([(Proposal((0,)), 0.5)])
    assert controller.diagnostics()["loss"] == pytest.approx(0.0, abs=1e-7)
    # Weights start near zero, so a decision of 3 starts near uniform: the loss is about -0.5 * ln 3 = -0.549.
    controller = create("reinforce", (3,), options={"entropy_weight": 0.5})
    controller.tell([(Proposal((0,)), 0.5)])
    assert controller.diagnostics()["loss"] == pytest.approx(-0.549, abs=0.02)


def test_a_settled_policy_learns_less_from_a_late_result_it_would_no_longer_propose() -> None:
    late = Proposal((0,) * 6)  # the worst; a settled policy gives it far less than a new one's (1/4)(1/2)^2(1/3)^3
    options = PLAIN | {"entropy_weight": 0.0}  # its gradient would be there however little the result counts
    known, unknown = (taught(create("reinforce", SIZES, seed=2, options=options)) for _ in range(2))
    known.tell([(Proposal(late.tokens, -6.07), 1.0)])
    unknown.tell([(late, 1.0)])
    assert known.diagnostics()["gradient_norm"] < unknown.diagnostics()["gradient_norm"] / 2


def test_the_baseline_is_that_of_earlier_batches() -> None:
    # The first batch leaves a baseline of 0.6. A near-uniform decision of 2 has a log-probability of about -ln 2, so
    # a reward of 0.9 gives a loss of 0.3 * ln 2 = 0.208; with itself in the baseline it would be 0.139 or less.
    options = PLAIN | {"learning_rate": 1e-6, "entropy_weight": 0.0, "normalise_advantages": False}
    controller = create("reinforce", (2,), options=options)
    controller.tell([(Proposal((0,)), 0.5), (Proposal((1,)), 0.7)])
    controller.tell([(Proposal((1,)), 0.9)])
    assert controller.diagnostics()["loss"] == pytest.approx(0.208, abs=0.03)


def test_the_entropy_weight_is_shared_by_the_root_of_the_number_of_decisions() -> None:
    # One decision of 4 and four of 2 are near uniform: entropies ln 4 and 4 ln 2. With weight 0.5 the losses are
    # about -0.5 * ln 4 = -0.693 and -0.5 / sqrt(4) * 4 ln 2 = -0.693. A batch of one has an advantage of 0.
    for sizes in ((4,), (2, 2, 2, 2)):
        controller = create("reinforce", sizes, options={"entropy_weight": 0.5})
        controller.tell([(Proposal((0,) * len(sizes)), 0.5)])
        assert controller.diagnostics()["loss"] == pytest.approx(-0.693, abs=0.02)


def test_options_of_a_saved_state_must_be_those_of_the_run() -> None:
    state = create("reinforce", SIZES, options={"learning_rate": 0.5}).state_dict()
    with pytest.raises(ValueError, match="saved with options"):
        create("reinforce", SIZES).load_state_dict(state)


def test_importance_limit_bounds_what_one_late_result_can_do() -> None:
    norms = []
    for limit in (1.0, 2.0):
        controller = create(
            "reinforce", SIZES, seed=3, options=PLAIN | {"importance_limit": limit, "entropy_weight": 0.0}
        )
        controller.tell([(Proposal((0,) * 6), 0.4), (Proposal((1,) * 6), 0.6)])
        # Proposed with a probability of exp(-50): now far more likely, so the limit holds.
        controller.tell([(Proposal((1,) * 6, -50.0), 0.9)])
        norms.append(controller.diagnostics()["gradient_norm"])
    assert norms[1] == pytest.approx(2 * norms[0], rel=1e-4)


def test_a_long_run_of_many_small_batches_stays_finite() -> None:
    controller = create("reinforce", (2, 3), seed=4, options={"learning_rate": 0.3})
    for index in itertools.islice(itertools.cycle(range(2)), 200):
        controller.tell([(proposal, float(index)) for proposal in controller.ask(1)])
    tokens = [proposal.tokens for proposal in controller.ask(10)]
    assert all(0 <= a < 2 and 0 <= b < 3 for a, b in tokens)
