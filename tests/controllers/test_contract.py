"""What every controller keeps, whatever its name."""

import math
import random
from pathlib import Path

import pytest
import torch

from controllers import Controller, Proposal, create, names
from search_spaces import InputError

MNASNET = (4, 2, 2, 3, 3, 3) * 7
UNUSUAL = [(1,), (1, 1, 1), (7,), (2,) * 50, (432,) * 7, (1, 5, 1, 2), MNASNET]

every_controller = pytest.mark.parametrize("name", names())


def reward_of(proposal: Proposal) -> float:
    return sum(proposal.tokens) / (1 + len(proposal.tokens))


def run(controller: Controller, batches: int, n: int = 5) -> list[Proposal]:
    """Ask and tell, and return all that was proposed."""
    proposals = []
    for _ in range(batches):
        batch = controller.ask(n)
        controller.tell([(proposal, reward_of(proposal)) for proposal in batch])
        proposals += batch
    return proposals


@every_controller
@pytest.mark.parametrize("sizes", UNUSUAL, ids=str)
def test_tokens_fit_the_sizes_before_and_after_learning(name: str, sizes: tuple[int, ...]) -> None:
    proposals = run(create(name, sizes, seed=1), batches=3)
    assert len(proposals) == 15
    for proposal in proposals:
        assert len(proposal.tokens) == len(sizes)
        assert all(type(token) is int and 0 <= token < size for token, size in zip(proposal.tokens, sizes, strict=True))


@every_controller
def test_every_choice_is_proposed_by_a_new_controller(name: str) -> None:
    seen = {(d, t) for proposal in create(name, (4, 2, 3)).ask(200) for d, t in enumerate(proposal.tokens)}
    assert seen == {(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)}


@every_controller
def test_log_probabilities_of_all_proposals_of_a_small_space_sum_to_one(name: str) -> None:
    # With no tell between, each tuple has one probability; 200 draws out of 2 * 3 = 6 see them all.
    found = {p.tokens: math.exp(p.log_probability or 0.0) for p in create(name, (2, 3)).ask(200)}
    assert len(found) == 6
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)


@every_controller
def test_the_same_seed_and_calls_give_the_same_proposals(name: str) -> None:
    assert run(create(name, MNASNET, seed=3), batches=4) == run(create(name, MNASNET, seed=3), batches=4)


@every_controller
def test_another_seed_gives_other_proposals(name: str) -> None:
    assert create(name, MNASNET, seed=3).ask(5) != create(name, MNASNET, seed=4).ask(5)


@every_controller
def test_asking_one_by_one_is_reproducible(name: str) -> None:
    first, second = create(name, MNASNET, seed=5), create(name, MNASNET, seed=5)
    assert [first.ask(1) for _ in range(5)] == [second.ask(1) for _ in range(5)]


@every_controller
def test_the_seed_defaults_to_zero(name: str) -> None:
    assert create(name, MNASNET).ask(3) == create(name, MNASNET, seed=0).ask(3)


@every_controller
def test_no_global_state_is_read_or_changed(name: str) -> None:
    torch.manual_seed(11)
    random.seed(11)
    before = (torch.get_rng_state(), random.getstate(), torch.get_num_threads(), torch.get_default_dtype())
    proposals = run(create(name, MNASNET, seed=2), batches=2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), torch.get_num_threads(), torch.get_default_dtype()) == before[1:]
    torch.manual_seed(12)
    random.seed(12)
    assert run(create(name, MNASNET, seed=2), batches=2) == proposals


@every_controller
@pytest.mark.parametrize("sizes", [MNASNET, (1,), (432,) * 7], ids=str)
def test_a_state_saved_to_a_file_goes_on_where_it_was(name: str, sizes: tuple[int, ...], tmp_path: Path) -> None:
    controller = create(name, sizes, seed=6)
    run(controller, batches=3)
    pending = controller.ask(4)  # asked before the state is saved, told after it is loaded
    torch.save(controller.state_dict(), tmp_path / "controller.pt")
    resumed = create(name, sizes, seed=99)
    resumed.load_state_dict(torch.load(tmp_path / "controller.pt", weights_only=True))
    for each in (controller, resumed):
        each.tell([(proposal, reward_of(proposal)) for proposal in pending])
    assert resumed.diagnostics() == controller.diagnostics()
    assert run(resumed, batches=3) == run(controller, batches=3)


@every_controller
def test_a_state_is_a_copy_that_later_learning_leaves_alone(name: str) -> None:
    controller = create(name, MNASNET, seed=7)
    run(controller, batches=2)
    state = controller.state_dict()
    expected = run(controller, batches=3)
    for seed in (1, 2):  # twice: neither saving nor loading shares memory with the state
        resumed = create(name, MNASNET, seed=seed)
        resumed.load_state_dict(state)
        assert run(resumed, batches=3) == expected


