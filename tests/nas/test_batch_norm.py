"""Batch norm over two processes: as one process with all images has it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as mp

from nas.batch_norm import SynchronisedBatchNorm2d, synchronised
from nas.fitting import fit_task
from nas.network import build
from nas.schedule import Schedule
from nas.tasks import Batch
from search_spaces import Arch, Block, Head, SqueezeExcite, Stem

CPU = torch.device("cpu")


def network() -> nn.Sequential:
    """Batch norms at two depths, one inside of another module."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.1), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(8, momentum=0.1))
    )


def batch() -> torch.Tensor:
    """Seven images, far from mean 0 and differing in scale by half."""
    images = torch.randn(7, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 3 + 20
    images[:3] *= 2
    return images


def loss(outputs: torch.Tensor) -> torch.Tensor:
    """A sum over images, so that two halves' gradients add up to the whole's."""
    return (outputs**2 * torch.arange(8.0)[:, None, None]).sum() / 100 + outputs.sigmoid().sum()


def on_process(rank: int, work: Callable[[int, Path], None], folder: Path) -> None:
    """Work as one of two processes."""
    dist.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    work(rank, folder)
    dist.destroy_process_group()


def differentiate(rank: int, folder: Path) -> None:
    """Take four of the images, or the other three."""
    model = synchronised(network(), CPU)
    loss(model(batch()[:4] if rank == 0 else batch()[4:])).backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad)
    if rank == 0:
        torch.save([model.state_dict(), [parameter.grad for parameter in model.parameters()]], folder / "result.pt")


class Stripes:
    """Images of stripes, lying or standing, that look the same whenever they are asked for."""

    name = "classification"
    train = np.arange(40)

    def build(self) -> nn.Module:
        blocks = (Block("mbconv", 8, 3, 2, 16, SqueezeExcite(8, "hard_sigmoid")), Block("mbconv", 8, 3, 1, 24))
        return build(Arch("tiny", 8, 2, Stem(8, stride=1), blocks, Head(16)))

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
        images[::2, :, ::2] += 0.5
        images[1::2, :, :, ::2] += 0.5
        return images[chosen], torch.from_numpy(chosen % 2)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"accuracy": 0.5}

    def pictures(self, model: nn.Module, count: int) -> list[Image.Image]:
        return []

    def describe(self) -> dict[str, Any]:
        return {}


SCHEDULE = Schedule(4, 13, 0.02, optimizer="sgd", batch_norm_momentum=0.1, ema_decay=0.9, clip_norm=1.0)


def train(rank: int, folder: Path) -> None:
    """Train on parts of seven and of six images."""
    fitted = fit_task(Stripes(), SCHEDULE, 0, threads=1)
    if rank == 0:
        torch.save([[result.loss for result in fitted.history], fitted.model.state_dict()], folder / "result.pt")


def test_two_processes_come_to_the_gradients_and_running_values_of_one(tmp_path: Path) -> None:
    mp.spawn(on_process, (differentiate, tmp_path), nprocs=2)
    state, gradients = torch.load(tmp_path / "result.pt")
    model = network()
    loss(model(batch())).backward()
    for name, expected in model.state_dict().items():
        assert torch.allclose(state[name], expected, rtol=1e-5, atol=1e-6), name
    for (name, parameter), found in zip(model.named_parameters(), gradients, strict=True):
        assert torch.allclose(found, parameter.grad, rtol=1e-3, atol=1e-4), name


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    mp.spawn(on_process, (train, tmp_path), nprocs=2)
    losses, weights = torch.load(tmp_path / "result.pt")
    alone = fit_task(Stripes(), SCHEDULE, 0, threads=1)
    assert losses == pytest.approx([result.loss for result in alone.history], rel=1e-4)
    assert losses[-1] < 0.9 * losses[0]
    for name, expected in alone.model.state_dict().items():
        assert torch.allclose(weights[name], expected, rtol=1e-2, atol=1e-4), name


def test_what_is_evaluated_and_saved_stays_the_same() -> None:
    plain, made = network().eval(), synchronised(network().eval(), CPU)
    assert sum(isinstance(module, SynchronisedBatchNorm2d) for module in made.modules()) == 2
    assert torch.equal(plain(batch()), made(batch()))
    assert list(plain.state_dict()) == list(made.state_dict())
    made.load_state_dict(plain.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_torchs_own_is_taken() -> None:
    assert isinstance(synchronised(network(), torch.device("cuda"))[1], nn.SyncBatchNorm)
