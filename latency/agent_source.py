"""A source that an agent runs (`latency.agent`): a process on this host, or one at the other end of a wire."""

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import IO, Any

from latency.agent import START
from latency.source import Chain, Sample, SourceError, SourceFacts

ModelBytes = Callable[[Chain], bytes]


_MAX_NOISE = 1 << 16  # bytes, before the agent starts; a profile's greeting has hundreds
_SECONDS_TO_END = 5


class AgentStartError(SourceError):
    """The agent did not start; ``code`` is what its command ended with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class AgentProcess:
    """An agent, spoken to over the pipes of the process that runs it."""

    def __init__(self, command: Sequence[str], where: str, preamble: bytes = b"") -> None:
        """Start ``command``, which must end up running the agent; ``where`` names the machine in errors.

        ``preamble`` goes to its standard input first: the agent's own source, where the machine has no file of it.
        """
        self._where, self._gone = where, ""
        # not a pipe: one that nobody reads fills up, and blocks whoever writes
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (close and _last_words close it)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        except OSError as error:
            self._stderr.close()
            raise SourceError(f"cannot run {command[0]!r} to reach {where}: {error.strerror}") from error
        self._start(preamble)

    def _start(self, preamble: bytes) -> None:
        """Send ``preamble``, and skip what comes before the agent's first line: greetings of a shell's profile."""
        noise = 0
        with contextlib.suppress(OSError):
            self._send(preamble)
            while line := self._pipe_out.readline(_MAX_NOISE):
                noise += len(line)
                if line == START:
                    return
                if noise > _MAX_NOISE:
                    self._process.kill()  # it may go on for ever
                    self.close()
                    raise SourceError(
                        f"{self._where} printed more than {_MAX_NOISE} bytes before the agent's first line; "
                        "make its shell profile silent for commands"
                    )
        words = self._last_words()
        raise AgentStartError(f"the agent on {self._where} did not start: {words}", self._process.returncode)

    def ask(self, request: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        """Send a request and wait for its answer; `SourceError` if the agent could not do it, or is gone."""
        if self._gone:
            raise SourceError(self._gone)
        line = b""
        with contextlib.suppress(OSError):
            self._send(json.dumps(request).encode() + b"\n" + payload)
            line = self._pipe_out.readline()
        if not line.endswith(b"\n"):  # cut off, perhaps in the middle of an answer
            said = self._last_words()
            self._gone = f"the agent on {self._where} is gone: {said}; what was measured is kept, run the command again"
            raise SourceError(self._gone)
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise SourceError(f"{self._where} printed {line[:80]!r} between the agent's answers") from error
        if "missing" in answer:
            package = answer["missing"].replace("_", "-")
            raise SourceError(f"{self._where} has no Python package {package}; install it there: pip install {package}")
        if "error" in answer:
            raise SourceError(f"{self._where}: {answer['error']}")
        return answer

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    @property
    def _pipe_out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _last_words(self) -> str:
        """Give what it wrote to its standard error last: why ssh was refused, what Python lacks."""
        self._end()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._stderr.close()
        code = self._process.returncode
        if code < 0:  # it had no time for last words: those there are about something else
            return f"it was killed by {signal.Signals(-code).name}; had it enough memory?"
        return lines[-1].strip().rstrip(".") if lines else f"it ended with code {code} and said nothing"

    def close(self) -> None:
        """End it: it stops when nothing more can be asked."""
        self._gone = self._gone or f"the agent on {self._where} was closed"
        self._end()
        self._stderr.close()

    def _end(self) -> None:
        try:
            with contextlib.suppress(OSError):  # what was still to be sent
                self._process.communicate(timeout=_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class AgentSource:
    """Times chains by an agent. ``model_bytes`` writes a chain as a model of the agent's ``form``: onnx or tflite."""

    def __init__(self, agent: AgentProcess, facts: SourceFacts, form: str, model_bytes: ModelBytes) -> None:
        self._agent, self.facts, self._form, self._model_bytes = agent, facts, form, model_bytes

    def session(self, chains: Sequence[Chain]) -> contextlib.AbstractContextManager["AgentSession"]:
        """Load chains; the agent forgets them at the end."""
        return self._session(chains, profile=False)

    @contextlib.contextmanager
    def _session(self, chains: Sequence[Chain], profile: bool) -> Iterator["AgentSession"]:
        settings = {"format": self._form, "threads": self.facts.threads, "profile": profile}
        try:
            for chain, copies in itertools.groupby(chains):
                model = self._model_bytes(chain)
                self._agent.ask({"load": len(model), "copies": len(list(copies)), **settings}, model)
            yield AgentSession(self._agent)
        finally:
            with contextlib.suppress(SourceError):  # it may be gone; what matters has been said
                self._agent.ask({"drop": True})

    def close(self) -> None:
        self._agent.close()


class AgentSession:
    """Chains that an agent holds."""

    def __init__(self, agent: AgentProcess) -> None:
        self._agent = agent

    def sample(self, index: int, calls: int) -> Sample:
        return Sample(**self._agent.ask({"sample": index, "calls": calls}))

    def nodes(self, index: int) -> list[tuple[str, float]]:
        """Give the names and times of a profiled chain's nodes, in milliseconds, in order; once."""
        return [(name, ms) for name, ms in self._agent.ask({"nodes": index})["nodes"]]


def agent_text() -> str:
    """Give the agent's source, to be piped to another machine."""
    return resources.files("latency").joinpath("agent.py").read_text(encoding="utf-8")


def local_agent() -> AgentProcess:
    """Start an agent on this host, in a process of its own: its core, its memory and its crashes are not ours."""
    with resources.as_file(resources.files("latency") / "agent.py") as path:
        return AgentProcess([sys.executable, "-E", str(path)], "this host")
