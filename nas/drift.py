"""Whether a search by the soft reward drifted from its target, and what it found near it.

The soft reward pays for being faster than the target wherever that costs little accuracy, and for being slower wherever
that gains much: what it likes best may lie far off (Bender et al. 2020, section 4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.pareto import front_of
from nas.search import Trial
from nas.target import Target

RECENT = 20  # proposals that tell where a policy is now
NEAR = 0.15  # how far from the target the front is shown


@dataclass(frozen=True, slots=True)
class Drift:
    """How far off the target the best reward's network is, and ``proposals`` recent ones on average; shares of it.

    ``recent`` is None where no reward moves the proposals.
    """

    best: float
    recent: float | None
    proposals: int

    def __str__(self) -> str:
        recent = "" if self.recent is None else f", the last {self.proposals} proposals {_side(self.recent)} on average"
        best = f"its best network lies {_side(self.best)} the target"
        return f"the soft reward drifted: {best}{recent}; --reward absolute lands on the target"


def drift_of(trials: Iterable[Trial], target: Target, reward: str, controller: str) -> Drift | None:
    """Measure the drift of a search; None where it keeps within the tolerance, or its reward does not drift."""
    ordered = sorted(trials, key=lambda trial: trial.trial)
    scored = [trial for trial in ordered if trial.reward is not None and trial.state != "failed"]
    if reward != "soft" or not scored:
        return None
    best = max(scored, key=lambda trial: trial.reward or 0.0)
    recent = ordered[-RECENT:]
    mean_ms = sum(trial.latency_ms for trial in recent) / len(recent)
    moved = None if controller == "random" else target.off(mean_ms)
    drift = Drift(target.off(best.latency_ms), moved, len(recent))
    return drift if max(abs(drift.best), abs(moved or 0.0)) > target.tolerance else None


def front_near(trials: Iterable[Trial], target: Target) -> list[Trial]:
    """Give the networks of the front of accuracy over latency that lie near the target, by rising latency."""
    return [trial for trial in front_of(trials) if abs(target.off(trial.latency_ms)) <= NEAR]


def front_lines(front: Sequence[Trial], target: Target) -> list[str]:
    """Write the front near the target as lines for a terminal."""
    if not front:
        return [f"no network of the front lies within {100 * NEAR:g} % of the target"]
    rows = [
        f"{t.trial:7} {t.latency_ms:9.2f} {100 * target.off(t.latency_ms):+8.1f} % {100 * (t.accuracy or 0.0):10.2f} %"
        for t in front
    ]
    head = f"{'trial':>7} {'ms':>9} {'off':>10} {'accuracy':>12}"
    return [f"the front within {100 * NEAR:g} % of the target:", head, *rows]


def _side(share: float) -> str:
    return f"{100 * abs(share):.1f} % {'above' if share > 0 else 'below'}"
