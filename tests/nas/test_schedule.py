"""`nas.schedule`: the paper's numbers, and the learning rate over the epochs."""

import math
from dataclasses import replace

import pytest

from nas.schedule import PRESETS, Schedule, preset
from search_spaces import InputError

PLAIN = Schedule(epochs=20, batch_size=32, learning_rate=0.4, warm_up=0.1)


def test_the_papers_preset_has_the_papers_numbers() -> None:
    paper = preset("paper")
    # Howard et al. 2019, 6.1.1: RMSProp, momentum 0.9, rate 0.1, batch 4096, "decay rate of 0.01 every 3 epochs",
    # dropout keep 0.8, l2 1e-5, EMA 0.9999, batch norm decay 0.99
    assert (paper.optimizer, paper.momentum, paper.learning_rate, paper.batch_size) == ("rmsprop", 0.9, 0.1, 4096)
    assert (paper.decay, paper.decay_rate, paper.decay_epochs) == ("exponential", 0.99, 3.0)
    assert (paper.dropout, paper.weight_decay, paper.ema_decay) == (0.2, 1e-5, 0.9999)
    assert paper.batch_norm_momentum == 0.01
    assert (paper.views, paper.least_area) == ("inception", 0.08)


def test_the_exponential_rate_climbs_then_falls_in_steps() -> None:
    rates = [PLAIN.learning_rate_at(epoch, 20) for epoch in (0, 1, 2, 2.9, 3, 5.9, 6)]
    assert rates == pytest.approx([0, 0.2, 0.4, 0.4, 0.4 * 0.99, 0.4 * 0.99, 0.4 * 0.99**2])


def test_the_cosine_rate_falls_to_zero() -> None:
    cosine = replace(PLAIN, decay="cosine")
    rates = [cosine.learning_rate_at(epoch, 20) for epoch in (1, 2, 11, 20)]
    assert rates == pytest.approx([0.2, 0.4, 0.2, 0.0], abs=1e-12)  # half-way between 2 and 20


def test_few_images_make_more_epochs_with_the_same_share_of_warm_up() -> None:
    longer = replace(PLAIN, least_steps=400)
    assert [longer.epochs_for(steps) for steps in (5, 20, 40)] == [80, 20, 20]
    assert longer.learning_rate_at(4, 80) == pytest.approx(0.2)  # warm-up is a tenth of all epochs: 8


def test_another_batch_size_takes_the_learning_rate_along() -> None:
    half = PLAIN.with_batch_size(16)
    assert (half.batch_size, half.learning_rate) == (16, 0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "schedule: epochs must be at least 1, got 0"),
        ({"learning_rate": math.nan}, "schedule: learning_rate must be a positive number, got nan"),
        ({"ema_decay": 1.0}, "schedule: ema_decay must be at least 0 and below 1, got 1.0"),
        ({"decay_rate": 1.5}, "schedule: decay_rate must be above 0 and at most 1, got 1.5"),
        ({"clip_norm": -1.0}, "schedule: clip_norm must be 0 or a positive number, got -1.0"),
        ({"accumulate": 0}, "schedule: accumulate must be at least 1, got 0"),
        ({"views": "mixup"}, "schedule: views must be one of inception, shift, got 'mixup'"),
        ({"least_area": 0.0}, "schedule: least_area must be above 0 and at most 1, got 0.0"),
        ({"optimizer": "adam"}, "schedule: optimizer must be one of rmsprop, sgd, got 'adam'"),
        ({"warm_up": 1.0}, "schedule: warm_up must be at least 0 and below 1, got 1.0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(PLAIN, **change)  # type: ignore[arg-type]  # that is the point
    assert str(caught.value) == message


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown preset 'large'; give one of paper, small"):
        preset("large")
    assert sorted(PRESETS) == ["paper", "small"]
