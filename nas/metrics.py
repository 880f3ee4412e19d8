"""The metrics of a search, each with its unit and what it says: what Prometheus scrapes and Grafana shows."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "ray_"  # which Ray puts before the names that it exports


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; ``tags`` are those that it has beside ``run``, the name of the run's folder."""

    name: str
    unit: str
    description: str
    tags: tuple[str, ...] = ()
    kind: Literal["gauge", "counter", "histogram"] = "gauge"

    @property
    def exported(self) -> tuple[str, ...]:
        """The names under which Prometheus knows it."""
        ends = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        return tuple(f"{PREFIX}{self.name}{end}" for end in ends[self.kind])


TRIALS = Metric("nas_trials", "trials", "Trials that ended, by state: finished, reused, failed", ("state",))
QUEUE = Metric("nas_queue", "trials", "Trials that are left, by state: running, waiting", ("state",))
BEST_REWARD = Metric("nas_best_reward", "reward", "Highest reward so far")
BEST_ACCURACY = Metric("nas_best_accuracy", "fraction", "Accuracy of the network with the highest reward")
BEST_LATENCY = Metric("nas_best_latency_ms", "ms", "Latency of the network with the highest reward, by the table")
ENTROPY = Metric("nas_policy_entropy_share", "fraction", "Entropy of the policy, as a share of that of a random one")
GAIN = Metric("nas_gain_over_random", "reward", "How much better than a random network's the last update's rewards are")
PHASE_SECONDS = Metric("nas_phase_seconds", "s", "Time spent in a phase: build, train, validate", ("phase",), "counter")
PHASE_SPREAD = Metric("nas_trial_phase_seconds", "s", "Time that a trial spends in a phase", ("phase",), "histogram")
CHILD_TRIAL = Metric("nas_child_trial", "number", "Trial that a worker is at; -1 while it waits for one", ("pid",))
CHILD_PROGRESS = Metric("nas_child_progress", "fraction", "Epochs done of the trial that a worker is at", ("pid",))

METRICS = (
    TRIALS,
    QUEUE,
    BEST_REWARD,
    BEST_ACCURACY,
    BEST_LATENCY,
    ENTROPY,
    GAIN,
    PHASE_SECONDS,
    PHASE_SPREAD,
    CHILD_TRIAL,
    CHILD_PROGRESS,
)
