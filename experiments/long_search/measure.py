"""What a long search costs its driver: memory and time a trial over 10,000 trials that answer at once, and a resume.

    OMP_NUM_THREADS=1 python experiments/long_search/measure.py --out FOLDER [--trials 10000] [--ray SECONDS]

The search is nas-search's own, with its run folder, warnings and display; only the accuracy is made up. With --ray the
trials go through Ray Tune. A FOLDER that holds a run is resumed; one that is done shows what a resume takes. Times are
those of the processor in this process.
"""

import argparse
import gc
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from latency import load_table
from nas.config import SearchConfig
from nas.display import SearchDisplay
from nas.environment import describe_environment
from nas.health import Health
from nas.health_state import Decisions
from nas.loop import run_in_process
from nas.points import SpacePoints, Tokens, latency_by_tokens
from nas.rewards import Reward
from nas.run_folder import RunFolder
from nas.search import Candidate, Outcome, Search, Trial
from nas.search_log import SearchLog
from nas.search_run import SearchRun
from nas.seed import FinalTraining
from search_spaces import Arch, load_space, space_text

SPACE = "mnasnet"
WORKERS = 2  # on Ray
ROWS = 10  # of the table


def accuracy(key: str) -> float:
    """Make an accuracy of a network's key, always the same: nothing can be learnt from it."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32


@dataclass(frozen=True)
class Sleeper:
    """Answers on a worker, after so long."""

    seconds: float

    def __call__(self, arch: Arch, key: str) -> Outcome:
        start = time.monotonic()
        time.sleep(self.seconds)
        return Outcome(accuracy(key), time.monotonic() - start)


class Meter:
    """Prints a row now and then; what was there before the first outcome, libraries above all, is no growth."""

    def __init__(self, trials: int) -> None:
        self._every = max(trials // ROWS, 1)
        self._count = 0
        self._start = time.process_time()
        self._before: int | None = None  # resident, at the first outcome

    def _resident(self) -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def note(self) -> None:
        if self._before is None:
            self._before, self._start = self._resident(), time.process_time()
        self._count += 1
        if self._count % self._every:
            return
        now, resident = time.process_time(), self._resident()
        spent = 1000 * (now - self._start) / self._every
        grown = (resident - self._before) / self._count / 1024
        print(f"| {self._count} | {spent:.1f} | {resident / 2**20:.0f} | {grown:.1f} |", flush=True)
        self._start = time.process_time()


@dataclass(frozen=True)
class Noted:
    """A search whose outcomes the meter counts."""

    search: Search
    meter: Meter

    @property
    def done(self) -> bool:
        return self.search.done

    def next(self) -> Candidate | None:
        return self.search.next()

    def finish(self, trial: int, outcome: Outcome) -> object:
        self.meter.note()
        return self.search.finish(trial, outcome)


@dataclass(frozen=True)
class Instant:
    """Evaluates at once: nas-search's own evaluation but for the training."""

    config: SearchConfig
    points: SpacePoints
    latency_ms: Callable[[Tokens], float]
    meter: Meter
    seconds: float | None  # of a trial on Ray; None: in this process
    costly: bool = True

    def random_reward(self, reward: Reward) -> None:
        return None

    def fingerprints(self) -> Mapping[str, str]:
        return {}

    def run(self, search: Search, display: SearchDisplay, name: str) -> float | None:
        if self.seconds is None:
            run_in_process(search, self._outcome)
            return None
        from nas.ray_cluster import Placement, ray_cluster
        from nas.ray_trials import run_on_ray

        with ray_cluster(None):
            clock = run_on_ray(Noted(search, self.meter), Sleeper(self.seconds), Placement(WORKERS, 1))
        wall = clock.last_end - clock.first_start
        print(f"{wall:.1f} s for {search.trials} trials by {WORKERS} workers; overhead {clock.overhead(WORKERS):.1%}")
        return None

    def finish(self, folder: RunFolder, seed: Trial) -> FinalTraining | None:
        return None

    def _outcome(self, candidate: Candidate) -> Outcome:
        self.meter.note()
        return Outcome(accuracy(candidate.key), 0.0)


def main() -> None:
    """Run or resume, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--controller", default="reinforce")
    parser.add_argument("--ray", type=float, metavar="SECONDS", help="go through Ray Tune, with trials of so long")
    given = parser.parse_args()
    config = SearchConfig(
        target_ms=80.0, space=SPACE, controller=given.controller, trials=given.trials, device="pixel1"
    )
    space, table = load_space(SPACE), load_table("pixel1")
    if not (given.out / "config.yaml").exists():
        RunFolder.create(given.out, config, space_text(SPACE), describe_environment() | {"fingerprints": {}})
    print("| trials | ms a trial | resident, MiB | grown a trial, KiB |\n|---|---|---|---|")
    meter = Meter(given.trials)
    points = SpacePoints(space, table.estimate_ms)
    evaluation = Instant(config, points, latency_by_tokens(space, table), meter, given.ray)
    run = SearchRun(RunFolder.open(given.out), config, evaluation, Console(quiet=True))
    health = Health(Decisions.of(space, space.sizes))
    start = time.process_time()
    run.folder.check_trials(points, config.trials)
    with closing(SearchLog(run.folder.path)) as log:
        run._run_trials(health, log)
    print(f"{time.process_time() - start:.1f} s in all")


if __name__ == "__main__":
    main()
