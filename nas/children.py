"""Evaluate a candidate: train it on the proxy task and measure its accuracy."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from nas.config import ProxyTask
from nas.data import ImageData
from nas.search import Outcome, child_seed
from nas.training import DivergedError, Phase, Trained, train
from search_spaces import Arch, ArchError, proxy_arch


class ChildWatch(Protocol):
    """Is told how far the training of a child is."""

    def phase(self, phase: Phase) -> None:
        """Take note that a phase begins."""
        ...

    def epoch(self, done: int, of: int) -> None:
        """Take note of an epoch that ended."""
        ...


@dataclass(frozen=True, slots=True)
class ChildEvaluator:
    """Trains children on ``data`` by the proxy task's short recipe; ``seed`` is the search's."""

    data: ImageData
    proxy: ProxyTask
    seed: int
    threads: int
    device: str = "cpu"
    watch: ChildWatch | None = None

    def watched(self, watch: ChildWatch) -> "ChildEvaluator":
        """Give the same evaluator, which tells how far each training is."""
        return replace(self, watch=watch)

    def __call__(self, arch: Arch, key: str) -> Outcome:
        """Train one network from scratch; a network that cannot be built or diverges is an outcome with its error."""
        return outcome_of(lambda: self._train(arch, key))

    def _train(self, arch: Arch, key: str) -> Trained:
        child = proxy_arch(arch, self.proxy.resolution, len(self.data.classes), self.proxy.smallest_map)
        seed, recipe, watch = child_seed(self.seed, key), self.proxy.recipe, self.watch
        if watch is None:
            return train(child, self.data, recipe, seed, device=self.device, threads=self.threads)
        epochs = recipe.epochs_for(len(self.data.train))
        return train(
            child,
            self.data,
            recipe,
            seed,
            device=self.device,
            threads=self.threads,
            on_epoch=lambda done, loss: watch.epoch(done, epochs),
            on_phase=watch.phase,
        )


def outcome_of(training: Callable[[], Trained]) -> Outcome:
    """Time a training and give what came of it: an accuracy, or an error that is the network's or the machine's."""
    start = time.monotonic()
    try:
        accuracy = training().accuracy
    except (ArchError, DivergedError) as error:
        return Outcome(None, time.monotonic() - start, str(error))
    except (RuntimeError, MemoryError) as error:  # torch's own: out of memory, a broken device
        return Outcome(None, time.monotonic() - start, f"{type(error).__name__}: {error}", network_fault=False)
    return Outcome(accuracy, time.monotonic() - start)
