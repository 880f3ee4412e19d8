"""Batch norm over two processes: as one process with all images has it."""

from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing as mp
from torch import nn

from nas.batch_norm import SynchronisedBatchNorm2d, synchronised

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


def on_process(rank: int, folder: Path) -> None:
    """Take four of the images, or the other three."""
    dist.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    model = synchronised(network(), CPU)
    loss(model(batch()[:4] if rank == 0 else batch()[4:])).backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad)
    if rank == 0:
        torch.save([model.state_dict(), [parameter.grad for parameter in model.parameters()]], folder / "result.pt")
    dist.destroy_process_group()


def test_two_processes_come_to_the_gradients_and_running_values_of_one(tmp_path: Path) -> None:
    mp.spawn(on_process, (tmp_path,), nprocs=2)
    state, gradients = torch.load(tmp_path / "result.pt")
    model = network()
    loss(model(batch())).backward()
    for name, expected in model.state_dict().items():
        assert torch.allclose(state[name], expected, rtol=1e-5, atol=1e-6), name
    for (name, parameter), found in zip(model.named_parameters(), gradients, strict=True):
        assert torch.allclose(found, parameter.grad, rtol=1e-3, atol=1e-4), name


def test_what_is_evaluated_and_saved_stays_the_same() -> None:
    plain, made = network().eval(), synchronised(network().eval(), CPU)
    assert sum(isinstance(module, SynchronisedBatchNorm2d) for module in made.modules()) == 2
    assert torch.equal(plain(batch()), made(batch()))
    assert list(plain.state_dict()) == list(made.state_dict())
    made.load_state_dict(plain.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_torchs_own_is_taken() -> None:
    assert isinstance(synchronised(network(), torch.device("cuda"))[1], nn.SyncBatchNorm)
