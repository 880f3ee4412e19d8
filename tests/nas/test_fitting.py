"""`nas.fitting`: a training learns, is repeatable, and goes on after a stop as if there had been none."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas.averaging import averaged
from nas.checkpoint import load_checkpoint, save_checkpoint
from nas.classification import Classification, Options
from nas.data import ImageData
from nas.fitted import Fitted, Watch
from nas.fitting import fit_task
from nas.optimizer import optimizer_for
from nas.schedule import Schedule
from nas.stopping import StoppedError
from nas.training import DivergedError
from search_spaces import Arch, Block, FileError, Head, InputError, SqueezeExcite, Stem

QUICK = Schedule(epochs=2, batch_size=16, learning_rate=0.02, dropout=0.2, ema_decay=0.9, batch_norm_momentum=0.1)
STEPS = 4  # an epoch of 64 images


def tiny_arch() -> Arch:
    gate = SqueezeExcite(8, "hard_sigmoid")
    blocks = (Block("mbconv", 8, 3, 2, expanded=16, se=gate), Block("mbconv", 8, 3, 1, expanded=16, skip="identity"))
    return Arch("tiny", 8, 2, Stem(8, stride=1), blocks, Head(16))


def bars(count: int = 96) -> ImageData:
    """Noise with a bright left half (class 0) or upper half (class 1)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 120, (count, 8, 8, 3)).astype(np.uint8)
    images[labels == 0, :, :4] += 120
    images[labels == 1, :4] += 120
    indices = np.arange(count)
    return ImageData(images, labels, indices[:64], indices[64:], ("left", "up"), "bars", fingerprint="0")


def task(dropout: float = 0.2) -> Classification:
    return Classification(tiny_arch(), bars(), Options(dropout=dropout, crop_padding=1, flip=False))


def fitted(folder: Path | None = None, schedule: Schedule = QUICK, **settings: Any) -> Fitted:
    return fit_task(task(), schedule, seed=3, folder=folder, threads=1, **settings)


def same(one: Fitted, other: Fitted) -> bool:
    weights = other.model.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in one.model.state_dict().items())


def losses(of: Fitted) -> list[float]:
    return [result.loss for result in of.history]


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_it_learns_what_can_be_learnt(optimizer: str) -> None:
    schedule = replace(QUICK, epochs=12, optimizer=optimizer, decay="cosine", learning_rate=0.05)
    assert fitted(schedule=schedule).history[-1].metrics["accuracy"] >= 0.9  # chance is 0.5


def test_the_same_seed_gives_the_same_network_bit_for_bit_and_another_seed_another() -> None:
    first, second = fitted(), fitted()
    assert losses(first) == losses(second)
    assert same(first, second)
    assert losses(first) != losses(fit_task(task(), QUICK, seed=4, threads=1))


@pytest.mark.parametrize("step", [1, 3, 4, 5, 7, 8])  # inside an epoch, at its end, at the very end
def test_stopped_by_sigterm_at_any_step_and_resumed_it_ends_as_if_never_stopped(step: int, tmp_path: Path) -> None:
    def stop(epoch: int, done: int, loss: float) -> None:
        if (epoch - 1) * STEPS + done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError) as stopped:
        fitted(tmp_path, watch=Watch(on_step=stop))
    assert stopped.value.epoch * STEPS + stopped.value.step == step
    resumed, whole = fitted(tmp_path, resume=True), fitted()
    assert losses(resumed) == losses(whole)
    assert same(resumed, whole)


@pytest.mark.parametrize("step", [2, 6])
def test_killed_at_any_step_it_goes_on_from_the_last_epoch(step: int, tmp_path: Path) -> None:
    taken = []

    def die(epoch: int, done: int, loss: float) -> None:
        taken.append((epoch, done))
        if len(taken) == step:
            raise KeyboardInterrupt  # nothing more is written, as with kill -9

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path, watch=Watch(on_step=die))
    resumed, whole = fitted(tmp_path, resume=True), fitted()
    assert losses(resumed) == losses(whole)
    assert same(resumed, whole)


def test_what_the_network_draws_differs_from_step_to_step() -> None:
    seeds: list[int] = []
    fitted(watch=Watch(on_step=lambda epoch, step, loss: seeds.append(torch.initial_seed())))
    assert len(set(seeds)) == 2 * STEPS


def test_sigterm_has_its_usual_effect_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    fitted(schedule=replace(QUICK, epochs=1))
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_finished_training_resumes_to_its_result(tmp_path: Path) -> None:
    whole = fitted(tmp_path)
    again = fitted(tmp_path, resume=True)
    assert again.history == whole.history
    assert same(again, whole)


