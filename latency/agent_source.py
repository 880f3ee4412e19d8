"""A source that an agent runs (`latency.agent`): a process on this host, or one at the other end of a wire."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any

from latency.source import Chain, LatencySession, SourceError, SourceFacts

ModelBytes = Callable[[Chain], bytes]


class AgentProcess:
    """An agent, spoken to over the pipes of the process that runs it."""

    def __init__(self, command: Sequence[str], where: str) -> None:
        """Start ``command``, which must end up running the agent; ``where`` names the machine in errors."""
        self._where = where
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise SourceError(f"cannot run {command[0]!r} to reach {where}: {error.strerror}") from error

    def ask(self, request: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        """Send a request and wait for its answer; `SourceError` if the agent could not do it, or is gone."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request).encode() + b"\n" + payload)
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = b""
        if not line:
            raise SourceError(f"the agent on {self._where} is gone: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SourceError(f"{self._where}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        """Give what it wrote to its standard error last: why ssh was refused, what Python lacks."""
        self._process.kill()
        lines = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {self._process.returncode} and said nothing"

    def close(self) -> None:
        """End it: it stops when nothing more can be asked."""
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class AgentSource:
    """Times chains by an agent. ``model_bytes`` writes a chain as a model of the agent's ``form``: onnx or tflite."""

    def __init__(self, agent: AgentProcess, facts: SourceFacts, form: str, model_bytes: ModelBytes) -> None:
        self._agent, self.facts, self._form, self._model_bytes = agent, facts, form, model_bytes

    @contextlib.contextmanager
    def session(self, chains: Sequence[Chain]) -> Iterator[LatencySession]:
        """Load chains; the agent forgets them at the end."""
        settings = {"format": self._form, "threads": self.facts.threads}
        try:
            for chain in chains:
                model = self._model_bytes(chain)
                self._agent.ask({"load": len(model), **settings}, model)
            yield _Session(self._agent)
        finally:
            with contextlib.suppress(SourceError):  # it may be gone; what matters has been said
                self._agent.ask({"drop": True})

    def close(self) -> None:
        self._agent.close()


class _Session:
    def __init__(self, agent: AgentProcess) -> None:
        self._agent = agent

    def sample(self, index: int, calls: int) -> float:
        return float(self._agent.ask({"sample": index, "calls": calls})["ms"])


def agent_text() -> str:
    """Give the agent's source, to be piped to another machine."""
    return resources.files("latency").joinpath("agent.py").read_text(encoding="utf-8")


def local_agent() -> AgentProcess:
    """Start an agent on this host, in a process of its own: its core, its memory and its crashes are not ours."""
    with resources.as_file(resources.files("latency") / "agent.py") as path:
        return AgentProcess([sys.executable, "-E", str(path)], "this host")
