"""Chains on a phone, ready to run, whatever happens to its cable."""

import contextlib
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latency.adb import Adb, FullError, LostError
from latency.benchmark_tool import ToolOptions, command, parse_sample
from latency.device import Device
from latency.phone import Limits
from latency.source import Chain, Sample, SourceError

TOOL = "benchmark_model"
_TMP = "/data/local/tmp"  # the one folder where adb's user may write and execute
_LOSSES = 3  # of the phone in a row, during one step, before giving up: a bad cable
_SHOWN = 200
_SAFE = "nothing measured so far is lost"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runner:
    """Does things with a phone, and does them again when its cable was pulled and is back."""

    adb: Adb
    limits: Limits
    sleep: Callable[[float], None]

    def steadily(self, what: str, act: Callable[[], T]) -> T:
        """Do it, again after each loss of the phone; `SourceError` if it stays away or is lost again and again."""
        said = ""
        for _ in range(_LOSSES):
            try:
                return act()
            except LostError as error:
                said = error.said
                self._await()
        raise SourceError(
            f"{what}: phone {self.adb.serial} cut its answer {_LOSSES} times in a row; {_SAFE}; check its cable and "
            f"run the same command again; it said {said[:_SHOWN]!r}"
        )

    def _await(self) -> None:
        if not self.adb.wait(self.limits.reconnect_seconds):
            raise SourceError(
                f"phone {self.adb.serial} has been gone for {self.limits.reconnect_seconds:g} s; {_SAFE}; plug the "
                "phone in and run the same command again"
            )
        self.sleep(self.limits.poll_seconds)  # a run that was cut off from us may go on for a moment


class PhoneSession:
    """Times on the phone what is in ``local``, a folder here: `TOOL`, and each chain's model by its `model_name`."""

    def __init__(
        self, runner: Runner, chains: Sequence[Chain], local: Path, profile: Device, options: ToolOptions
    ) -> None:
        self._runner, self._adb, self._chains, self._local = runner, runner.adb, chains, local
        self._profile, self._options = profile, options
        self._folder = f"{_TMP}/nas-{uuid.uuid4().hex[:12]}"
        self._loaded = False

    def load(self) -> None:
        """Push everything; `SourceError` if the phone has no room for it."""
        self._runner.steadily("pushing models", self._load)

    def sample(self, index: int, calls: int) -> Sample:
        """Run a chain's model once, then at least ``calls`` times more."""
        return self._runner.steadily(_name(self._chains[index]), lambda: self._time(index, calls))

    def remove(self) -> None:
        """Leave nothing behind, if the phone can be reached."""
        with contextlib.suppress(SourceError):  # it may be gone; what matters has been said
            self._adb.shell(f"rm -rf {self._folder}")

    def _load(self) -> None:
        self._adb.shell(f"mkdir -p {self._folder}")
        there = parse_sizes(self._adb.shell(f"wc -c {self._folder}/*").text)
        sizes = {file: file.stat().st_size for file in sorted(self._local.iterdir())}
        missing = [file for file, size in sizes.items() if there.get(file.name) != size]  # a cut push leaves a part
        try:
            if missing:
                self._adb.push(missing, self._folder)
        except FullError as error:
            raise SourceError(
                f"phone {self._adb.serial} has no room for the {len(missing)} files of a batch: {_TMP} must have "
                f"{sum(sizes.values()) / 1e6:.1f} MB free; {_SAFE}: free that much and run the same command again"
            ) from error
        self._adb.shell(f"chmod +x {self._folder}/{TOOL}")
        self._loaded = True

    def _time(self, index: int, calls: int) -> Sample:
        try:
            if not self._loaded:
                self._load()
            answer = self._adb.shell(self._command(index, calls), self._options.max_seconds + 60)
        except LostError:
            self._loaded = False
            raise
        try:
            if answer.code:
                raise ValueError(f"exit code {answer.code}")
            return parse_sample(answer.text)
        except ValueError as error:
            raise SourceError(
                f"{_name(self._chains[index])}: the benchmark tool on phone {self._adb.serial} gave {error}; {_SAFE}; "
                f"try the tool by hand; it said {answer.text[:_SHOWN]!r}"
            ) from error

    def _command(self, index: int, calls: int) -> str:
        mask = f"{int(self._profile.big_core_mask, 16):x}"  # Android's taskset takes no 0x
        tool = f"{self._folder}/{TOOL}"
        model = f"{self._folder}/{model_name(self._chains.index(self._chains[index]))}"  # copies share a file
        return command(mask, tool, model, self._profile.threads, calls, self._options)


def model_name(index: int) -> str:
    """Name the file of a chain's model."""
    return f"{index}.tflite"


def parse_sizes(text: str) -> dict[str, int]:
    """Read the output of ``wc -c FOLDER/*``: the bytes of each file, by its name."""
    return {name: int(size) for size, name in re.findall(r"^\s*(\d+) \S*/(\S+)\s*$", text, re.MULTILINE)}


def _name(chain: Chain) -> str:
    more = f" and {len(chain) - 1} more Ops" if len(chain) > 1 else ""
    return chain[0].key + more
