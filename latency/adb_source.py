"""A phone over adb as a source: Howard et al. 2019's way, TensorFlow Lite's benchmark tool on one large core."""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from latency import phone
from latency.adb import Adb
from latency.benchmark_tool import ToolOptions
from latency.device import Device
from latency.phone import Limits
from latency.phone_session import TOOL, PhoneSession, Runner, model_name
from latency.source import Chain, LatencySession, SourceError, SourceFacts

_OPTIONS, _LIMITS, _ADB = ToolOptions(), Limits(), Adb()


class AdbSource:
    """Times chains on the phone that ``profile`` describes, by the user's ``benchmark_model`` for its processor.

    ``write_model`` writes a chain as a TFLite file. ``serial`` chooses among several phones. ``say`` gets a line when
    the phone makes us wait.
    """

    def __init__(
        self,
        profile: Device,
        benchmark_model: Path,
        serial: str | None,
        write_model: Callable[[Chain], bytes],
        *,
        options: ToolOptions = _OPTIONS,
        limits: Limits = _LIMITS,
        adb: Adb = _ADB,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = phone.say_on_stderr,
    ) -> None:
        """Find the phone; `SourceError` if there is none, it isn't ready, or is another model than the profile's."""
        version = f"{_fingerprint(benchmark_model)}, {options.kernels}"
        self._profile, self._tool, self._write_model = profile, benchmark_model, write_model
        self._options, self._limits, self._sleep, self._say = options, limits, sleep, say
        self._adb = phone.connect(adb, serial)
        phone.check_model(self._adb, profile)
        self._governor = self._read_governor()
        self.facts = SourceFacts(
            device=profile.name,
            runtime="TensorFlow Lite benchmark tool",
            runtime_version=version,
            threads=profile.threads,
            dtype=profile.dtype,
            clock_policy=f"CPU mask {profile.big_core_mask}, governor {self._governor}",
        )

    @contextlib.contextmanager
    def session(self, chains: Sequence[Chain]) -> Iterator[LatencySession]:
        """Push the tool and a model for each chain to a folder of their own on the phone, which goes at the end."""
        runner = Runner(self._adb, self._limits, self._sleep)
        runner.steadily("the checks before a batch", self._check)
        with tempfile.TemporaryDirectory(prefix="nas-models-") as name:
            local = Path(name)
            shutil.copyfile(self._tool, local / TOOL)
            for chain in dict.fromkeys(chains):  # copies share a file: each sample loads it anew
                (local / model_name(chains.index(chain))).write_bytes(self._write_model(chain))
            session = PhoneSession(runner, chains, local, self._profile, self._options)
            try:
                session.load()
                yield session
            finally:
                session.remove()

    def close(self) -> None:
        """Let the phone go: each session has cleaned up after itself."""

    def _check(self) -> None:
        phone.wait_until_fit(self._adb, self._limits, self._sleep, self._say)
        now = self._read_governor()
        if now != self._governor:
            raise SourceError(
                f"the governor of phone {self._adb.serial} was {self._governor!r} and is now {now!r}, so that its "
                "times would not compare; set it back (battery saver off) and run the same command again"
            )

    def _read_governor(self) -> str:
        return phone.governor(self._adb, phone.first_core(self._profile.big_core_mask))


def _fingerprint(tool: Path) -> str:
    """Name the tool by its bytes: it does not print its version."""
    try:
        return f"sha256 {hashlib.sha256(tool.read_bytes()).hexdigest()[:12]}"
    except OSError as error:
        raise SourceError(
            f"cannot read {tool}: {error.strerror}; give TensorFlow Lite's benchmark_model, built for the phone's CPU"
        ) from error
