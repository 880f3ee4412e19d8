"""Evaluation by a table of known accuracies: no images, no Ray, a search in seconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from latency import LatencyTable, load_table
from nas.accuracies import Accuracies, load_accuracies
from nas.config import SearchConfig
from nas.display import SearchDisplay
from nas.evaluation import stop
from nas.loop import run_in_process
from nas.points import Point, Tokens, latency_by_tokens
from nas.preflight import LatencyRange, check_reach, place_search, table_fingerprint
from nas.rewards import Reward
from nas.run_folder import RunFolder
from nas.search import Candidate, Outcome, Search, Trial
from nas.seed import FinalTraining, seed_file
from nas.stopping import stoppable
from search_spaces import FileError, InputError, SearchSpace, load_space


@dataclass(frozen=True, slots=True)
class ListedPoints:
    """The networks of a file; each goes by its tokens, whatever a space makes of them."""

    accuracies: Accuracies
    latency_ms: Callable[[Tokens], float]

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.accuracies.sizes

    def point(self, tokens: Tokens) -> Point:
        """Look tokens up; ``InputError`` if the file lacks them."""
        key = "-".join(map(str, tokens))
        if tokens not in self.accuracies.rows:
            raise InputError(f"tokens {key} are not in {self.accuracies.path.name}")
        return Point(key, self.latency_ms(tokens), None)


@dataclass(frozen=True, slots=True)
class ByTable:
    """Reads accuracies from a file, and latencies from it or from a latency table."""

    config: SearchConfig
    space: SearchSpace | None
    points: ListedPoints
    latencies: LatencyTable | None

    @classmethod
    def begun(cls, config: SearchConfig) -> tuple["ByTable", list[str]]:
        """Open a file for a new search, and say what it holds; ``InputError`` if it can't be searched."""
        opened = cls.resumed(config, None if config.space is None else load_space(config.space))
        accuracies = opened.points.accuracies
        said = [f"accuracies {accuracies}"]
        if opened.latencies is not None:
            return opened, said + place_search(config, opened.latencies)[1]
        found = LatencyRange.of_all(map(accuracies.latency_ms, accuracies.rows))
        check_reach(found, config.target, f"the networks of {accuracies.path.name} take")
        said.append(f"latency of {accuracies.path.name}: {found}")
        return replace(opened, config=_on_its_own_device(config)), said

    @classmethod
    def resumed(cls, config: SearchConfig, space: SearchSpace | None) -> "ByTable":
        """Open a file for a search that was begun with it."""
        assert config.accuracies is not None  # the configuration was checked
        accuracies = load_accuracies(Path(config.accuracies), space)
        if accuracies.has_latencies:
            return cls(config, space, ListedPoints(accuracies, accuracies.latency_ms), None)
        if space is None:
            raise FileError(
                f"{accuracies.path} has no column latency_ms; add it, or give the --space whose networks it lists, "
                "and --device for their latencies"
            )
        latencies = load_table(config.device)
        latencies.check_ops(space.ops(), space.name)
        return cls(config, space, ListedPoints(accuracies, latency_by_tokens(space, latencies)), latencies)

    @property
    def costly(self) -> bool:
        return False

    @property
    def latency_ms(self) -> Callable[[Tokens], float]:
        return self.points.latency_ms

    def random_reward(self, reward: Reward) -> float:
        """Score the whole table; networks that fail get 0, as in a search."""
        rows = self.points.accuracies.rows.items()
        return fmean(
            0.0 if row.accuracy is None else reward(row.accuracy, self.latency_ms(tokens)) for tokens, row in rows
        )

    def fingerprints(self) -> Mapping[str, str]:
        """Name the file, and the latency table where it has none of its own."""
        found = {"file of accuracies": self.points.accuracies.fingerprint}
        return found if self.latencies is None else found | {"latency table": table_fingerprint(self.latencies)}

    def run(self, search: Search, display: SearchDisplay, name: str) -> None:
        """Look the trials up, one after another."""
        with display.shown(), stoppable(lambda: stop(search, display)):
            run_in_process(search, self._outcome)

    def finish(self, folder: RunFolder, seed: Trial) -> FinalTraining | None:
        """Write ``seed.yaml``, with the network where the space is known; there are no images to train it on."""
        arch = self.space.decode(seed.tokens) if self.space is not None else None
        folder.write_seed(seed_file(seed, arch, self.config))
        return None

    def _outcome(self, candidate: Candidate) -> Outcome:
        accuracy = self.points.accuracies.rows[candidate.tokens].accuracy
        return Outcome(accuracy, 0.0, None if accuracy is not None else "it has no accuracy in the table")


def _on_its_own_device(config: SearchConfig) -> SearchConfig:
    """Name the device by the file that has its latencies; ``InputError`` if another one was asked for."""
    if "device" in config.model_fields_set and config.device != config.accuracies:
        raise InputError(
            f"{config.accuracies} has latencies of its own; leave --device away, or leave its column latency_ms out"
        )
    return config.model_copy(update={"device": config.accuracies})
