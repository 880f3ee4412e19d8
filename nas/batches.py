"""Which images make each step of an epoch, and their batches, made ahead where that pays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from nas.environment import available_cores
from nas.tasks import Batch, Task
from nas.team import Team
from search_spaces import InputError

_MOST_LOADERS = 8  # processes that make batches for a GPU

Part = tuple[NDArray[np.int64], float, int]  # images, their share of the step's, the number of the part in the epoch


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of one process of a team: each step's images, divided among all and each one's share into parts.

    What a batch holds depends on the seed, the epoch and its place alone, so any step can be begun with.
    """

    task: Task
    batch_size: int
    accumulate: int
    seed: int
    team: Team

    def __post_init__(self) -> None:
        if self.images < self.team.size:
            raise InputError(
                f"a step of {self.images} images is too small for {self.team.size} workers; give fewer --workers"
            )

    @property
    def images(self) -> int:
        """Count the images of a step; data smaller than a batch make one."""
        return min(self.batch_size, len(self.task.train))

    @property
    def steps(self) -> int:
        """Count the steps of an epoch; images that fill none wait for another epoch."""
        return len(self.task.train) // self.images

    def epoch(self, epoch: int, first: int, device: torch.device) -> Iterator[list[tuple[Batch, float]]]:
        """Yield the batches of each step from ``first`` on, with the share that each has in its step's images."""
        steps = self._steps(epoch)[first:]
        parts = [part for step in steps for part in step]
        made = iter(_loader(_Made(self.task, self.seed, epoch, parts), device))
        for step in steps:
            yield [(next(made), share) for _, share, _ in step]

    def _steps(self, epoch: int) -> list[list[Part]]:
        order = np.random.default_rng([self.seed, epoch, 0]).permutation(self.task.train)
        return [self._parts(order[at * self.images : (at + 1) * self.images], at) for at in range(self.steps)]

    def _parts(self, images: NDArray[np.int64], step: int) -> list[Part]:
        own = np.array_split(images, self.team.size)[self.team.rank]
        first = (step * self.team.size + self.team.rank) * self.accumulate
        parts = enumerate(np.array_split(own, self.accumulate), first)
        return [(part, len(part) / len(images), number) for number, part in parts if len(part)]


@dataclass(frozen=True, slots=True)
class _Made(Dataset[Batch]):
    """The batches of an epoch's parts, by their place."""

    task: Task
    seed: int
    epoch: int
    parts: list[Part]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int) -> Batch:
        images, _, number = self.parts[place]
        return self.task.batch(images, np.random.default_rng([self.seed, self.epoch, 1 + number]))


def _loader(made: _Made, device: torch.device) -> DataLoader[Batch]:
    """Make batches ahead, in processes of their own, for a GPU; on a CPU the training needs all cores itself."""
    on_gpu = device.type == "cuda"
    return DataLoader(
        made,
        batch_size=None,
        num_workers=min(_MOST_LOADERS, available_cores()) if on_gpu else 0,
        pin_memory=on_gpu,
        generator=torch.Generator(),  # else it draws from the global one
    )
