"""The optimiser of a schedule, and which weights it decays."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nas.rmsprop import TFRMSProp
from nas.schedule import Schedule


def optimizer_for(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Give the schedule's optimiser, which decays no depthwise weight, no norm and no bias."""
    decayed = {id(weight) for weight in _decayed(model)}
    groups = [
        {"params": [p for p in model.parameters() if id(p) in decayed], "weight_decay": schedule.weight_decay},
        {"params": [p for p in model.parameters() if id(p) not in decayed], "weight_decay": 0.0},
    ]
    if schedule.optimizer == "rmsprop":
        return TFRMSProp(groups, schedule.learning_rate, schedule.rho, schedule.momentum, schedule.epsilon)
    nesterov = schedule.momentum > 0
    return torch.optim.SGD(groups, schedule.learning_rate, schedule.momentum, nesterov=nesterov, fused=True)


def _decayed(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and not _depthwise(module)):
            yield module.weight


def _depthwise(conv: nn.Conv2d) -> bool:
    return 1 < conv.groups == conv.in_channels == conv.out_channels
