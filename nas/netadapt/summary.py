"""What a NetAdapt ended with, and the files that say so."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

import yaml

from nas.netadapt.adapt import Kept
from nas.netadapt.folder import AdaptFolder
from nas.recorded import write_atomically
from search_spaces import Arch, arch_to_dict, count


@dataclass(frozen=True, slots=True)
class AdaptSummary:
    """What a run ended with; accuracies are fractions, on the held-out training images. ``refusals``: see `Prices`."""

    folder: str
    device: str
    steps: int
    reached: bool
    target_ms: float
    latency_ms: float
    accuracy: float
    seed_latency_ms: float
    seed_accuracy: float
    refusals: str

    def lines(self) -> list[str]:
        """Put it in words for a person."""
        share = self.latency_ms / self.seed_latency_ms
        if not self.steps and self.reached:
            first = (
                f"the seed takes {self.latency_ms:.3f} ms, within the target of {self.target_ms:g} ms: it is unchanged"
            )
        else:
            first = (
                f"{self.seed_latency_ms:.3f} → {self.latency_ms:.3f} ms on {self.device} ({share:.1%}) in {self.steps} "
                f"steps; accuracy on held-out training images {self.seed_accuracy:.2%} → {self.accuracy:.2%}"
            )
        return [
            first,
            "its weights were only fine-tuned: train it from scratch with nas-train",
            f"all is in {self.folder}",
        ]

    def shortfall(self) -> str:
        """Say how low it got, for a target that was not reached."""
        return (
            f"the target of {self.target_ms:g} ms was not reached: no proposal saves enough below "
            f"{ceil(1000 * self.latency_ms) / 1000:g} ms; that network is in {self.folder}/adapted.yaml; give a "
            f"--target-ms of at least that, or a smaller --delta{'; ' * bool(self.refusals)}{self.refusals}"
        )


def write_adapted(folder: AdaptFolder, steps: Sequence[Kept], summary: AdaptSummary) -> None:
    """Write ``adapted.yaml``, an architecture's file, and ``adapted.pt``, its fine-tuned weights."""
    now = steps[-1]
    arch = renamed(now)
    about = {name: value for name, value in asdict(summary).items() if name not in ("folder", "refusals")}
    costs = count(arch)
    values = about | {"macs": costs.macs, "params": costs.params, "history": [_row(step) for step in steps]}
    text = yaml.safe_dump(values | {"arch": arch_to_dict(arch)}, sort_keys=False, allow_unicode=True)
    write_atomically(folder.path / "adapted.yaml", text)
    temporary = folder.adapted.with_name(f".{folder.adapted.name}")
    shutil.copyfile(folder.weights(now.step), temporary)
    temporary.replace(folder.adapted)


def renamed(kept: Kept) -> Arch:
    """Give a step's network a name that tells it from the seed."""
    return replace(kept.arch, name=f"{kept.arch.name}_adapted") if kept.step else kept.arch


def _row(step: Kept) -> dict[str, Any]:
    return {name: value for name, value in asdict(step).items() if name not in ("arch", "key")}
