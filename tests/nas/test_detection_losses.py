"""Focal loss and the loss of a batch, by hand."""

import math

import pytest
import torch

from nas.detection.losses import detection_loss, focal_loss

ANCHORS = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5]])  # two quarters of the image, by centre
FIRST = torch.tensor([[0.0, 0.0, 0.5, 0.5]])  # the first of them, by corners
NONE = torch.zeros(0, 4)


def test_focal_loss_weighs_right_and_wrong_classes_and_forgives_what_is_sure() -> None:
    losses = focal_loss(torch.tensor([0.0, 0.0, 2.0]), torch.tensor([1.0, 0.0, 1.0]))
    sure = 1 / (1 + math.exp(-2))
    # 0.75 * 0.5^2 * ln 2, 0.25 * 0.5^2 * ln 2, 0.75 * (1 - p)^2 * -ln p
    assert losses.tolist() == pytest.approx([0.1299651, 0.0433217, -0.75 * (1 - sure) ** 2 * math.log(sure)], abs=1e-6)


def test_a_batch_costs_the_focal_loss_of_all_logits_for_each_matched_anchor() -> None:
    logits, codes = torch.zeros(1, 2, 2), torch.zeros(1, 2, 4)
    # one right logit of four; the anchor's code of its own box is 0
    expected = 0.1299651 + 3 * 0.0433217
    loss = detection_loss(logits, codes, [FIRST], [torch.tensor([0])], ANCHORS)
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    both = detection_loss(
        logits.expand(2, -1, -1), codes.expand(2, -1, -1), [FIRST, FIRST], [torch.tensor([0])] * 2, ANCHORS
    )
    assert both.item() == pytest.approx(expected, abs=1e-5)  # twice as much for two matched anchors


def test_matched_anchors_alone_cost_the_mean_smooth_l1_of_their_codes() -> None:
    logits = torch.zeros(1, 2, 2)
    before = detection_loss(logits, torch.zeros(1, 2, 4), [FIRST], [torch.tensor([0])], ANCHORS)
    codes = torch.tensor([[[0.5, 0.0, 0.0, 3.0], [7.0, 7.0, 7.0, 7.0]]])
    # (0.5^2 / 2 + (3 - 0.5)) / 4
    after = detection_loss(logits, codes, [FIRST], [torch.tensor([0])], ANCHORS)
    assert (after - before).item() == pytest.approx(0.65625, abs=1e-5)


def test_the_label_decides_which_logit_is_right_and_the_background_never_is() -> None:
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    detection_loss(logits, torch.zeros(1, 2, 4), [FIRST], [torch.tensor([1])], ANCHORS).backward()
    assert logits.grad is not None
    assert (logits.grad < 0).tolist() == [[[False, False, True], [False, False, False]]]  # which are to rise


def test_images_without_boxes_cost_their_wrong_logits() -> None:
    loss = detection_loss(
        torch.zeros(1, 2, 2), torch.ones(1, 2, 4), [NONE], [torch.zeros(0, dtype=torch.int64)], ANCHORS
    )
    assert loss.item() == pytest.approx(4 * 0.0433217, abs=1e-5)
