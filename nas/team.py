"""The processes that train one network together (`torch.distributed`); most often there is one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from nas.tasks import Batch, Task


@dataclass(frozen=True, slots=True)
class Team:
    """This process is number ``rank`` of ``size``; the first one keeps the average, judges, and writes files."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Tell whether this is the first process."""
        return self.rank == 0

    def loss_of(self, task: Task, model: nn.Module) -> nn.Module:
        """Give a module from a batch to its loss, whose gradients are the mean over all processes."""
        loss = _Loss(task, model)
        return DistributedDataParallel(loss) if self.size > 1 else loss

    def gradients(self, loss: nn.Module, *, shared: bool) -> AbstractContextManager[None]:
        """Compute gradients inside: added to those that there are, and then ``shared`` with the others, or not yet."""
        if shared or not isinstance(loss, DistributedDataParallel):
            return nullcontext()
        return cast(AbstractContextManager[None], loss.no_sync())

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Add up each value over all processes."""
        if self.size == 1:
            return list(values)
        totals = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(totals)
        return [float(total) for total in totals]


def this_team() -> Team:
    """Give the team that this process was started in; without one, a team of its own."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return Team()


class _Loss(nn.Module):
    """A task's loss as a module: what is wrapped is the whole computation, and the task sees its own network."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, batch: Batch) -> Tensor:
        return self.task.loss(self.model, batch)