@every_controller
def test_a_state_of_other_sizes_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"saved with sizes \[2, 3\], this controller has \[3, 2\]"):
        create(name, (3, 2)).load_state_dict(create(name, (2, 3)).state_dict())


@every_controller
def test_a_state_of_another_controller_is_refused(name: str) -> None:
    state = {**create(name, (2, 3)).state_dict(), "controller": "another"}
    with pytest.raises(InputError, match="saved with controller 'another'"):
        create(name, (2, 3)).load_state_dict(state)


@every_controller
def test_an_incomplete_state_is_refused_with_what_it_lacks(name: str) -> None:
    state = create(name, (2, 3)).state_dict()
    del state["generator"]
    with pytest.raises(InputError, match="it lacks generator"):
        create(name, (2, 3)).load_state_dict(state)


@every_controller
def test_proposals_known_by_their_tokens_alone_can_be_told(name: str) -> None:
    controller = create(name, MNASNET, seed=8)
    controller.tell([(Proposal((0,) * 42), 0.1), (Proposal((1,) * 42), 0.9)])
    assert all(len(proposal.tokens) == 42 for proposal in controller.ask(3))


@every_controller
def test_a_replay_from_tokens_alone_proposes_what_the_original_would(name: str) -> None:
    original, replayed = create(name, MNASNET, seed=9), create(name, MNASNET, seed=9)
    for _ in range(4):
        batch, again = [original.ask(1)[0] for _ in range(5)], [replayed.ask(1)[0] for _ in range(5)]
        assert again == batch
        original.tell([(proposal, reward_of(proposal)) for proposal in batch])
        replayed.tell([(Proposal(proposal.tokens), reward_of(proposal)) for proposal in batch])
    assert replayed.ask(5) == original.ask(5)


@every_controller
def test_late_results_can_be_told(name: str) -> None:
    controller = create(name, MNASNET, seed=10)
    late = controller.ask(5)
    run(controller, batches=5)
    controller.tell([(proposal, reward_of(proposal)) for proposal in late])
    assert all(math.isfinite(value) for value in controller.diagnostics().values())
    assert all(len(proposal.tokens) == 42 for proposal in controller.ask(3))


@every_controller
@pytest.mark.parametrize("n", [0, 1, 3])
def test_ask_gives_as_many_proposals_as_asked_for(name: str, n: int) -> None:
    assert len(create(name, (2, 3)).ask(n)) == n


@every_controller
def test_asking_for_less_than_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot propose -1 times"):
        create(name, (2, 3)).ask(-1)


@every_controller
@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_is_refused_and_nothing_is_learnt(name: str, reward: float) -> None:
    controller, untouched = create(name, (2, 3), seed=1), create(name, (2, 3), seed=1)
    with pytest.raises(InputError, match="a reward must be a finite number"):
        controller.tell([(Proposal((0, 0)), 0.5), (Proposal((1, 1)), reward)])
    assert run(controller, batches=2) == run(untouched, batches=2)


@every_controller
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((0,), "needs 2 tokens, got 1"),
        ((0, 0, 0), "needs 2 tokens, got 3"),
        ((0, 3), "token 3 of decision 1 is out of range; allowed are 0 to 2"),
        ((-1, 0), "token -1 of decision 0 is out of range; allowed are 0 to 1"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(name: str, tokens: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create(name, (2, 3)).tell([(Proposal(tokens), 0.5)])


@every_controller
@pytest.mark.parametrize("log_probability", [0.5, math.nan])
def test_an_impossible_log_probability_is_refused(name: str, log_probability: float) -> None:
    with pytest.raises(InputError, match="a log_probability is at most 0"):
        create(name, (2, 3)).tell([(Proposal((0, 0), log_probability), 0.5)])


@every_controller
def test_an_empty_batch_changes_nothing(name: str) -> None:
    controller, untouched = create(name, (2, 3), seed=1), create(name, (2, 3), seed=1)
    controller.tell([])
    assert controller.diagnostics() == untouched.diagnostics()
    assert controller.ask(5) == untouched.ask(5)


@every_controller
@pytest.mark.parametrize("reward", [0.0, 0.7, -3.0, 1e-9, 1e9])
def test_constant_rewards_teach_no_preference(name: str, reward: float) -> None:
    controller = create(name, (2, 3), seed=1)
    for _ in range(30):
        controller.tell([(proposal, reward) for proposal in controller.ask(5)])
    assert controller.diagnostics()["entropy_share"] > 0.98


@every_controller
def test_diagnostics_are_finite_numbers_from_the_start(name: str) -> None:
    controller = create(name, MNASNET)
    at_start = controller.diagnostics()
    assert at_start["entropy_share"] == pytest.approx(1.0)
    # Mean per decision of ln 4 + 2 ln 2 + 3 ln 3 = 6.068426, over six decisions.
    assert at_start["entropy"] == pytest.approx(1.011404, abs=1e-6)
    run(controller, batches=2)
    assert all(type(value) is float and math.isfinite(value) for value in controller.diagnostics().values())
