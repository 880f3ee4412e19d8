"""What a report shows, read from the files of a run folder."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latency import LatencyTable, load_table, shipped_tables
from nas.choice import choose_seed
from nas.health import warnings_of
from nas.health_state import Decisions, HealthWarning
from nas.recorded import CONFIG
from nas.run_folder import TRIALS, UPDATES, RunFolder
from nas.search import PolicyUpdate, Trial
from nas.target import TOLERANCE, Target
from nas.updates import number, read_updates
from search_spaces import Arch, FileError, InputError, SearchSpace, arch_from_dict, read_yaml


@dataclass(frozen=True, slots=True)
class Network:
    """The network that a report shows in full: the seed, or the best trial of a search that has none yet.

    ``chosen``: it comes from ``seed.yaml``; ``facts`` are that file's further entries. ``arch`` is None where the
    search knew tokens alone.
    """

    arch: Arch | None
    trial: int | None
    latency_ms: float | None
    accuracy: float | None
    reward: float | None
    chosen: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """A run, as far as its files tell; ``table`` is None where the run's latency table is not at hand."""

    path: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    trials: list[Trial]
    updates: list[PolicyUpdate]
    decisions: Decisions
    warnings: list[HealthWarning]
    space: SearchSpace | None
    network: Network | None
    table: LatencyTable | None

    @property
    def target_ms(self) -> float | None:
        """The search's target, if the configuration has a usable one."""
        return number(self.config.get("target_ms"))

    @property
    def target(self) -> Target | None:
        """The same with its tolerance."""
        return _target(self.config)

    @property
    def results(self) -> list[Trial]:
        """The trials that have an accuracy, each network once, by trial number."""
        return [trial for trial in self.trials if trial.state == "finished" and number(trial.accuracy) is not None]


def read_report(run: Path) -> Report:
    """Read a run; ``InputError`` if the folder holds none or a file of it is damaged."""
    folder = RunFolder.open(run)
    config = read_yaml(run / CONFIG)
    finished = folder.read_trials()  # in the order in which they did
    trials = sorted(finished, key=lambda trial: trial.trial)
    space = folder.space() if (run / "space.yaml").is_file() else None
    decisions = _decisions(run, space, trials)
    updates = [_fitted(update, decisions) for update in read_updates(run / UPDATES)]
    return Report(
        path=run,
        config=config,
        environment=_read_json(run / "environment.json"),
        trials=trials,
        updates=updates,
        decisions=decisions,
        warnings=warnings_of(finished, updates, decisions),
        space=space,
        network=_seed(run / "seed.yaml") or _best(trials, space, _target(config)),
        table=_table(config.get("device")),
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested entries as dotted names and texts."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(item) for item in value)
        else:
            yield name, "not set" if value is None else str(value)


def _fitted(update: PolicyUpdate, decisions: Decisions) -> PolicyUpdate:
    """Leave out entropies that are of other decisions."""
    fits = len(update.decision_entropies) == len(decisions.sizes)
    return update if fits else replace(update, decision_entropies=())


def _decisions(run: Path, space: SearchSpace | None, trials: list[Trial]) -> Decisions:
    """Take a space's decisions, or else as many choices as were seen."""
    if len({len(trial.tokens) for trial in trials}) > 1:
        raise FileError(f"{run / TRIALS} holds trials of different numbers of tokens; restore it from a copy")
    seen = [1 + max(column) for column in zip(*(trial.tokens for trial in trials), strict=True)]
    return Decisions.of(space, seen if space is None else space.sizes)


def _target(config: Mapping[str, Any]) -> Target | None:
    target_ms, tolerance = number(config.get("target_ms")), number(config.get("tolerance"))
    if not target_ms:
        return None
    return Target(target_ms, TOLERANCE if tolerance is None else tolerance, config.get("reward") == "absolute")


def _seed(path: Path) -> Network | None:
    if not path.is_file():
        return None
    data = dict(read_yaml(path))
    arch = arch_from_dict(data.pop("arch"), str(path)) if "arch" in data else None
    trial = data.pop("trial", None)
    data.pop("tokens", None)
    figures = {name: number(data.pop(name, None)) for name in ("latency_ms", "accuracy", "reward")}
    return Network(arch, trial if isinstance(trial, int) else None, chosen=True, facts=data, **figures)


def _best(trials: list[Trial], space: SearchSpace | None, target: Target | None) -> Network | None:
    choice = choose_seed(trials, target or Target(math.inf))
    if choice is None:
        return None
    best = choice.trial
    arch = space.decode(best.tokens) if space is not None else None
    return Network(arch, best.trial, best.latency_ms, best.accuracy, best.reward, chosen=False, facts={})


def _table(device: Any) -> LatencyTable | None:
    name = str(device)
    try:
        if name not in shipped_tables() and not Path(name).is_file():  # nor a device that never ends
            return None
        return load_table(name)
    except (InputError, OSError):  # a table of the user's that was moved since: the page goes without its figures
        return None


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # the environment is for the reader's information alone
        return {}
    return data if isinstance(data, dict) else {}
