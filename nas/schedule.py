"""How a network is trained to be used, as numbers: Howard et al. 2019's recipe, and one for small data."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict

from search_spaces import InputError

OptimizerName = Literal["rmsprop", "sgd"]
Decay = Literal["exponential", "cosine"]
ViewsName = Literal["inception", "shift"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The one training loop's numbers, each with what it means; `nas.recipe.Recipe` is that of a search's children.

    ``learning_rate`` is for this ``batch_size``; `with_batch_size` changes both. An ``exponential`` decay counts epochs
    from the start, warm-up included.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    epochs: Annotated[int, "passes over the training images"]
    batch_size: Annotated[int, "images a step; the learning rate goes along"]
    learning_rate: Annotated[float, "its peak"]
    accumulate: Annotated[int, "a step's images are worked off in so many parts, where they do not fit in memory"] = 1
    optimizer: Annotated[OptimizerName, "rmsprop (TensorFlow's form), or sgd with Nesterov momentum"] = "rmsprop"
    decay: Annotated[Decay, "how the rate falls: exponential in steps, or cosine to 0"] = "exponential"
    least_steps: Annotated[int, "few images are passed over more often, until so many steps are made"] = 0
    warm_up: Annotated[float, "share of the epochs in which the rate climbs"] = 5 / 350
    decay_rate: Annotated[float, "exponential decay: factor of each fall"] = 0.99
    decay_epochs: Annotated[float, "exponential decay: epochs from fall to fall"] = 3.0
    momentum: Annotated[float, "the optimiser's"] = 0.9
    rho: Annotated[float, "RMSProp's decay of mean squares"] = 0.9
    epsilon: Annotated[float, "RMSProp's, inside the root"] = 1e-3
    weight_decay: Annotated[float, "l2, but not on depthwise convolutions, norms and biases"] = 1e-5
    views: Annotated[ViewsName, "a classifier's: inception's parts in other light, or shift: by up to an eighth"] = (
        "inception"
    )
    least_area: Annotated[float, "inception: share of the image that a view shows at least"] = 0.08
    label_smoothing: Annotated[float, "a classifier's"] = 0.1
    dropout: Annotated[float, "share dropped before a classifier's last layer"] = 0.2
    batch_norm_momentum: Annotated[float, "torch's: 1 less the paper's decay"] = 0.01
    sync_batch_norm: Annotated[bool, "batch norms see the images of all workers, and not their own alone"] = True
    ema_decay: Annotated[float, "of the average of weights that is judged and kept; 0 is none"] = 0.9999
    clip_norm: Annotated[float, "longer gradients are scaled down to it; 0 leaves them"] = 0.0

    def __post_init__(self) -> None:
        _check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        _check_choice("decay", self.decay, get_args(Decay))
        _check_choice("views", self.views, get_args(ViewsName))
        for name in ("epochs", "batch_size", "accumulate"):
            _check(self, name, "at least 1", getattr(self, name) >= 1)
        for name in ("learning_rate", "decay_epochs", "epsilon"):
            _check(self, name, "a positive number", 0 < getattr(self, name) < math.inf)
        for name in ("least_steps", "weight_decay", "clip_norm"):
            _check(self, name, "0 or a positive number", 0 <= getattr(self, name) < math.inf)
        for name in ("warm_up", "momentum", "rho", "label_smoothing", "dropout", "ema_decay"):
            _check(self, name, "at least 0 and below 1", 0 <= getattr(self, name) < 1)
        for name in ("batch_norm_momentum", "decay_rate", "least_area"):
            _check(self, name, "above 0 and at most 1", 0 < getattr(self, name) <= 1)

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
        views="shift",
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
