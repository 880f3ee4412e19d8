"""The exponential moving average of a network's weights, with which it is evaluated."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Update = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Give a copy of a network that `AveragedModel.update_parameters` moves towards it; ``decay`` 0 follows it at once.

    Batch norms' running means and variances are averaged as the weights are, as in TensorFlow: those of the network
    itself belong to its weights of now, not to the average's. Early on the average follows closely: the decay is at
    most (1 + n) / (10 + n) after n steps (TensorFlow's ``num_updates``), else fresh weights would stay in it for long.
    """
    return AveragedModel(model, multi_avg_fn=_ramped(decay), use_buffers=True)


def _ramped(decay: float) -> _Update:
    @torch.no_grad()
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], updates: Tensor | int) -> None:
        if not torch.is_floating_point(averages[0]):  # counts of batches
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)
            return
        count = int(updates)
        kept = min(decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(list(averages), list(values), 1 - kept)

    return update
