"""The winner of a search: what its file says, and what training it longer came to."""

from dataclasses import dataclass
from typing import Any

from nas.config import SearchConfig
from nas.search import Trial
from search_spaces import Arch, arch_to_dict, count


@dataclass(frozen=True, slots=True)
class FinalTraining:
    """What came of training the seed longer; latencies in ms, accuracy in [0, 1]."""

    accuracy: float
    onnx_difference: float
    proxy_host_ms: float
    deployed_host_ms: float


def seed_file(seed: Trial, arch: Arch | None, config: SearchConfig) -> dict[str, Any]:
    """Give what ``seed.yaml`` says of a search's winner; without the network where its tokens alone are known."""
    found = {
        "space": config.space,
        "tokens": list(seed.tokens),
        "trial": seed.trial,
        "key": seed.key,
        "device": config.device,
        "target_ms": config.target_ms,
        "latency_ms": seed.latency_ms,
        "accuracy": seed.accuracy,
        "reward": seed.reward,
    }
    if arch is None:
        return found
    costs = count(arch)
    return found | {"macs": costs.macs, "params": costs.params, "arch": arch_to_dict(arch)}
