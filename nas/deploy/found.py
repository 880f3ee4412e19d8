"""How an architecture was found: read from the folders of the searches and adaptations that made it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from nas.config import SearchConfig
from nas.netadapt.config import AdaptConfig, command_of
from nas.recorded import CONFIG, read_config
from nas.run_folder import TRIALS, RunFolder
from search_spaces import Arch, FileError, InputError, load_arch, read_yaml

SEED, ADAPTED, PROPOSALS = "seed.yaml", "adapted.yaml", "proposals.jsonl"


@dataclass(frozen=True, slots=True)
class Searched:
    """A search and its winner.

    ``command``, in the folder ``run``, makes the same search again. ``hours`` are those of all trials' training, one
    after another; ``accuracy`` is that of the search's short training, ``latency_ms`` the table's on ``device``, for
    images of ``resolution`` and so many ``classes``, which need not be those that the network was trained for later.
    """

    command: str
    run: str
    space: str
    controller: str
    data: str
    seed: int
    trials: int
    failed: int
    hours: float
    device: str
    resolution: int
    classes: int
    target_ms: float
    trial: int
    accuracy: float
    latency_ms: float
    reward: float


@dataclass(frozen=True, slots=True)
class Adapted:
    """A NetAdapt and what it reached; ``trials`` are its proposals, accuracies those on held-out training images.

    Of latencies: see `Searched`.
    """

    command: str
    run: str
    data: str
    seed: int
    trials: int
    failed: int
    hours: float
    device: str
    resolution: int
    classes: int
    target_ms: float
    steps: int
    seed_accuracy: float
    seed_latency_ms: float
    accuracy: float
    latency_ms: float


Found = Searched | Adapted


@dataclass(frozen=True, slots=True)
class _Step:
    """One folder: which network it made, and of which; None for a search, which begins with none."""

    folder: Path
    found: Found
    begun_with: Arch | None
    made: Arch


def found_in(folders: Sequence[Path], arch: Arch) -> list[Found]:
    """Read the folders in which a network was found, the first one first.

    ``InputError`` unless each network is what the next one began with, and the last one ``arch``; resolution and number
    of classes are free.
    """
    steps = [_step(folder, before) for before, folder in zip([None, *folders], folders, strict=False)]
    for step, after in pairwise(steps):
        _check_same(step, after.begun_with, f"what {after.folder} began with")
    for step in steps[-1:]:
        _check_same(step, arch, f"the {arch.name} that was trained")
    return [step.found for step in steps]


def _check_same(step: _Step, wanted: Arch | None, name: str) -> None:
    if wanted is None or replace(step.made, resolution=wanted.resolution, classes=wanted.classes).key != wanted.key:
        raise InputError(
            f"the network found in {step.folder} is not {name}; give the folders of nas-search and nas-adapt that it "
            "came from, the first one first"
        )


def _step(folder: Path, before: Path | None) -> _Step:
    try:
        if (folder / TRIALS).is_file():
            return _searched(folder)
        if (folder / ADAPTED).is_file():
            return _adapted(folder, "SEED" if before is None else before.resolve().name)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise FileError(f"{folder} is damaged ({error}); restore it from a copy") from error
    raise FileError(f"{folder} holds no search and no finished adaptation; give a folder of nas-search or nas-adapt")


def _searched(path: Path) -> _Step:
    folder = RunFolder.open(path)
    seed = folder.read_seed()
    if seed is None:
        raise FileError(f"the search in {path} has no {SEED} yet; go on with: nas-search --resume {path}")
    config, trials = read_config(SearchConfig, path, "nas-search"), folder.read_trials()
    made = load_arch(path / SEED)
    found = Searched(
        command=f"nas-search --config {CONFIG}",
        run=path.resolve().name,
        space=str(seed["space"]),
        controller=config.controller,
        data=_data_name(config.data),
        seed=config.seed,
        trials=len(trials),
        failed=sum(trial.state == "failed" for trial in trials),
        hours=sum(trial.seconds for trial in trials) / 3600,
        device=Path(config.device).name,
        resolution=made.resolution,
        classes=made.classes,
        target_ms=config.target_ms,
        trial=int(seed["trial"]),
        accuracy=float(seed["accuracy"]),
        latency_ms=float(seed["latency_ms"]),
        reward=float(seed["reward"]),
    )
    return _Step(path, found, None, made)


def _adapted(path: Path, seed: str) -> _Step:
    told, config = read_yaml(path / ADAPTED), read_config(AdaptConfig, path, "nas-adapt")
    proposals = [json.loads(line) for line in _lines(path / PROPOSALS)]
    found = Adapted(
        command=command_of(config, seed, float(told["seed_latency_ms"])),
        run=path.resolve().name,
        data=_data_name(config.data),
        seed=config.seed,
        trials=len(proposals),
        failed=sum(proposal["accuracy"] is None for proposal in proposals),
        hours=sum(float(proposal["seconds"]) for proposal in proposals) / 3600,
        device=str(told["device"]),
        resolution=config.arch.resolution,
        classes=config.arch.classes,
        target_ms=float(told["target_ms"]),
        steps=int(told["steps"]),
        seed_accuracy=float(told["seed_accuracy"]),
        seed_latency_ms=float(told["seed_latency_ms"]),
        accuracy=float(told["accuracy"]),
        latency_ms=float(told["latency_ms"]),
    )
    return _Step(path, found, config.arch, load_arch(path / ADAPTED))


def _data_name(data: str) -> str:
    """Name images as `nas.data` does."""
    return Path(data).stem if Path(data).suffix.lower() == ".zip" else Path(data).name


def _lines(path: Path) -> Iterable[str]:
    """Read whole lines; a seed that was fast enough has none."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
