"""The health of a search: what it suffers from, in words, each once, as soon as its trials and updates show it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.health_checks import CHECKS, Check
from nas.health_state import Decisions, HealthWarning, Moment
from nas.search import PolicyUpdate, Trial


@dataclass
class Health:
    """The updates of one search so far, and the warnings that they gave rise to."""

    decisions: Decisions
    updates: list[PolicyUpdate] = field(default_factory=list)
    warnings: list[HealthWarning] = field(default_factory=list)
    _checks: list[Check] = field(default_factory=lambda: list(CHECKS))  # that have found nothing yet

    def note(self, update: PolicyUpdate, trials: Sequence[Trial]) -> list[HealthWarning]:
        """Take an update, with all trials up to it as they finished; give the warnings of kinds not raised before."""
        self.updates.append(update)
        moment = Moment(trials, self.updates, self.decisions)
        found = {check: check(moment) for check in self._checks}
        self._checks = [check for check, warning in found.items() if warning is None]
        new = [warning for warning in found.values() if warning is not None]
        self.warnings += new
        return new


def warnings_of(trials: Sequence[Trial], updates: Sequence[PolicyUpdate], decisions: Decisions) -> list[HealthWarning]:
    """Give the warnings that a search raised; ``trials`` in the order in which they finished."""
    health = Health(decisions)
    for update in updates:
        health.note(update, trials[: update.trials])
    return health.warnings
