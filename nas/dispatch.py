"""Who works on what: candidates go to workers, which come and go, and what became of them comes back.

It knows neither Ray nor processes; `nas.ray_trials` joins it to Ray Tune.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from nas.loop import Candidate, Trials
from nas.search import Outcome
from nas.stopping import held
from search_spaces import Arch

PATIENCE, PATIENCE_SECONDS = 10.0, 600.0  # times the longest trial, and at least so long, before one counts as hung
DISMISSED_AFTER = (
    2  # faults of the machine in a row on one worker: a process may be past use, as after an error of CUDA
)


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to do: evaluate this network, and end itself where it takes longer than the deadline."""

    trial: int
    key: str
    latency_ms: float
    arch: Arch
    deadline_seconds: float | None


@dataclass(slots=True)
class TrialClock:
    """Measures what running the trials cost beyond the trials themselves; start-up is left out."""

    first_start: float = float("inf")
    last_end: float = 0.0
    trial_seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Note a trial that ended now, on a monotonic clock, and took this long."""
        self.last_end = now
        self.first_start = min(self.first_start, now - seconds)
        self.trial_seconds += seconds
        self.longest = max(self.longest, seconds)

    def deadline(self) -> float | None:
        """Give the seconds after which a trial hangs: many times the longest so far; None before there is one."""
        return max(PATIENCE_SECONDS, PATIENCE * self.longest) if self.longest else None

    def overhead(self, workers: int) -> float | None:
        """Give (wall time - trial seconds / workers) / wall time, or None where no trial ran."""
        wall = self.last_end - self.first_start
        return (wall - self.trial_seconds / workers) / wall if wall > 0 else None


class Dispatch:
    """Hands out what `Trials` have to workers, by ``send``: a job, or None where there is nothing left for it.

    A worker that is up joins; each outcome is its call for the next job. What the trials raise is kept in ``fault``:
    nothing more is handed out then. A candidate that failed through no fault of its own goes to another worker where
    there is one; a worker on which nothing succeeds any more is sent home, for a new one to take its place.
    """

    def __init__(
        self, trials: Trials[Candidate], send: Callable[[str, Job | None], None], deadline_seconds: float | None = None
    ) -> None:
        self.clock = TrialClock()
        self.fault: Exception | None = None
        self._trials = trials
        self._send = send
        self._deadline_seconds = deadline_seconds
        self._workers: dict[str, Candidate | None] = {}  # those that are up, and what each is at
        self._due: dict[str, tuple[float, float]] = {}  # deadline of what a worker is at, and when it is over
        self._failed_on: dict[int, str] = {}  # trial -> the worker that it failed on through no fault of its own
        self._faults: Counter[str] = Counter()  # of the machine, in a row, by worker
        self._aside: list[Candidate] = []  # for another worker than the one that was free

    @property
    def over(self) -> bool:
        """Whether nothing more is to be handed out."""
        return self.fault is not None or self._trials.done

    @property
    def deserted(self) -> bool:
        """Whether no worker is up."""
        return not self._workers

    def join(self, worker: str) -> None:
        """Take note that a worker is up, and give it something to do."""
        self._workers[worker] = None
        self._hand_out()

    def take(self, worker: str, outcome: Outcome) -> None:
        """Take the outcome of what a worker was at, and give it something else to do."""
        with self._kept():
            self._finish(worker, outcome)
        self._workers[worker] = None
        self._faults[worker] = self._faults[worker] + 1 if _is_machines(outcome) else 0
        if self._faults[worker] == DISMISSED_AFTER:
            self._dismiss(worker)
        self._hand_out()

    def fail(self, error: Exception, worker: str | None = None) -> None:
        """Hand out nothing more: what this worker met, no other mends."""
        self.fault = self.fault or error
        if worker is not None:
            self._workers[worker] = None
        self._hand_out()

    def leave(self, worker: str) -> None:
        """Take note that a worker is no longer there; what it was at failed, but where all ends."""
        if self._workers.get(worker) is not None and self.fault is None:
            with self._kept():
                self._finish(worker, Outcome(None, 0.0, f"the worker process {self._end_of(worker)}", False))
        self._workers.pop(worker, None)
        self._hand_out()

    def abandon(self) -> None:
        """Take note that no worker is there any more."""
        self._workers = {worker: candidate for worker, candidate in self._workers.items() if candidate is not None}
        for worker in list(self._workers):
            self.leave(worker)

    def _finish(self, worker: str, outcome: Outcome) -> None:
        candidate = self._workers[worker]
        assert candidate is not None
        self._due.pop(worker, None)
        self._failed_on.pop(candidate.trial, None)
        if _is_machines(outcome):
            self._failed_on[candidate.trial] = worker
        self.clock.add(outcome.seconds, monotonic())
        self._trials.finish(candidate.trial, outcome)

    def _end_of(self, worker: str) -> str:
        seconds, due = self._due.get(worker, (0.0, float("inf")))
        return "died" if monotonic() < due else f"was ended at its deadline of {seconds:g} s, or died later"

    def _hand_out(self) -> None:
        for worker, candidate in list(self._workers.items()):
            if candidate is None and not self.over:
                with self._kept():
                    self._give(worker)
        if self.over:
            for worker in [worker for worker, candidate in self._workers.items() if candidate is None]:
                self._dismiss(worker)

    def _dismiss(self, worker: str) -> None:
        del self._workers[worker]
        self._send(worker, None)

    def _give(self, worker: str) -> None:
        candidate = self._next_for(worker)
        if candidate is None:
            return
        deadline = self._deadline_seconds or self.clock.deadline()
        self._send(worker, Job(candidate.trial, candidate.key, candidate.latency_ms, candidate.arch, deadline))
        self._workers[worker] = candidate
        if deadline is not None:
            self._due[worker] = deadline, monotonic() + deadline

    def _next_for(self, worker: str) -> Candidate | None:
        alone = len(self._workers) == 1
        for kept in self._aside:
            if alone or self._failed_on.get(kept.trial) != worker:
                self._aside.remove(kept)
                return kept
        while (candidate := self._trials.next()) is not None:
            if alone or self._failed_on.get(candidate.trial) != worker:
                return candidate
            self._aside.append(candidate)
        return None

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Run a block whole, whichever signal comes, and keep what it raises."""
        try:
            with held():
                yield
        except Exception as error:
            self.fault = self.fault or error


def _is_machines(outcome: Outcome) -> bool:
    return outcome.accuracy is None and not outcome.network_fault
