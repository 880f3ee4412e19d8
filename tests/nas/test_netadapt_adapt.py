"""The loop: which proposal a step keeps, when it ends, and how it goes on after a stop."""

from dataclasses import replace

import pytest

from nas.loop import run_in_process
from nas.netadapt.adapt import Adaptation, Goal, Judged, Kept, choose, proposal_key, seed_step
from nas.netadapt.proposals import Proposer
from nas.search import Outcome
from search_spaces import Arch, Block, Head, Stem

SEED = Arch("plain", 32, 10, Stem(16), (Block("conv", 40, 3, 2), Block("conv", 24, 3, 2)), Head(32))


def widths_ms(archs):
    """1 ms for each channel of both blocks: 64 for the seed."""
    return [float(sum(block.out_channels for block in arch.blocks)) for arch in archs]


def accuracy(arch):
    """Channels of block 1 are worth more than those of block 0: 0.7 for the seed."""
    first, second = (block.out_channels for block in arch.blocks)
    return 0.001 * first + 0.0275 * second


def adaptation(target_ms, delta_ms=8.0, select="ratio", **told):
    seed = seed_step(SEED, 64.0, accuracy(SEED))
    return Adaptation([seed], Goal(target_ms, select), Proposer.of(SEED, widths_ms, delta_ms), **told)


def judge(candidate):
    return Outcome(accuracy(candidate.arch), 0.5)


def way(adapted):
    return [(step.target, step.before, step.after, step.latency_ms) for step in adapted.steps[1:]]


def test_steps_are_taken_until_the_target_is_met():
    adapted = adaptation(50.0)
    run_in_process(adapted, judge)
    # 8 ms off block 0 cost 0.008, off block 1 0.22
    assert way(adapted) == [("bottleneck of block 0", 40, 32, 56.0), ("bottleneck of block 0", 32, 24, 48.0)]
    assert adapted.done
    assert not adapted.exhausted


def test_a_target_above_the_seeds_latency_leaves_the_seed_as_it_is():
    adapted = adaptation(64.0)
    run_in_process(adapted, judge)
    assert (way(adapted), adapted.current.arch, adapted.done, adapted.exhausted) == ([], SEED, True, False)


def test_a_target_out_of_reach_ends_with_the_lowest_that_was_reached():
    adapted = adaptation(10.0)
    run_in_process(adapted, judge)
    assert adapted.exhausted
    assert adapted.current.latency_ms == 16.0  # both at 8


def test_callbacks_hear_of_every_proposal_and_step_in_order():
    heard = []
    adapted = adaptation(50.0, on_judged=heard.append, on_kept=heard.append)
    run_in_process(adapted, judge)
    assert [type(one) for one in heard] == [Judged, Judged, Kept, Judged, Judged, Kept]
    seed = adapted.steps[0]
    key = proposal_key(seed, adapted.steps[1].arch)
    worth = pytest.approx(0.692)  # 0.001 * 32 + 0.0275 * 24
    assert heard[0] == Judged(1, key, "bottleneck of block 0", 40, 32, 56.0, worth, 0.5, base=seed.key)


def test_accuracies_that_come_in_another_order_give_the_same_steps():
    adapted, expected = adaptation(40.0), adaptation(40.0)
    run_in_process(expected, judge)
    while not adapted.done:
        handed_out = []
        while (candidate := adapted.next()) is not None:
            handed_out.append(candidate)
        for candidate in reversed(handed_out):
            adapted.finish(candidate.trial, judge(candidate))
    assert adapted.steps == expected.steps


def test_who_asks_while_the_last_proposal_runs_gets_the_next_steps_of_the_best_so_far():
    adapted, expected = adaptation(40.0), adaptation(40.0)
    run_in_process(expected, judge)
    best, last = adapted.next(), adapted.next()
    assert adapted.next() is None  # nothing is known yet
    adapted.finish(best.trial, judge(best))
    ahead = [adapted.next(), adapted.next()]
    narrower = (arch_of(SEED, 24, 24), arch_of(SEED, 32, 16))
    assert [one.key for one in ahead] == [proposal_key(expected.steps[1], arch) for arch in narrower]
    assert adapted.next() is None  # it does not guess further than the next step
    adapted.finish(ahead[0].trial, judge(ahead[0]))
    assert adapted.progress == (1, 2)
    adapted.finish(last.trial, judge(last))
    assert (adapted.current, adapted.progress) == (expected.steps[1], (1, 2))
    adapted.finish(ahead[1].trial, judge(ahead[1]))
    run_in_process(adapted, judge)
    assert adapted.steps == expected.steps


def test_a_wrong_guess_changes_nothing_and_is_not_heard_of_any_more():
    heard = []
    adapted, expected = adaptation(40.0, on_judged=heard.append), adaptation(40.0)
    run_in_process(expected, judge)
    best, worse = adapted.next(), adapted.next()
    adapted.finish(worse.trial, judge(worse))
    guessed, late = adapted.next(), adapted.next()
    adapted.finish(guessed.trial, judge(guessed))
    assert [one.base for one in heard] == [adapted.steps[0].key, worse.key]
    adapted.finish(best.trial, judge(best))
    adapted.finish(late.trial, Outcome(None, 0.1, "out of memory", network_fault=False))
    run_in_process(adapted, judge)
    assert adapted.steps == expected.steps
    assert late.key not in [one.key for one in heard]
    assert sum(one.base == worse.key for one in heard) == 1


