"""What a finished search has to say, for a person and for a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.choice import Choice
from nas.config import SearchConfig
from nas.display import describe_trial
from nas.drift import drift_of, front_lines, front_near
from nas.health_state import HealthWarning
from nas.search import Trial
from nas.seed import FinalTraining


@dataclass(frozen=True, slots=True)
class Summary:
    """A finished search; ``overhead`` is the share of the wall time that no trial filled, None where none ran.

    ``final`` is None where the seed was not trained.
    """

    run: Path
    config: SearchConfig
    results: tuple[Trial, ...]
    overhead: float | None
    choice: Choice
    final: FinalTraining | None
    warnings: tuple[HealthWarning, ...] = ()

    def lines(self) -> list[str]:
        """Give the summary as lines for a person."""
        best = max(self.results, key=lambda trial: trial.reward or 0.0)
        met = sum(self.config.target.meets(trial.latency_ms) for trial in self.results)
        overhead = "" if self.overhead is None else f"; running them cost {100 * self.overhead:.1f} % overhead"
        return [
            f"{len(self.results)} trials, {self._failed()} failed{overhead}",
            f"{met} of them meet the target; the best reward of all has trial {best.trial}: {describe_trial(best)}",
            *(f"warning: {warning.text}" for warning in self.warnings),
            *self._about_the_target(),
            *self._about_the_seed(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give the summary as plain data for a program."""
        seed, final, target = self.choice.trial, self.final, self.config.target
        drift = drift_of(self.results, target, self.config.reward, self.config.controller)
        return {
            "run": str(self.run),
            "trials": len(self.results),
            "failed": self._failed(),
            "overhead": self.overhead,
            "seed_trial": seed.trial,
            "latency_ms": seed.latency_ms,
            "target_ms": target.ms,
            "off_target": target.off(seed.latency_ms),
            "hits_target": target.hits(seed.latency_ms),
            "warnings": [warning.text for warning in self.warnings],
            "drift": None if drift is None else {"best": drift.best, "recent": drift.recent},
            "accuracy": seed.accuracy,
            "reward": seed.reward,
            "final_accuracy": None if final is None else final.accuracy,
            "deployed_host_ms": None if final is None else final.deployed_host_ms,
            "proxy_host_ms": None if final is None else final.proxy_host_ms,
        }

    def _about_the_target(self) -> list[str]:
        """Say where the search missed its target, if it did, and what it found near it."""
        target = self.config.target
        drift = drift_of(self.results, target, self.config.reward, self.config.controller)
        lines = [self.choice.instead] if self.choice.instead else []
        return lines if drift is None else [*lines, str(drift), *front_lines(front_near(self.results, target), target)]

    def _about_the_seed(self) -> list[str]:
        seed, final, target, device = self.choice.trial, self.final, self.config.target, self.config.device
        away = f"{seed.latency_ms - target.ms:+.2f} ms ({100 * target.off(seed.latency_ms):+.1f} %)"
        where = f"{seed.latency_ms:.2f} ms on {device}, {away} from the target of {target.ms:g} ms"
        line = f"seed: trial {seed.trial}, {where}"
        accuracy = f"accuracy: {100 * (seed.accuracy or 0):.2f} %"
        if final is None:
            return [
                line,
                f"{accuracy}, as the table has it; without images there is no final training and no seed.onnx",
                f"{self.run / 'seed.yaml'}  {self.run / 'report.html'}",
            ]
        return [
            line,
            f"{accuracy} in the search, {100 * final.accuracy:.2f} % after the final training",
            f"on this host, ONNX Runtime, 1 thread: {final.deployed_host_ms:.2f} ms as deployed "
            f"(table: {seed.latency_ms:.2f} ms on {device}), {final.proxy_host_ms:.2f} ms as trained",
            f"seed.onnx agrees with torch to {final.onnx_difference:.1g}",
            f"{self.run / 'seed.yaml'}  {self.run / 'seed.onnx'}  {self.run / 'report.html'}",
        ]

    def _failed(self) -> int:
        return sum(trial.state == "failed" for trial in self.results)
