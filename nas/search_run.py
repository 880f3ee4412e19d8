"""One search from its configuration to its end: checks, trials, the seed, the files of the run."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from controllers import Controller, create
from nas.choice import choose_seed
from nas.config import SearchConfig
from nas.display import SearchDisplay
from nas.environment import describe_environment
from nas.evaluation import Evaluation, begin_evaluation, resume_evaluation
from nas.health import Health
from nas.health_state import Decisions
from nas.recorded import check_free, read_config, write_config
from nas.report import write_report
from nas.rewards import Reward, known_rewards, make_reward
from nas.run_folder import RunFolder
from nas.search import PolicyUpdate, Search, SearchFailedError, Trial
from nas.search_log import SearchLog
from nas.snapshots import Snapshots
from nas.stopping import terminable
from nas.summary import Summary
from search_spaces import InputError, SearchSpace, load_space, space_text


@dataclass(slots=True)
class SearchRun:
    """A checked search in its run folder, ready to be completed."""

    folder: RunFolder
    config: SearchConfig
    evaluation: Evaluation
    console: Console

    def complete(self) -> Summary:
        """Run the trials that are left, then train, export and report the seed."""
        try:
            with self.folder.locked(), terminable():
                write_config(self.folder.path, self.config)  # a resumed run's budget may be another
                return self._complete()
        except KeyboardInterrupt:
            self.console.print(f"stopped; go on with: nas-search --resume {self.folder.path}", soft_wrap=True)
            raise

    def _complete(self) -> Summary:
        space = None if self.config.space is None else self.folder.space()
        health = Health(Decisions.of(space, self.evaluation.points.sizes))
        with closing(SearchLog(self.folder.path)) as log:
            search, overhead = self._run_trials(health, log)
        write_report(self.folder.path)
        if search.gave_up:
            raise SearchFailedError(f"{search.gave_up}; all errors are in {self.folder.path / 'trials.jsonl'}")
        if search.stopped and len(search.results) < self.config.trials:
            raise KeyboardInterrupt
        if not search.done:
            raise SearchFailedError(f"the trials ended early; go on with: nas-search --resume {self.folder.path}")
        choice = choose_seed(search.results, self.config.target)
        if choice is None:
            raise SearchFailedError(f"no trial finished; all errors are in {self.folder.path / 'trials.jsonl'}")
        final = self.evaluation.finish(self.folder, choice.trial)
        write_report(self.folder.path)
        warnings = tuple(health.warnings)
        return Summary(self.folder.path, self.config, tuple(search.results), overhead, choice, final, warnings)

    def _run_trials(self, health: Health, log: SearchLog) -> tuple[Search, float | None]:
        recorded = self.folder.read_trials()
        for trial in recorded:
            log.trial(trial)
        display = SearchDisplay(self.console, self.config.trials, recorded)
        config = self.config

        def note_trial(trial: Trial) -> None:
            self.folder.append_trial(trial)
            display.trial(trial)
            log.trial(trial)

        def note_update(update: PolicyUpdate) -> None:
            update = _beside_random(update, random_reward)
            self.folder.append_update(update)
            snapshots.update()
            note_health(update)

        def note_health(update: PolicyUpdate) -> None:
            display.update(update)
            log.update(update)
            for warning in health.note(update, search.results[: update.trials]):
                display.warn(warning)

        torch.set_num_threads(1)  # the policy is small: threads would only take cores from the children
        random_reward = self.evaluation.random_reward(_reward(config))
        search = Search(
            points=self.evaluation.points,
            controller=_controller(config, self.evaluation),
            reward=_reward(config),
            trials=config.trials,
            batch=config.batch,
            on_trial=note_trial,
            on_update=note_update,
        )
        snapshots = Snapshots(self.folder, search)
        self.folder.cut_half_trial()
        for update in snapshots.restore(recorded, lambda: _controller(config, self.evaluation)):
            note_health(update)
        search.replay(recorded[len(search.results) :])
        overhead = None if search.done else self.evaluation.run(search, display, self.folder.path.resolve().name)
        snapshots.write()
        self.folder.write_pareto(search.results)
        return search, overhead


def begin(path: Path, config: SearchConfig, console: Console) -> SearchRun:
    """Check everything that a search needs, before Ray starts or anything is written; then begin its run folder."""
    check_free(path)
    evaluation, said = begin_evaluation(config, console)
    config = evaluation.config
    _controller(config, evaluation)
    facts = describe_environment() | {"fingerprints": dict(evaluation.fingerprints())}
    folder = RunFolder.create(path, config, None if config.space is None else space_text(config.space), facts)
    for line in [*said, f"run folder: {path}"]:
        console.print(line, soft_wrap=True)
    return SearchRun(replace(folder, synced=evaluation.costly), config, evaluation, console)


def resume(path: Path, continued: Callable[[SearchConfig], SearchConfig], console: Console) -> SearchRun:
    """Open a run to go on with it; ``InputError`` if what it rests on is not what it was."""
    folder = RunFolder.open(path)
    before = read_config(SearchConfig, path, "nas-search")
    config = continued(before)
    evaluation = resume_evaluation(config, _recorded_space(folder, config), console)
    folder.check_trials(evaluation.points, before.trials)
    recorded = folder.environment().get("fingerprints", {})
    for name, fingerprint in evaluation.fingerprints().items():
        if recorded.get(name) != fingerprint:
            raise InputError(f"the {name} changed since the run in {path} began; start a new run with another --out")
    return SearchRun(replace(folder, synced=evaluation.costly), config, evaluation, console)


def _recorded_space(folder: RunFolder, config: SearchConfig) -> SearchSpace | None:
    """Load the run's own copy of its space, if it has one; ``InputError`` if the file that it was changed since."""
    if config.space is None:
        return None
    space = folder.space()
    if Path(config.space).exists() and load_space(config.space) != space:
        raise InputError(
            f"{config.space} changed since the run in {folder.path} began; start a new run with another --out"
        )
    return space


def _beside_random(update: PolicyUpdate, random_reward: float | None) -> PolicyUpdate:
    """Add how much better than random networks' its rewards are, where that is known."""
    if random_reward is None:
        return update
    return replace(update, diagnostics={**update.diagnostics, "table_gain": update.mean_reward - random_reward})


def _controller(config: SearchConfig, evaluation: Evaluation) -> Controller:
    """Make the controller, and tell it what the latencies alone say of rewards."""
    known = known_rewards(_reward(config), evaluation.latency_ms)
    return create(config.controller, evaluation.points.sizes, config.seed, config.options or None, known)


def _reward(config: SearchConfig) -> Reward:
    return make_reward(config.reward, config.target_ms, config.w)