def test_weights_of_the_best_and_the_last_epoch_are_kept_with_what_they_are(tmp_path: Path) -> None:
    done = fitted(tmp_path, replace(QUICK, epochs=5))
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert (best["result"]["epoch"], last["result"]["epoch"]) == (done.best.epoch, 5)
    assert best["result"]["metrics"] == done.best.metrics
    assert (last["task"], last["about"]["classes"]) == ("classification", ["left", "up"])
    model = task().build()
    model.load_state_dict(last["weights"])
    assert torch.equal(model.classifier.weight, done.model.get_submodule("classifier").weight)


def test_epochs_between_evaluations_have_a_loss_but_no_metrics_and_the_last_one_is_judged(tmp_path: Path) -> None:
    five = replace(QUICK, epochs=5)
    sparse, dense = fitted(tmp_path, five, evaluate_every=3), fitted(schedule=five)
    assert [bool(result.metrics) for result in sparse.history] == [False, False, True, False, True]
    assert losses(sparse) == losses(dense)
    assert same(sparse, dense)
    assert sparse.history[2].metrics == dense.history[2].metrics
    assert sparse.best.epoch in (3, 5)
    assert load_checkpoint(tmp_path / "best.pt")["result"]["epoch"] == sparse.best.epoch


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schedule": replace(QUICK, learning_rate=0.01)}, "another schedule learning_rate: 0.02, not 0.01"),
        ({"seed": 4}, "another seed: 3, not 4"),
        ({"task": task(0.5)}, "another options"),
        ({"evaluate_every": 2}, "another evaluate_every: 1, not 2"),
    ],
)
def test_another_training_is_not_resumed(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    fitted(tmp_path)
    settings: dict[str, Any] = {"task": task(), "schedule": QUICK, "seed": 3, "folder": tmp_path, "resume": True}
    with pytest.raises(InputError, match=told):
        fit_task(**settings | change, threads=1)


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no checkpoint at .*checkpoint.pt"):
        fitted(tmp_path, resume=True)


def test_a_loss_that_leaves_the_numbers_is_an_error_that_says_when() -> None:
    hopeless = replace(QUICK, optimizer="sgd", learning_rate=1e30, warm_up=0.0)
    with pytest.raises(DivergedError, match=r"the loss is not finite in epoch 1, step \d"):
        fitted(schedule=hopeless)


def test_depthwise_weights_norms_and_biases_are_not_decayed() -> None:
    model = task().build()
    decayed, others = optimizer_for(model, QUICK).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (QUICK.weight_decay, 0.0)
    # stem, 2 x (expand, project), squeeze, excite, head, classifier
    assert len(decayed["params"]) == 9
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in others["params"] if parameter.ndim > 1} == {
        "blocks.0.depthwise.conv.weight",
        "blocks.1.depthwise.conv.weight",
    }


def test_the_average_ramps_up_and_takes_batch_statistics_along() -> None:
    model = nn.BatchNorm2d(1)
    average = averaged(model, 0.5)
    assert model.running_mean is not None
    for value in (8.0, 0.0, 11.0):
        model.running_mean.fill_(value)
        average.update_parameters(model)
    # 8 as it is; decay min(0.5, 2/11): 8 * 2/11 = 16/11; decay min(0.5, 3/12): 16/11 / 4 + 11 * 3/4
    assert average.module.running_mean.item() == pytest.approx(16 / 44 + 33 / 4)


class Linear(Classification):
    """The same images with a network without batch norm, which a step's parts see differently."""

    def build(self) -> Any:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))


def test_a_step_in_parts_is_the_step_in_one(tmp_path: Path) -> None:
    linear = Linear(tiny_arch(), bars(), Options(crop_padding=0, flip=False))
    whole, parts, uneven = (
        fit_task(linear, replace(QUICK, accumulate=number), seed=3, threads=1) for number in (1, 4, 3)
    )
    for other in (parts, uneven):
        assert losses(other) == pytest.approx(losses(whole), rel=1e-5)
        for name, weight in whole.model.state_dict().items():
            torch.testing.assert_close(other.model.state_dict()[name], weight)


def test_clipping_shortens_long_gradients_only() -> None:
    one, other = (fitted(schedule=replace(QUICK, epochs=1, clip_norm=norm)) for norm in (0.0, 1e6))
    assert same(one, other)
    assert not same(one, fitted(schedule=replace(QUICK, epochs=1, clip_norm=1e-3)))


def test_a_full_disk_leaves_the_checkpoint_before_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"cannot write .*checkpoint.pt: File too large; make room, and go on"):
            save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1000)})
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=r"checkpoint.pt cannot be read as a checkpoint: "):
        load_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_text("name: tiny\n")
    with pytest.raises(FileError, match="cannot be read as a checkpoint: it holds something else than plain data and"):
        load_checkpoint(tmp_path / "checkpoint.pt")
