"""Train one network on one set of images, and measure its accuracy."""

import contextlib
import ctypes
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.network import Network, build
from nas.pixels import normalisation, to_floats
from nas.recipe import Recipe
from search_spaces import Arch

if TYPE_CHECKING:
    from nas.data import ImageData

Phase = Literal["build", "train", "validate"]
_Indices = np.ndarray[Any, np.dtype[np.int64]] | Sequence[int]
_EVALUATION_BATCH = 256
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h


class DivergedError(ArithmeticError):
    """The loss left the numbers; ``epoch`` and ``step`` (of that epoch) count from 1."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(epoch, step)  # as they are, so that it can be pickled
        self.epoch, self.step = epoch, step

    def __str__(self) -> str:
        return f"training diverged: the loss is not finite in epoch {self.epoch}, step {self.step}"


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network: top-1 ``accuracy`` on the validation images, mean training ``loss`` of the last epoch.

    ``seconds`` is the whole, validation included; ``images_per_second`` that of the training alone.
    """

    model: Network
    accuracy: float
    loss: float
    seconds: float
    images_per_second: float


def train(
    arch: Arch,
    data: "ImageData",
    recipe: Recipe,
    seed: int,
    *,
    device: str = "cpu",
    threads: int | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    on_phase: Callable[[Phase], None] | None = None,
) -> Trained:
    """Build a network and train it from scratch; ``DivergedError`` if the loss turns nan or infinite.

    ``arch`` has the data's resolution and classes (`proxy_arch`). On a CPU the same arguments give the same accuracy,
    bit for bit; torch's global generator and thread count are left as they were. ``on_epoch`` gets the number of
    epochs done and the mean training loss of the last one; ``on_phase`` is called when a phase begins.
    """
    begin = time.perf_counter()
    enter = on_phase or (lambda phase: None)
    with torch_state(seed, device, threads):
        enter("build")
        model = build(arch, dropout=recipe.dropout, batch_norm_momentum=recipe.batch_norm_momentum)
        model.normalise.load_state_dict(normalisation(data.images, data.train))
        enter("train")
        loss, rate = _fit(model, data, recipe, seed, device, on_epoch)
        enter("validate")
        reached = accuracy(model, data, data.validation)
    return Trained(model, reached, loss, time.perf_counter() - begin, rate)


def fit(
    model: Network,
    data: "ImageData",
    recipe: Recipe,
    seed: int,
    *,
    device: str = "cpu",
    threads: int | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a network further, in place, from the weights and the normalisation that it has; else as `train`."""
    begin = time.perf_counter()
    with torch_state(seed, device, threads):
        loss, rate = _fit(model, data, recipe, seed, device, on_epoch)
        reached = accuracy(model, data, data.validation)
    return Trained(model, reached, loss, time.perf_counter() - begin, rate)


def accuracy(model: nn.Module, data: "ImageData", indices: _Indices) -> float:
    """Give the share of these images that the network classifies correctly, from 0 to 1."""
    device = next(model.parameters()).device
    chosen = np.asarray(indices)
    model.eval()
    right = 0
    with torch.inference_mode(), precision(device):
        for start in range(0, len(chosen), _EVALUATION_BATCH):
            batch = chosen[start : start + _EVALUATION_BATCH]
            found = model(to_floats(data.images[batch], device)).argmax(1).cpu().numpy()
            right += int((found == data.labels[batch]).sum())
    return right / len(chosen)


def _fit(
    model: Network,
    data: "ImageData",
    recipe: Recipe,
    seed: int,
    device: str,
    on_epoch: Callable[[int, float], None] | None,
) -> tuple[float, float]:
    """Train; give the mean loss of the last epoch and the images per second."""
    rng = np.random.default_rng(seed)
    model.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(model, recipe)
    steps, epochs = recipe.steps_per_epoch(len(data.train)), recipe.epochs_for(len(data.train))
    model.train()
    begin = time.perf_counter()
    loss, place = math.nan, torch.device(device)
    for epoch in range(epochs):
        total = 0.0
        for step, (views, numbers) in enumerate(_batches(data, recipe, rng)):
            images, labels = to_floats(views, place), torch.from_numpy(numbers).to(place)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at((epoch * steps + step + 1) / (epochs * steps))
            value = _step(model, optimizer, images, labels, recipe)
            if not math.isfinite(value):
                raise DivergedError(epoch + 1, step + 1)
            total += value
        loss = total / steps
        if on_epoch is not None:
            on_epoch(epoch + 1, loss)
    seen = epochs * steps * min(recipe.batch_size, len(data.train))
    return loss, seen / (time.perf_counter() - begin)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=nesterov, fused=True)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, recipe: Recipe) -> float:
    """Take one step and give its loss."""
    with precision(images.device):
        loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    return loss.item()


def _batches(
    data: "ImageData", recipe: Recipe, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Yield an epoch's batches in random order, augmented; images that fill no batch wait for another epoch."""
    order = rng.permutation(data.train)
    for step in range(recipe.steps_per_epoch(len(order))):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        yield augment(data.images[chosen], recipe.crop_padding, recipe.flip, rng), data.labels[chosen]


def augment(images: np.ndarray[Any, Any], padding: int, flip: bool, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Shift each image by up to ``padding`` pixels, its edge repeated, and mirror half of them."""
    count, height, width = images.shape[:3]
    shifts = rng.integers(-padding, padding + 1, (2, count, 1))
    rows = np.clip(np.arange(height) + shifts[0], 0, height - 1)  # (count, height)
    columns = np.clip(np.arange(width) + shifts[1], 0, width - 1)
    if flip:
        columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    moved: np.ndarray[Any, Any] = images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Compute in bfloat16 on a GPU, and in float32 on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext()


@functools.cache
def _keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next step rather than give it back: a fifth of the time was page faults.

    It holds for the whole process, which stays as large as it once was; of blocks over 32 MiB nothing is kept.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in ((_MMAP_THRESHOLD, 1 << 25), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26)):
            libc.mallopt(option, value)


@contextlib.contextmanager
def torch_state(seed: int, device: str, threads: int | None) -> Iterator[None]:
    """Seed torch and set its threads, and put both back afterwards."""
    _keep_freed_memory()
    before = torch.get_num_threads()
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)
