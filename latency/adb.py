"""The wire to a phone: the adb client, and what its answers mean.

A shell command's exit code comes back in a last line of its output: old phones have no other way to tell it, and where
that line is missing the connection was cut, which an old phone's client ends as quietly as a success.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latency.source import SourceError

_MARK = "nas-exit:"
_EXIT = re.compile(rf"{_MARK}(\d+)\r?\n\s*\Z")
_LIST_HEAD = "List of devices attached"
_LOST = re.compile(
    r"device '.*' not found|no devices|device (still )?(offline|connecting|authorizing)|closed|EOF"
    r"|reset by peer|couldn't read from device"
)
_FULL = "No space left on device"
_READY = "device"  # adb's word for a phone that takes commands
_MEND = {
    "unauthorized": "unlock it and allow USB debugging for this computer, then run the same command again",
    "authorizing": "unlock it and allow USB debugging for this computer, then run the same command again",
    "offline": "unplug it and plug it in again, then run the same command again",
    "connecting": "wait until `adb devices` calls it a device, then run the same command again",
    "no permissions": "let your user open USB devices (Debian: apt-get install android-sdk-platform-tools-common)",
}


class LostError(SourceError):
    """The phone answered before and does not now; ``said`` is what came of the last answer."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message, said)  # both, so that the error survives pickling
        self.said = said

    def __str__(self) -> str:
        return str(self.args[0])


class FullError(SourceError):
    """The phone has no room for what is pushed."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A phone as ``adb devices`` lists it; ``state`` is ``device`` when it takes commands."""

    serial: str
    state: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on the phone printed, and its exit code."""

    text: str
    code: int


def parse_devices(text: str) -> list[Attached]:
    """Read the output of ``adb devices -l``."""
    rows = text.partition(_LIST_HEAD)[2].splitlines()[1:]
    matches = [re.match(r"(\S+)\s+(no permissions|\S+)", row) for row in rows]
    return [Attached(match[1], match[2]) for match in matches if match]


def choose(attached: Sequence[Attached], serial: str | None) -> str:
    """Give the serial of the phone to use: the one named, or the only one; `SourceError` unless it is ready."""
    if not attached:
        raise SourceError("no phone is attached; plug one in, turn on its USB debugging and run the same command again")
    listed = ", ".join(f"{phone.serial} ({phone.state})" for phone in attached)
    fitting = [phone for phone in attached if serial in (None, phone.serial)]
    if not fitting:
        raise SourceError(f"no phone {serial!r} is attached; give the serial of one that is: {listed}")
    if len(fitting) > 1:
        raise SourceError(f"{len(fitting)} phones are attached; give the serial of one: {listed}")
    phone = fitting[0]
    if phone.state != _READY:
        mend = _MEND.get(phone.state, "start Android on it, then run the same command again")
        raise SourceError(f"phone {phone.serial} is attached, but adb calls it {phone.state!r}; {mend}")
    return phone.serial


def parse_answer(text: str) -> Answer | None:
    """Split a command's output from its exit code; None if the output was cut."""
    end = _EXIT.search(text)
    return Answer(text[: end.start()].replace("\r\n", "\n"), int(end[1])) if end else None


@dataclass(frozen=True, slots=True)
class Adb:
    """The adb client, for one phone once ``serial`` is known. ``environment`` of its process; None is ours."""

    serial: str | None = None
    environment: Mapping[str, str] | None = None
    program: str = "adb"

    def devices(self) -> list[Attached]:
        """List the phones that are attached, whatever their state."""
        done = self._run("devices", "-l", seconds=30)
        if done.returncode:
            raise SourceError(f"adb cannot list phones: {_words(done)}; try: adb kill-server")
        return parse_devices(done.stdout)

    def shell(self, command: str, seconds: float = 30) -> Answer:
        """Run a command on the phone; `LostError` if its end never came."""
        done = self._run("shell", f"{command} 2>&1; echo {_MARK}$?", seconds=seconds)
        answer = parse_answer(done.stdout)
        if answer is None:
            raise LostError(_gone(self.serial, _words(done)), done.stdout)
        return answer

    def push(self, files: Sequence[Path], folder: str, seconds: float = 600) -> None:
        """Copy files into a folder on the phone; `FullError` if they do not fit, `LostError` if it went away."""
        done = self._run("push", *map(str, files), f"{folder}/", seconds=seconds)
        words = _words(done)
        if done.returncode == 0:
            return
        if _FULL in done.stdout + done.stderr:
            raise FullError(f"phone {self.serial} is full")
        if _LOST.search(words):
            raise LostError(_gone(self.serial, words), words)
        raise SourceError(f"phone {self.serial} does not take files in {folder}: {words}")

    def wait(self, seconds: float) -> bool:
        """Wait until the phone takes commands; False if it didn't in this time."""
        try:
            return self._run("wait-for-device", seconds=seconds).returncode == 0
        except LostError:
            return False

    def _run(self, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
        chosen = ["-s", self.serial] if self.serial else []
        try:
            return subprocess.run(
                [self.program, *chosen, *arguments],
                stdin=subprocess.DEVNULL,  # else the phone's shell would eat what is typed for us
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                env=self.environment,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            raise LostError(_gone(self.serial, f"no answer in {seconds:g} s"), said) from error
        except OSError as error:
            raise SourceError(
                f"cannot run {self.program!r} to reach a phone: {error.strerror}; install Android's adb client "
                "(Debian: apt-get install adb)"
            ) from error


def _gone(serial: str | None, words: str) -> str:
    where = f"phone {serial} is gone" if serial else "adb hangs (adb kill-server ends it)"
    return f"{where}: {words}; plug the phone in and run the same command again"


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """Give the client's first line about what went wrong; a cut answer has none."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if "error" in line]
    return lines[0] if lines else "its answer was cut"
