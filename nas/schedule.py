"""How a network is trained to be used, as numbers: Howard et al. 2019's recipe, and one for small data."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pydantic import ConfigDict

from search_spaces import InputError

OptimizerName = Literal["rmsprop", "sgd"]
Decay = Literal["exponential", "cosine"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The one training loop's numbers; `nas.recipe.Recipe` is that of a search's children.

    ``learning_rate`` is the peak, for this ``batch_size``; `with_batch_size` changes both. It climbs linearly during
    the share ``warm_up`` of the epochs; then ``exponential`` multiplies it by ``decay_rate`` every ``decay_epochs``,
    counted from the start, and ``cosine`` lowers it to 0. ``least_steps`` lengthens the training on few images.
    ``rho`` and ``epsilon`` are RMSProp's. ``weight_decay`` is for the weights of convolutions and linear layers, but
    not of depthwise convolutions. ``batch_norm_momentum`` is torch's: 1 less the paper's decay. ``ema_decay``: of the
    average of weights that is evaluated and kept; 0 is none. ``clip_norm``: longer gradients are scaled down to it;
    None leaves them. ``label_smoothing`` and ``dropout`` are for tasks that have them.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: OptimizerName = "rmsprop"
    decay: Decay = "exponential"
    least_steps: int = 0
    warm_up: float = 5 / 350
    decay_rate: float = 0.99
    decay_epochs: float = 3.0
    momentum: float = 0.9
    rho: float = 0.9
    epsilon: float = 1e-3
    weight_decay: float = 1e-5
    label_smoothing: float = 0.1
    dropout: float = 0.2
    batch_norm_momentum: float = 0.01
    ema_decay: float = 0.9999
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        _check_choice("decay", self.decay, get_args(Decay))
        for name in ("epochs", "batch_size"):
            _check(self, name, "at least 1", getattr(self, name) >= 1)
        _check(self, "least_steps", "0 or more", self.least_steps >= 0)
        for name in ("learning_rate", "decay_epochs", "epsilon"):
            _check(self, name, "a positive number", 0 < getattr(self, name) < math.inf)
        _check(self, "weight_decay", "0 or a positive number", 0 <= self.weight_decay < math.inf)
        for name in ("warm_up", "momentum", "rho", "label_smoothing", "dropout", "ema_decay"):
            _check(self, name, "at least 0 and below 1", 0 <= getattr(self, name) < 1)
        for name in ("batch_norm_momentum", "decay_rate"):
            _check(self, name, "above 0 and at most 1", 0 < getattr(self, name) <= 1)
        _check(self, "clip_norm", "a positive number or none", self.clip_norm is None or 0 < self.clip_norm < math.inf)

    def with_batch_size(self, batch_size: int) -> "Schedule":
        """Give the schedule at another batch size, its learning rate in proportion (Goyal et al. 2017)."""
        return replace(self, batch_size=batch_size, learning_rate=self.learning_rate * batch_size / self.batch_size)

    def epochs_for(self, steps_per_epoch: int) -> int:
        """Count the epochs where one has so many steps: ``epochs``, or what ``least_steps`` needs."""
        return max(self.epochs, math.ceil(self.least_steps / steps_per_epoch))

    def learning_rate_at(self, epoch: float, epochs: int) -> float:
        """Give the learning rate when ``epoch`` of ``epochs`` epochs are done, with its part of the one under way."""
        warm_up = self.warm_up * epochs
        if epoch < warm_up:
            return self.learning_rate * epoch / warm_up
        if self.decay == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * (epoch - warm_up) / (epochs - warm_up))) / 2
        return self.learning_rate * math.pow(self.decay_rate, epoch // self.decay_epochs)


def _check(schedule: Schedule, name: str, allowed: str, right: bool) -> None:
    if not right:  # a comparison with nan is False too
        raise InputError(f"schedule: {name} must be {allowed}, got {getattr(schedule, name)!r}")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"schedule: {name} must be one of {', '.join(allowed)}, got {value!r}")


PRESETS = {
    # Howard et al. 2019, section 6.1.1. Not in the paper, and from the published code of Tan et al. 2019, which is
    # its closest relative: epochs, rho, epsilon, warm-up, label smoothing.
    "paper": Schedule(epochs=350, batch_size=4096, learning_rate=0.1),
    # hundreds to tens of thousands of images
    "small": Schedule(
        epochs=30,
        batch_size=64,
        learning_rate=0.1,
        optimizer="sgd",
        decay="cosine",
        least_steps=1500,
        warm_up=0.1,
        weight_decay=1e-4,
        dropout=0.0,
        batch_norm_momentum=0.1,
        ema_decay=0.995,
        clip_norm=5.0,
    ),
}


def preset(name: str) -> Schedule:
    """Give the schedule of this name; ``InputError`` says which there are."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; give one of {', '.join(PRESETS)}")
    return PRESETS[name]
