"""ONNX Runtime on a board behind ssh as a source: any Linux with Python 3.8 or newer and onnxruntime."""

import shlex
import shutil
from collections.abc import Sequence

from latency.agent_source import AgentProcess, AgentSource, AgentStartError, agent_text
from latency.onnxruntime_source import onnx_agent_source
from latency.source import SourceError

_SETTINGS = (
    "BatchMode=yes",  # a question that nobody answers would wait for ever
    "ConnectTimeout=10",
    "ServerAliveInterval=5",  # a dead wire is noticed after three of these
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",  # the user's own forwarded ports are none of our business, and may be taken
)
_NO_SUCH_COMMAND = 127  # how every shell says it
_ADVICE = (
    ("Host key verification failed", "log in once by hand, to see and accept its key"),
    ("Permission denied", "set up a key that needs no password, with ssh-copy-id"),
    ("Connection refused", "does it run an ssh server, on this port?"),
    ("Could not resolve", "is its name right?"),
)


def ssh_source(
    host: str, *, threads: int = 1, options: Sequence[str] = (), python: str = "python3", device: str
) -> AgentSource:
    """Time chains by ONNX Runtime on ``host``, reached by the system's ssh client.

    ``device`` is the name for the table. ``options`` go to ssh before ours, so that they win: ``["-p", "2222"]``.
    ``python`` is a command or a path on the board. Nothing stays there: the agent comes over its standard input, and
    ends with the connection. `SourceError` says which of client, network, key, Python or package is not there, and
    what to do.
    """
    if shutil.which("ssh") is None:
        raise SourceError(f"no ssh client on this machine to reach {host}; install one: apt install openssh-client")
    text = agent_text().encode()
    ssh = ["ssh", "-T", *options, *(word for setting in _SETTINGS for word in ("-o", setting)), "--", host]
    try:
        agent = AgentProcess([*ssh, _remote_command(python, len(text))], host, text)
    except AgentStartError as error:
        by_hand = shlex.join(["ssh", *options, host])
        raise SourceError(f"{error}; {_advice(str(error), error.code, python, by_hand)}") from error
    try:
        return onnx_agent_source(agent, device, threads)
    except BaseException:
        agent.close()
        raise


def _remote_command(python: str, size: int) -> str:
    """Give the shell command that runs the first ``size`` bytes of its input, and leaves the rest to them.

    -B: modules that it imports must not leave their compiled files on the board.
    """
    program = f'import sys; exec(compile(sys.stdin.buffer.read({size}), "agent", "exec"), {{"__name__": "__main__"}})'
    return f"exec {shlex.quote(python)} -B -c {shlex.quote(program)}"


def _advice(words: str, code: int, python: str, by_hand: str) -> str:
    if code == _NO_SUCH_COMMAND:
        return f"is there no {python!r} on the board? name another Python"
    for problem, advice in _ADVICE:
        if problem in words:
            return f"{advice} (by hand: {by_hand})"
    return f"try by hand: {by_hand}"
