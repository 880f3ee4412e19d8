"""A run: one folder, append-only, enough to resume a search and to report on it."""

import contextlib
import csv
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from nas.pareto import front_of
from nas.points import Points
from nas.recorded import CONFIG, check_begun, new_folder, write_atomically
from nas.search import PolicyUpdate, Progress, Trial
from nas.updates import read_updates
from search_spaces import FileError, InputError, SearchSpace, load_space, read_yaml

_TRIAL, _PROGRESS = TypeAdapter(Trial), TypeAdapter(Progress)
TRIALS, UPDATES, SPACE = "trials.jsonl", "updates.jsonl", "space.yaml"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run; ``path`` exists and holds a ``config.yaml``.

    ``synced``: a trial is on disk for good when it is written; needless where evaluating it again costs nothing.
    """

    path: Path
    synced: bool = True

    @classmethod
    def create(cls, path: Path, config: object, space_text: str | None, environment: Mapping[str, Any]) -> "RunFolder":
        """Begin a run in a new or empty folder; ``InputError`` if the folder already holds one.

        A search that knows tokens alone has no space.
        """
        with new_folder(path, config, environment):
            if space_text is not None:
                (path / SPACE).write_text(space_text, encoding="utf-8")
            (path / TRIALS).touch()
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open a run that was begun before."""
        check_begun(path, "nas-search")
        return cls(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to this run; ``InputError`` if one does."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise InputError(
                f"another process is writing to {self.path}; wait for it, or give another --out"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def config(self) -> dict[str, Any]:
        """Read ``config.yaml``."""
        return dict(read_yaml(self.path / CONFIG))

    def environment(self) -> dict[str, Any]:
        """Read ``environment.json``: what the run was begun with."""
        return dict(read_yaml(self.path / "environment.json"))  # JSON is YAML

    def space(self) -> SearchSpace:
        """Load the run's own copy of its search space."""
        if not (self.path / SPACE).is_file():
            raise FileError(f"{self.path / SPACE} is missing; restore it from a copy")
        return load_space(self.path / SPACE)

    def append_trial(self, trial: Trial) -> None:
        """Write one trial to disk; where the folder is ``synced``, for good before this returns."""
        self._append(TRIALS, asdict(trial), self.synced)

    def append_update(self, update: PolicyUpdate) -> None:
        """Write one policy update; where it is lost a replay of the trials writes it again."""
        row = asdict(update)
        entropies = [round(share, 4) for share in row.pop("decision_entropies")]
        self._append(UPDATES, row | row.pop("diagnostics") | {"decision_entropies": entropies}, False)

    def read_trials(self) -> list[Trial]:
        """Read all trials in the order in which they finished; a last line that a kill cut short is left out.

        ``FileError`` names the first line that is not a trial.
        """
        path = self.path / TRIALS
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}; restore it from a copy") from error
        trials = []
        for number, line in enumerate(lines, 1):
            try:
                trials.append(_TRIAL.validate_json(line))
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(str(part) for part in problem["loc"])
                raise FileError(
                    f"{path} line {number} is not a trial: {where} {problem['msg']}; restore it from a copy"
                ) from error
        return trials

    def check_trials(self, points: Points, budget: int) -> None:
        """Raise ``FileError`` unless the trials are among these points and in this budget, each once."""
        seen = set()
        for line, trial in enumerate(self.read_trials(), 1):
            try:
                problem = "" if points.point(trial.tokens).key == trial.key else f"key {trial.key!r} is of other tokens"
            except InputError as error:
                problem = str(error)
            if not 0 <= trial.trial < budget or trial.trial in seen:
                problem = f"trial {trial.trial} stands there twice or is none of the {budget} of this run"
            if problem:
                raise FileError(f"{self.path / TRIALS} line {line}: {problem}; restore the file from a copy")
            seen.add(trial.trial)

    def cut_half_trial(self) -> None:
        """Cut off what a kill left of a trial at the end of ``trials.jsonl``."""
        with self._writing(TRIALS), (self.path / TRIALS).open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)

    def keep_updates(self, count: int) -> list[PolicyUpdate] | None:
        """Cut ``updates.jsonl`` off after so many updates and give them; None, and no file, where it has fewer."""
        path = self.path / UPDATES
        lines = path.read_bytes().splitlines(keepends=True)[:count] if path.is_file() else []
        path.unlink(missing_ok=True)
        if count:
            write_atomically(path, b"".join(lines).decode(errors="replace"))
        updates = read_updates(path)
        if len(updates) == count:
            return updates
        path.unlink(missing_ok=True)
        return None

    def write_pareto(self, trials: Sequence[Trial]) -> None:
        """Write the front of accuracy over latency to ``pareto.csv``."""
        temporary = self.path / ".pareto.csv"
        with self._writing("pareto.csv"):
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["trial", "key", "latency_ms", "accuracy", "reward"])
                writer.writerows([t.trial, t.key, t.latency_ms, t.accuracy, t.reward] for t in front_of(trials))
            temporary.replace(self.path / "pareto.csv")

    def write_seed(self, seed: Mapping[str, Any]) -> None:
        """Write ``seed.yaml``."""
        write_atomically(self.path / "seed.yaml", yaml.safe_dump(dict(seed), sort_keys=False))

    def read_seed(self) -> dict[str, Any] | None:
        """Read ``seed.yaml``; None where there is none yet."""
        path = self.path / "seed.yaml"
        return dict(read_yaml(path)) if path.is_file() else None

    def write_controller(self, state: Mapping[str, Any], progress: Progress) -> None:
        """Write ``controller.pt``: the controller's state, and how far the search was then.

        ``torch.load(weights_only=True)`` reads it. It is never ahead of ``trials.jsonl``, which is written first.
        """
        temporary = self.path / ".controller.pt"
        saved = {"controller": dict(state), "progress": _PROGRESS.dump_python(progress, mode="json")}
        with self._writing("controller.pt"):
            with temporary.open("wb") as file:
                torch.save(saved, file)
            temporary.replace(self.path / "controller.pt")

    def read_controller(self) -> tuple[dict[str, Any], Progress] | None:
        """Read ``controller.pt``; None where it is not there, or cannot be used: the trials can do without."""
        try:
            with warnings.catch_warnings(action="ignore"):  # torch's, of files that are none of its own
                saved = torch.load(self.path / "controller.pt", weights_only=True)
            return dict(saved["controller"]), _PROGRESS.validate_python(saved["progress"])
        except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError, ValueError):
            return None

    def _append(self, name: str, row: Mapping[str, Any], synced: bool) -> None:
        with self._writing(name), (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            if synced:
                file.flush()
                os.fsync(file.fileno())

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Put what keeps a file from being written in one line."""
        try:
            yield
        except OSError as error:
            raise FileError(
                f"cannot write {self.path / name}: {error.strerror}; what was written before is safe: mend that, and "
                f"go on with nas-search --resume {self.path}"
            ) from error
