"""What a training tells while it goes on, and gives when it is done."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch came to: mean training loss, metrics of the averaged weights; ``epoch`` counts from 1.

    ``metrics`` is empty after an epoch that was not judged; the last one is. ``seconds`` are those of the training
    alone, without the validation.
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float
    metrics: dict[str, float]

    @property
    def merit(self) -> float:
        """Give the figure of merit: the task's first metric; minus infinity for an epoch that was not judged."""
        return next(iter(self.metrics.values()), -math.inf)


def best_of(history: Sequence[EpochResult]) -> EpochResult:
    """Give the first epoch with the highest figure of merit."""
    return max(history, key=lambda result: result.merit)


def judged(history: Sequence[EpochResult]) -> list[EpochResult]:
    """Give the epochs that have metrics."""
    return [result for result in history if result.metrics]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network with the averaged weights of its last epoch, and how it came to be."""

    model: nn.Module
    history: list[EpochResult]

    @property
    def best(self) -> EpochResult:
        """Give the first epoch with the highest figure of merit."""
        return best_of(self.history)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a training tells: each step (epoch, step, both from 1, and loss); all epochs so far, once one is on disk."""

    on_step: Callable[[int, int, float], None] = lambda epoch, step, loss: None
    on_epoch: Callable[[Sequence[EpochResult]], None] = lambda history: None
