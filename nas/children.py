"""Evaluate a candidate: train it on the proxy task and measure its accuracy."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from nas.config import ProxyTask
from nas.data import ImageData
from nas.search import Outcome, child_seed
from nas.training import DivergedError, Trained, train
from search_spaces import Arch, ArchError, proxy_arch


@dataclass(frozen=True, slots=True)
class ChildEvaluator:
    """Trains children on ``data`` by the proxy task's short recipe; ``seed`` is the search's."""

    data: ImageData
    proxy: ProxyTask
    seed: int
    threads: int
    device: str = "cpu"

    def __call__(self, arch: Arch, key: str) -> Outcome:
        """Train one network from scratch; a network that cannot be built or diverges is an outcome with its error."""
        return outcome_of(lambda: self._train(arch, key))

    def _train(self, arch: Arch, key: str) -> Trained:
        child = proxy_arch(arch, self.proxy.resolution, len(self.data.classes), self.proxy.smallest_map)
        seed = child_seed(self.seed, key)
        return train(child, self.data, self.proxy.recipe, seed, device=self.device, threads=self.threads)


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