def test_nothing_is_guessed_while_most_proposals_run_or_when_the_best_so_far_is_the_end():
    three = replace(SEED, blocks=(*SEED.blocks, Block("conv", 24, 3, 2)))
    adapted = Adaptation([seed_step(three, 88.0, 0.7)], Goal(50.0), Proposer.of(three, widths_ms, 8.0))
    first, second, _ = (adapted.next() for _ in range(3))
    adapted.finish(first.trial, Outcome(0.6, 1.0))
    assert adapted.next() is None  # one of three is likelier not to be the best
    adapted.finish(second.trial, Outcome(0.6, 1.0))
    assert adapted.next() is not None
    at_its_end = adaptation(56.0)
    candidate, _ = at_its_end.next(), at_its_end.next()
    at_its_end.finish(candidate.trial, judge(candidate))
    assert at_its_end.next() is None


def arch_of(arch, *widths):
    blocks = (replace(block, out_channels=width) for block, width in zip(arch.blocks, widths, strict=True))
    return replace(arch, blocks=tuple(blocks))


def test_what_was_judged_before_a_stop_is_not_judged_again():
    recorded, whole = [], adaptation(50.0)
    whole.on_judged = recorded.append
    run_in_process(whole, judge)
    asked = []

    def note(candidate):
        asked.append(candidate.key)
        return judge(candidate)

    # stopped after the first step's end and one proposal of the second
    going_on = Adaptation(
        whole.steps[:2], Goal(50.0), Proposer.of(SEED, widths_ms, 8.0), [one for one in recorded[:3] if one.step == 2]
    )
    run_in_process(going_on, note)
    assert asked == [recorded[3].key]
    assert going_on.steps == whole.steps


def test_what_was_judged_ahead_of_its_step_is_not_judged_again_after_a_stop():
    recorded, expected = [], adaptation(50.0)
    run_in_process(expected, judge)
    stopped = adaptation(50.0, on_judged=recorded.append)
    best, last = stopped.next(), stopped.next()
    stopped.finish(best.trial, judge(best))
    ahead = stopped.next()
    stopped.finish(ahead.trial, judge(ahead))
    asked, going_on = [], adaptation(50.0, judged=recorded)
    run_in_process(going_on, lambda candidate: (asked.append(candidate.key), judge(candidate))[1])
    assert asked == [last.key, next(key for key in asked if key not in (best.key, last.key, ahead.key))]
    assert going_on.steps == expected.steps


def test_a_stop_right_before_a_decision_is_made_up_for():
    recorded, whole = [], adaptation(60.0)
    whole.on_judged = recorded.append
    run_in_process(whole, judge)
    going_on = adaptation(60.0, judged=recorded)
    assert going_on.done
    assert going_on.steps == whole.steps


def test_a_machines_fault_is_tried_again_and_then_recorded():
    recorded, tries = [], []
    adapted = adaptation(60.0, on_judged=recorded.append)

    def break_down(candidate):
        tries.append(candidate.proposal.target)
        if candidate.proposal.target == "bottleneck of block 0":
            return Outcome(None, 0.1, "out of memory", network_fault=False)
        return judge(candidate)

    run_in_process(adapted, break_down)
    assert tries == ["bottleneck of block 0", "bottleneck of block 1", "bottleneck of block 0"]
    assert [one.error for one in recorded] == [None, "out of memory"]
    assert way(adapted) == [("bottleneck of block 1", 24, 16, 56.0)]


def test_a_step_of_which_all_proposals_fail_ends_the_run_with_the_reason():
    adapted = adaptation(50.0)
    run_in_process(adapted, lambda candidate: Outcome(None, 0.1, "training diverged"))
    assert adapted.done
    assert adapted.gave_up == "all 2 proposals of step 1 failed (training diverged)"


NOW = seed_step(SEED, 100.0, 0.8)


def judged(target, latency_ms, accuracy):
    return Judged(1, f"001-{target}", target, 40, 32, latency_ms, accuracy, 1.0)


@pytest.mark.parametrize(
    ("select", "chosen"),
    [
        ("ratio", "steep"),  # -0.02 / 10 ms against -0.01 / 1 ms
        ("accuracy", "flat"),
    ],
)
def test_the_ratio_weighs_accuracy_against_time_and_the_accuracy_alone_does_not(select, chosen):
    proposals = [judged("flat", 99.0, 0.79), judged("steep", 90.0, 0.78)]
    assert choose(proposals, NOW, select).target == chosen


def test_at_equal_merit_the_larger_saving_wins_and_then_the_first():
    # no change of accuracy: a ratio of 0 for all
    proposals = [judged("little", 99.0, 0.8), judged("more", 90.0, 0.8), judged("as much", 90.0, 0.8)]
    assert choose(proposals, NOW, "ratio").target == "more"


def test_a_gain_goes_before_any_loss():
    proposals = [judged("loss", 50.0, 0.79), judged("gain", 99.0, 0.81)]
    assert choose(proposals, NOW, "ratio").target == "gain"


def test_what_failed_is_not_chosen():
    failed = replace(judged("failed", 10.0, None), error="training diverged")
    assert choose([failed], NOW, "ratio") is None
