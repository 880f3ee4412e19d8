"""One search from its configuration to its end: checks, trials on Ray, the final training, the files of the run."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from controllers import Controller, create
from latency import LatencyTable, load_table
from nas.children import ChildEvaluator
from nas.config import SearchConfig
from nas.data import ImageData, load_data
from nas.display import SearchDisplay, task_display
from nas.environment import describe_environment
from nas.finish import Finish, finish, recorded_finish
from nas.placement import check_placement, workers_and_cpus
from nas.preflight import choose_space, latency_range
from nas.recorded import check_free, read_config, write_config
from nas.report import write_report
from nas.rewards import make_reward
from nas.run_folder import RunFolder
from nas.search import PolicyUpdate, Search, SearchFailedError, Trial, choose_seed
from nas.summary import Summary
from search_spaces import InputError, SearchSpace, load_space, space_text


@dataclass(slots=True)
class SearchRun:
    """A checked search in its run folder, ready to be completed."""

    folder: RunFolder
    config: SearchConfig
    space: SearchSpace
    table: LatencyTable
    data: ImageData
    console: Console

    def complete(self) -> Summary:
        """Run the trials that are left, then train, export and report the seed."""
        try:
            with self.folder.locked():
                write_config(self.folder.path, self.config)  # a resumed run's budget may be another
                return self._complete()
        except KeyboardInterrupt:
            self.console.print(f"stopped; go on with: nas-search --resume {self.folder.path}", soft_wrap=True)
            raise

    def _complete(self) -> Summary:
        search, overhead = self._run_trials()
        write_report(self.folder.path)
        if search.gave_up:
            raise SearchFailedError(f"{search.gave_up}; all errors are in {self.folder.path / 'trials.jsonl'}")
        if not search.done:
            raise SearchFailedError(f"the trials ended early; go on with: nas-search --resume {self.folder.path}")
        seed = choose_seed(search.results, self.config.target_ms)
        if seed is None:
            raise SearchFailedError(f"no trial finished; all errors are in {self.folder.path / 'trials.jsonl'}")
        end = recorded_finish(self.folder, seed) or self._finish(seed)
        write_report(self.folder.path)
        return Summary(self.folder.path, self.config, tuple(search.results), overhead, end)

    def _finish(self, seed: Trial) -> Finish:
        self.console.print(f"training the seed (trial {seed.trial}) from scratch", soft_wrap=True)
        with task_display(self.console, "final training, epochs") as report:
            return finish(self.folder, seed, self.space, self.config, self.data, report)

    def _run_trials(self) -> tuple[Search, float | None]:
        recorded = self.folder.read_trials()
        display = SearchDisplay(self.console, self.config.trials, recorded)

        def note_trial(trial: Trial) -> None:
            self.folder.append_trial(trial)
            display.trial(trial)

        def note_update(update: PolicyUpdate) -> None:
            self.folder.append_update(update)
            self.folder.write_controller(controller.state_dict())
            display.update(update)

        config = self.config
        torch.set_num_threads(1)  # the policy is small: threads would only take cores from the children
        controller = _controller(config, self.space)
        search = Search(
            space=self.space,
            controller=controller,
            estimate_ms=self.table.estimate_ms,
            reward=make_reward(config.reward, config.target_ms, config.w),
            trials=config.trials,
            batch=config.batch,
            on_trial=note_trial,
            on_update=note_update,
        )
        self.folder.start_over_updates()
        search.replay(recorded)
        overhead = None if search.done else self._run_on_ray(search, display)
        self.folder.write_controller(controller.state_dict())
        self.folder.write_pareto(search.results)
        return search, overhead

    def _run_on_ray(self, search: Search, display: SearchDisplay) -> float | None:
        from nas.ray_trials import Placement, ray_cluster, run_on_ray  # ray takes seconds to import

        config = self.config
        workers, cpus = workers_and_cpus(config)
        device = "cuda" if config.gpus_per_trial else "cpu"
        evaluate = ChildEvaluator(self.data, config.proxy, config.seed, threads=cpus, device=device)
        with ray_cluster(config.ray_address) as dashboard:
            if dashboard:
                self.console.print(f"Ray dashboard: {dashboard} (its token: ray get-auth-token)", soft_wrap=True)
            placement = Placement(workers, cpus, config.gpus_per_trial)
            with display.shown():
                clock = run_on_ray(search, evaluate, placement)
        return clock.overhead(workers)


def begin(path: Path, config: SearchConfig, console: Console) -> SearchRun:
    """Check everything that a search needs, before Ray starts or anything is written; then begin its run folder."""
    check_free(path)
    check_placement(config)
    table = load_table(config.device)
    config, said = _with_space(config, table)
    assert config.space is not None  # just chosen
    space = load_space(config.space)
    _controller(config, space)
    data = load_images(config, console)
    facts = describe_environment() | {"fingerprints": _fingerprints(table, data)}
    folder = RunFolder.create(path, config, space_text(config.space), facts)
    for line in [*said, f"run folder: {path}"]:
        console.print(line, soft_wrap=True)
    return SearchRun(folder, config, space, table, data, console)


def resume(path: Path, continued: Callable[[SearchConfig], SearchConfig], console: Console) -> SearchRun:
    """Open a run to go on with it; ``InputError`` if its space, table or data are not what they were."""
    folder = RunFolder.open(path)
    before = read_config(SearchConfig, path, "nas-search")
    config = continued(before)
    check_placement(config)
    space = folder.space()
    if config.space is not None and Path(config.space).exists() and load_space(config.space) != space:
        raise InputError(f"{config.space} changed since the run in {path} began; start a new run with another --out")
    folder.check_trials(space, before.trials)
    table = load_table(config.device)
    table.check_ops(space.ops(), space.name)
    data = load_images(config, console)
    recorded = folder.environment().get("fingerprints", {})
    for name, fingerprint in _fingerprints(table, data).items():
        if recorded.get(name) != fingerprint:
            raise InputError(f"the {name} changed since the run in {path} began; start a new run with another --out")
    return SearchRun(folder, config, space, table, data, console)


def _with_space(config: SearchConfig, table: LatencyTable) -> tuple[SearchConfig, list[str]]:
    """Fill in the space that suits the target where none was asked for; also what to say of its latency range."""
    said = []
    if config.space is None:
        choice = choose_space(table, config.target_ms)
        name, found = choice.name, choice.range
        said += [f"space {name}: of the shipped ones the target lies best in its range"]
        said += [f"left out: space {other}, of which the table lacks {count} Ops" for other, count in choice.lacking]
    else:
        name, found = config.space, latency_range(config.space, table)
    said += [f"latency table {table.header.sentence()}", f"latency of {name} on {config.device}: {found}"]
    if not table.header.checked:
        said.append(
            "warning: this table was never checked on networks that it had not seen; nas-build-lut --check 50 does that"
        )
    if not found.holds(config.target_ms):
        said.append(f"warning: the target of {config.target_ms:g} ms lies outside that range")
    return config.model_copy(update={"space": name}), said


def _controller(config: SearchConfig, space: SearchSpace) -> Controller:
    return create(config.controller, space.sizes, config.seed, config.controller_options or None)


def load_images(config: SearchConfig, console: Console) -> ImageData:
    """Load the images that a search trains on and is judged by."""
    proxy = config.proxy
    with task_display(console, "packing images") as report:
        return load_data(
            config.data,
            proxy.resolution,
            seed=0,  # the split is a fact about the data, the same for every search that is compared on it
            validation_share=proxy.validation_share,
            train_images=proxy.train_images,
            validation_images=proxy.validation_images,
            skip_bad_images=config.skip_bad_images,
            on_progress=report,
            on_skipped=lambda name, why: console.print(f"skipped {name}: {why}", soft_wrap=True),
        )


def _fingerprints(table: LatencyTable, data: ImageData) -> dict[str, str]:
    text = repr(sorted((op.key, timing.median_ms) for op, timing in table.timings.items())) + repr(
        table.header.overhead_ms
    )
    return {"latency table": hashlib.sha256(text.encode()).hexdigest()[:16], "data": data.fingerprint}
