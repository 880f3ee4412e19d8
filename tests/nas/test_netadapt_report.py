"""NetAdapt's page: every step with its alternatives, the widths before and after, nothing unescaped."""

from dataclasses import replace

from nas.netadapt.adapt import Judged, Kept, seed_step
from nas.netadapt.config import AdaptConfig
from nas.netadapt.report import render, step_rows, width_rows
from nas.netadapt.summary import AdaptSummary
from search_spaces import Arch, Block, Head, SqueezeExcite, Stem

SEED = Arch(
    "<plain>",
    32,
    10,
    Stem(16),
    (Block("mbconv", 24, 3, 2, 64, SqueezeExcite(16, "sigmoid")), Block("conv", 24, 3, 1)),
    Head(32),
)
NARROW = replace(SEED, blocks=(replace(SEED.blocks[0], expanded=40, se=SqueezeExcite(8, "sigmoid")), SEED.blocks[1]))
STEPS = [seed_step(SEED, 2.0, 0.8), Kept(1, "001-kept", "expansion of block 0", 64, 40, 1.5, 0.79, NARROW)]


def judged(name, accuracy, error=None):
    return Judged(1, f"001-{name}", name, 24, 16, 1.25, accuracy, 3.0, error)


JUDGED = [judged("worse", 0.7), judged("kept", 0.79), judged("failed", None, "diverged <b>"), judged("better", 0.75)]


def test_a_step_is_told_with_what_it_saved_and_the_alternatives_best_first():
    (row,) = step_rows(STEPS, JUDGED)
    assert (row.kept, row.saved_ms) == (STEPS[1], 0.5)
    assert round(row.gained, 6) == -0.01
    assert [other.target for other in row.others] == ["better", "worse", "failed"]


def test_a_proposal_that_was_judged_again_after_a_failure_counts_once():
    (row,) = step_rows(STEPS, [judged("twice", None, "the worker process died"), judged("twice", 0.6)])
    assert [(other.target, other.accuracy) for other in row.others] == [("twice", 0.6)]


def test_widths_stand_side_by_side_for_each_block():
    stem, first, second, *_ = width_rows(SEED, NARROW)
    assert stem == {"op": "conv", "widths": [("–", "–"), ("16", "16"), ("–", "–")]}
    assert first == {"op": "0 mbconv4 3×3", "widths": [("64", "40"), ("24", "24"), ("16", "8")]}
    assert second == {"op": "1 conv 3×3", "widths": [("–", "–"), ("24", "24"), ("–", "–")]}


def test_the_page_shows_steps_and_widths_and_escapes_what_comes_from_files():
    config = AdaptConfig(SEED, "pixel1", "digits", 1.6, 0.02)
    summary = AdaptSummary("runs/a", "pixel1", 1, True, 1.6, 1.5, 0.79, 2.0, 0.8, "")
    page = render(config, STEPS, JUDGED, summary, {"python": "3.11"})
    body = page[: page.index("<script")]
    assert "1. expansion of block 0: 64 → 40" in body
    assert "1.500 ms (-0.500)" in body
    assert "64 → <strong>40</strong>" in body
    assert "&lt;plain&gt; adapted to 1.6 ms on pixel1" in body
    assert "diverged &lt;b&gt;" in body
    assert "diverged <b>" not in body


def test_a_page_on_a_seed_that_met_the_target_says_that_nothing_changed():
    config = AdaptConfig(SEED, "pixel1", "digits", 3.0, 0.02)
    summary = AdaptSummary("runs/a", "pixel1", 0, True, 3.0, 2.0, 0.8, 2.0, 0.8, "")
    assert "The seed meets the target as it is" in render(config, STEPS[:1], [], summary, {})
