"""How a network is trained, as numbers: the short schedule that ranks children and the long one for the seed."""

import math
from dataclasses import dataclass, replace

from pydantic import ConfigDict

from search_spaces import InputError


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training schedule: SGD with Nesterov momentum, linear warm-up, cosine decay to 0.

    ``least_steps`` lengthens the training on small data: an epoch of few images teaches little.
    ``learning_rate``: the peak, for this ``batch_size``. ``warm_up``: the share of all steps that climb to it.
    ``weight_decay``: on the weights of convolutions and linear layers, not on batch norms and biases.
    ``crop_padding``: images are shifted by up to so many pixels. ``flip``: half of them are mirrored.
    ``clip_norm``: longer gradients are scaled down to this length.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    epochs: int
    batch_size: int = 32
    learning_rate: float = 0.1
    least_steps: int = 0
    warm_up: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float = 0.0
    batch_norm_momentum: float = 0.1
    crop_padding: int = 2
    flip: bool = True
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("least_steps", "crop_padding"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("learning_rate", "clip_norm"):
            _check(0 < getattr(self, name) < math.inf, name, getattr(self, name), "a positive number")
        _check(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "0 or a positive number")
        for name in ("warm_up", "momentum", "label_smoothing", "dropout"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "at least 0 and below 1")
        _check(
            0 < self.batch_norm_momentum <= 1, "batch_norm_momentum", self.batch_norm_momentum, "above 0 and at most 1"
        )

    def steps_per_epoch(self, train_images: int) -> int:
        """Count the full batches of an epoch; data smaller than a batch make one batch."""
        return max(1, train_images // self.batch_size)

    def epochs_for(self, train_images: int) -> int:
        """Count the epochs on so many images: ``epochs``, or what ``least_steps`` needs."""
        return max(self.epochs, math.ceil(self.least_steps / self.steps_per_epoch(train_images)))

    def learning_rate_at(self, progress: float) -> float:
        """Give the learning rate when a share ``progress`` of all steps is done, from 0 to 1."""
        if progress < self.warm_up:
            return self.learning_rate * progress / self.warm_up
        return self.learning_rate * (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2


def _check(right: bool, name: str, value: float, allowed: str) -> None:
    if not right:  # a comparison with nan is False too
        raise InputError(f"recipe: {name} must be {allowed}, got {value!r}")


# the one of experiments/proxy_schedule that ranked twelve networks most like a long schedule
PROXY = Recipe(epochs=4, least_steps=160, label_smoothing=0.0)
FINAL = Recipe(epochs=25, least_steps=1000)


def recipe_for(recipe: Recipe, data_name: str) -> Recipe:
    """Fit a preset to its data: a mirrored digit is no digit, so ``digits`` are not flipped."""
    return replace(recipe, flip=False) if data_name == "digits" else recipe
