"""Evaluation by training: candidates learn the proxy task on Ray, the seed is trained longer and exported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console

from latency import LatencyTable, load_table
from nas.children import ChildEvaluator
from nas.config import SearchConfig
from nas.data import ImageData, load_data
from nas.display import SearchDisplay, task_display
from nas.evaluation import stop
from nas.finish import finish, recorded_finish
from nas.monitoring import dashboard_line
from nas.placement import check_placement, workers_and_cpus
from nas.points import SpacePoints, Tokens, latency_by_tokens
from nas.preflight import place_search, table_fingerprint
from nas.ray_setup import prepare
from nas.rewards import Reward
from nas.run_folder import RunFolder
from nas.search import Search, Trial
from nas.seed import FinalTraining
from nas.stopping import stoppable
from search_spaces import SearchSpace, load_space


@dataclass(frozen=True)
class ByTraining:
    """Trains candidates on images; latencies come from a table."""

    config: SearchConfig
    space: SearchSpace
    latencies: LatencyTable
    console: Console

    @classmethod
    def begun(cls, config: SearchConfig, console: Console) -> tuple["ByTraining", list[str]]:
        """Open what a new search needs but for its images, and say what it is."""
        check_placement(config)
        latencies = load_table(config.device)
        config, said = place_search(config, latencies)
        assert config.space is not None  # just chosen
        return cls(config, load_space(config.space), latencies, console), said

    @classmethod
    def resumed(cls, config: SearchConfig, space: SearchSpace, console: Console) -> "ByTraining":
        """Open what a search was begun with, but for its images."""
        check_placement(config)
        latencies = load_table(config.device)
        latencies.check_ops(space.ops(), space.name)
        return cls(config, space, latencies, console)

    @property
    def costly(self) -> bool:
        return True

    @property
    def points(self) -> SpacePoints:
        return SpacePoints(self.space, self.latencies.estimate_ms)

    @cached_property
    def latency_ms(self) -> Callable[[Tokens], float]:
        return latency_by_tokens(self.space, self.latencies)

    @cached_property
    def data(self) -> ImageData:
        """The images; packed when first asked for, as the user's other mistakes are found sooner."""
        return load_images(self.config, self.console)

    def random_reward(self, reward: Reward) -> None:
        """No one knows before they are trained."""

    def fingerprints(self) -> Mapping[str, str]:
        """Name the latency table and the images."""
        return {"latency table": table_fingerprint(self.latencies), "data": self.data.fingerprint}

    def run(self, search: Search, display: SearchDisplay, name: str) -> float | None:
        """Train the candidates on Ray."""
        prepare(self.config.ray_address)
        from nas.ray_cluster import Placement, head_address, missed, ray_cluster
        from nas.ray_metrics import WatchedSearch  # ray takes seconds to import
        from nas.ray_trials import run_on_ray

        config = self.config
        workers, cpus = workers_and_cpus(config)
        device = "cuda" if config.gpus_per_trial else "cpu"
        evaluate = ChildEvaluator(self.data, config.proxy, config.seed, threads=cpus, device=device)
        with ray_cluster(config.ray_address) as dashboard:
            if dashboard:
                self.console.print(dashboard_line(dashboard), soft_wrap=True)
            placement = Placement(workers, cpus, config.gpus_per_trial, config.deadline_seconds)
            with (
                missed(head_address(), self._say_that_the_head_is_missed),
                WatchedSearch(search, name) as watched,
                display.shown(),
                stoppable(lambda: stop(search, display)),
            ):
                clock = run_on_ray(watched, evaluate, placement, name)
        return clock.overhead(workers) if workers else None

    def _say_that_the_head_is_missed(self) -> None:
        self.console.print(
            "the head of the Ray cluster does not answer; where it stays away for a minute, Ray ends this command: "
            "go on with nas-search --resume, and --ray-address of a cluster",
            soft_wrap=True,
        )

    def finish(self, folder: RunFolder, seed: Trial) -> FinalTraining:
        """Train, export and time the seed, unless the folder shows that this was done."""
        done = recorded_finish(folder, seed)
        if done is not None:
            return done
        self.console.print(f"training the seed (trial {seed.trial}) from scratch", soft_wrap=True)
        with task_display(self.console, "final training, epochs") as report:
            return finish(folder, seed, self.space, self.config, self.data, report)


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
