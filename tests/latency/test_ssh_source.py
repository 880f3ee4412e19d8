"""A board behind ssh, played by a real sshd on this host's loopback."""

import ast
import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from latency.agent_source import agent_text
from latency.source import SourceError
from latency.ssh_source import ssh_source
from search_spaces import Op

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or ""
CHAINS = [(Op("conv", 8, 8, 3, 8, 3, 2, activation="relu"),), (Op("linear", 1, 1, 8, 4),)]

pytestmark = pytest.mark.skipif(
    not (SSHD and shutil.which("ssh")), reason="needs sshd and ssh: apt install openssh-server openssh-client"
)


@dataclass(frozen=True)
class Board:
    """An sshd of our own; ``home`` and ``tmp`` are what its sessions take for HOME and TMPDIR."""

    process: subprocess.Popen[bytes]
    folder: Path
    home: Path
    tmp: Path
    port: int

    @property
    def options(self) -> list[str]:
        known = f"UserKnownHostsFile={self.folder / 'known_hosts'}"
        return ["-F", "none", "-p", str(self.port), "-i", str(self.folder / "user"), "-o", known]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    home, tmp = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    tmp.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    port = free_port()
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized_keys")
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    (tmp_path / "sshd_config").write_text(
        f"HostKey {tmp_path / 'host'}\nAuthorizedKeysFile {tmp_path / 'authorized_keys'}\nListenAddress 127.0.0.1\n"
        f"UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nSetEnv HOME={home} TMPDIR={tmp}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd will not start as root without it
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config", "-p", str(port)], stderr=log)
    try:
        wait_until(lambda: listens(port), (tmp_path / "log").read_text)
        yield Board(process, tmp_path, home, tmp, port)
    finally:
        process.terminate()
        process.wait(timeout=10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], explain: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def descendants(pid: int) -> list[tuple[int, str]]:
    """All processes below one, with their command lines."""
    below = []
    ended = contextlib.suppress(FileNotFoundError, ProcessLookupError)  # the latter where it ends while it is read
    with ended:
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            with ended:
                below.append((child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")))
            below += descendants(child)
    return below


def agents(board: Board) -> list[int]:
    return [pid for pid, line in descendants(board.process.pid) if line.startswith(sys.executable)]


def cut(board: Board) -> None:
    """Kill the sshd processes of all connections."""
    for pid, line in descendants(board.process.pid):
        if line.startswith("sshd"):
            os.kill(pid, signal.SIGKILL)


def print_first(board: Board, command: str) -> None:
    """Have each session begin with a command, as a shell's profile can; which shells read one here, differs."""
    with (board.folder / "sshd_config").open("a") as config:
        config.write(f'ForceCommand {command}; eval "$SSH_ORIGINAL_COMMAND"\n')
    board.process.send_signal(signal.SIGHUP)  # it then listens anew, with the new configuration
    wait_until(lambda: (board.folder / "log").read_text().count("Server listening") == 2)


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()  # a zombie has ended
    return False


def refusal(board: Board, *, python: str = sys.executable, options: list[str] | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        ssh_source("127.0.0.1", options=board.options if options is None else options, python=python, device="toy")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_session_over_ssh_gives_times(board: Board) -> None:
    source = ssh_source("127.0.0.1", options=board.options, python=sys.executable, device="toy_board")
    with contextlib.closing(source):
        assert (source.facts.device, source.facts.runtime, source.facts.threads) == ("toy_board", "ONNX Runtime", 1)
        with source.session(CHAINS) as session:
            assert all(min(session.sample(index, 3)) > 0 for index in (0, 1, 0))
        with source.session(CHAINS[:1]) as session:
            assert min(session.sample(0, 1)) > 0


def test_nothing_is_left_behind(board: Board) -> None:
    source = ssh_source("127.0.0.1", options=board.options, python=sys.executable, device="toy")
    with source.session(CHAINS) as session:
        session.sample(0, 1)
    (agent,) = agents(board)
    source.close()
    wait_until(lambda: not alive(agent))
    assert list(board.home.iterdir()) == []
    assert list(board.tmp.iterdir()) == []


def python_with(board: Board, onnxruntime: str) -> str:
    """A Python that finds a package of this text, not yet compiled, before the real one."""
    packages = board.folder / "packages"
    packages.mkdir()
    (packages / "onnxruntime.py").write_text(onnxruntime)
    python = board.folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_nothing_is_compiled_on_the_board(board: Board) -> None:
    python = python_with(board, "__version__ = 'toy'")
    source = ssh_source("127.0.0.1", options=board.options, python=python, device="toy")
    source.close()
    assert source.facts.runtime_version == "toy"
    assert [path.name for path in (board.folder / "packages").iterdir()] == ["onnxruntime.py"]


def test_what_a_runtime_prints_does_not_come_between_the_answers(board: Board) -> None:
    python = python_with(board, "import os\nos.write(1, b'a warning')\n__version__ = 'toy'")
    source = ssh_source("127.0.0.1", options=board.options, python=python, device="toy")
    source.close()
    assert source.facts.runtime_version == "toy"


def test_the_agent_ends_when_the_connection_is_cut(board: Board) -> None:
    source = ssh_source("127.0.0.1", options=board.options, python=sys.executable, device="toy")
    (agent,) = agents(board)
    with source.session(CHAINS) as session:
        assert min(session.sample(0, 1)) > 0
        cut(board)
        with pytest.raises(SourceError, match=r"^the agent on 127\.0\.0\.1 is gone: \S"):
            session.sample(0, 1)
    wait_until(lambda: not alive(agent))
    with pytest.raises(SourceError, match="is gone"), source.session(CHAINS):
        pass
    source.close()


def test_what_a_profile_prints_is_skipped(board: Board) -> None:
    print_first(board, """echo Welcome; echo '{"index": 7}'; printf '3 updates'""")
    source = ssh_source("127.0.0.1", options=board.options, python=sys.executable, device="toy")
    with contextlib.closing(source), source.session(CHAINS) as session:
        assert min(session.sample(1, 1)) > 0


def test_a_profile_that_never_stops_printing_is_refused(board: Board) -> None:
    print_first(board, "yes")
    assert refusal(board) == (
        "127.0.0.1 printed more than 65536 bytes before the agent's first line; "
        "make its shell profile silent for commands"
    )
    wait_until(lambda: not descendants(board.process.pid))


def test_without_an_ssh_client_the_error_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(board.tmp))
    assert refusal(board) == (
        "no ssh client on this machine to reach 127.0.0.1; install one: apt install openssh-client"
    )


def test_a_closed_port_is_refused_with_the_reason(board: Board) -> None:
    options = ["-F", "none", "-p", str(free_port())]
    message = refusal(board, options=options)
    assert re.search(r"did not start: .*Connection refused; does it run an ssh server, on this port\?", message)


def test_an_unknown_host_key_is_refused_with_what_to_do(board: Board) -> None:
    (board.folder / "known_hosts").write_text("")
    message = refusal(board)
    assert "Host key verification failed" in message
    assert f"log in once by hand, to see and accept its key (by hand: ssh -F none -p {board.port} " in message


def test_a_key_that_the_board_does_not_know_is_refused_with_what_to_do(board: Board) -> None:
    (board.folder / "authorized_keys").write_text("")
    message = refusal(board)
    assert f"{getpass.getuser()}@127.0.0.1: Permission denied" in message
    assert "set up a key that needs no password, with ssh-copy-id" in message


def test_a_missing_python_is_named(board: Board) -> None:
    message = refusal(board, python="no-such-python")
    assert "is there no 'no-such-python' on the board? name another Python" in message


def test_a_missing_onnxruntime_is_named_with_the_command_that_installs_it(board: Board) -> None:
    venv.create(board.folder / "bare", symlinks=True)
    message = refusal(board, python=str(board.folder / "bare" / "bin" / "python"))
    assert message == "127.0.0.1 has no Python package onnxruntime; install it there: pip install onnxruntime"
    wait_until(lambda: "bare" not in str(descendants(board.process.pid)))


def is_python_3_8(text: str) -> bool:
    try:
        ast.parse(text, feature_version=(3, 8))
    except SyntaxError:
        return False
    return True


def test_the_agent_is_written_in_the_oldest_python_that_boards_have() -> None:
    assert is_python_3_8(agent_text())
    assert not is_python_3_8(agent_text() + "\nmatch 1:\n    case _:\n        pass\n")  # newer syntax is noticed


def test_a_host_is_never_taken_for_an_option() -> None:
    with pytest.raises(SourceError) as caught:
        ssh_source("-V", device="toy")
    assert "did not start" in str(caught.value)
    assert "OpenSSH" not in str(caught.value)  # what ssh -V prints


def test_a_python_with_a_blank_in_its_path_is_found(board: Board) -> None:
    python = board.folder / "my python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    source = ssh_source("127.0.0.1", options=board.options, python=str(python), device="toy")
    source.close()
    assert source.facts.runtime == "ONNX Runtime"
