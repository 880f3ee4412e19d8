"""What a finished search has to say, for a person and for a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.config import SearchConfig
from nas.display import describe_trial
from nas.finish import Finish
from nas.search import TOLERANCE, Trial


@dataclass(frozen=True, slots=True)
class Summary:
    """A finished search; ``overhead`` is the share of the wall time that no trial filled, None where none ran."""

    run: Path
    config: SearchConfig
    results: tuple[Trial, ...]
    overhead: float | None
    finish: Finish

    def lines(self) -> list[str]:
        """Give the summary as lines for a person."""
        seed, end, target, device = self.finish.seed, self.finish, self.config.target_ms, self.config.device
        away = f"{seed.latency_ms - target:+.2f} ms ({100 * (seed.latency_ms / target - 1):+.1f} %)"
        found, final = 100 * (seed.accuracy or 0), 100 * end.final_accuracy
        met = sum(trial.latency_ms <= target * (1 + TOLERANCE) for trial in self.results)
        best = max(self.results, key=lambda trial: trial.reward or 0.0)
        overhead = "" if self.overhead is None else f"; running them cost {100 * self.overhead:.1f} % overhead"
        return [
            f"{len(self.results)} trials, {self._failed()} failed{overhead}",
            f"{met} of them meet the target; the best reward of all has trial {best.trial}: {describe_trial(best)}",
            f"seed: trial {seed.trial}, {seed.latency_ms:.2f} ms on {device}, {away} from the target of {target:g} ms",
            f"accuracy: {found:.2f} % in the search, {final:.2f} % after the final training",
            f"on this host, ONNX Runtime, 1 thread: {end.deployed_host_ms:.2f} ms as deployed "
            f"(table: {seed.latency_ms:.2f} ms on {device}), {end.proxy_host_ms:.2f} ms as trained",
            f"seed.onnx agrees with torch to {end.onnx_difference:.1g}",
            f"{self.run / 'seed.yaml'}  {self.run / 'seed.onnx'}  {self.run / 'report.html'}",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give the summary as plain data for a program."""
        seed, end = self.finish.seed, self.finish
        return {
            "run": str(self.run),
            "trials": len(self.results),
            "failed": self._failed(),
            "overhead": self.overhead,
            "seed_trial": seed.trial,
            "latency_ms": seed.latency_ms,
            "target_ms": self.config.target_ms,
            "accuracy": seed.accuracy,
            "reward": seed.reward,
            "final_accuracy": end.final_accuracy,
            "deployed_host_ms": end.deployed_host_ms,
            "proxy_host_ms": end.proxy_host_ms,
        }

    def _failed(self) -> int:
        return sum(trial.state == "failed" for trial in self.results)
