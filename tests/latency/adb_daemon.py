"""A phone's end of adb, over TCP on loopback: what the real adb client talks to in tests.

Shell commands run in a real shell, in which a few commands are the phone's own (`_COMMANDS`), and the phone's folders
lie in a folder of this host. Faults are switched by attributes.
"""

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

_VERSION, _MAX_DATA = 0x01000000, 64 * 1024  # this version checks sums
_TOKEN = 1  # kind of AUTH packet: a challenge
_STDOUT, _EXIT = 1, 3  # kinds of packet of the second shell protocol

# the phone's own commands, as scripts of its shell; Android's taskset knows no 0x
_COMMANDS = {
    "getprop": 'cat "$PHONE/props/$1"',
    "dumpsys": """[ "$1" = battery ] || exit 1
printf 'Current Battery Service state:\\n  AC powered: false\\n  status: %s\\n  level: %s\\n  scale: 100\\n' \
"$(cat "$PHONE/status")" "$(cat "$PHONE/level")"
printf '  temperature: %s\\n' "$(head -n 1 "$PHONE/decidegrees")"
[ "$(wc -l < "$PHONE/decidegrees")" -lt 2 ] || sed -i 1d "$PHONE/decidegrees"
""",
    "taskset": """case "$1" in *[!0-9a-f]*) echo "taskset: bad mask '$1'"; exit 1;; esac
echo "$1" >> "$PHONE/masks"; shift; exec "$@"
""",
}


class Link:
    """Packets over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small packets wait for each other
        self._file = connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        word = int.from_bytes(command, "little")
        head = struct.pack("<4s5I", command, arg0, arg1, len(data), sum(data) & 0xFFFFFFFF, word ^ 0xFFFFFFFF)
        with self._sending, contextlib.suppress(OSError):
            self.connection.sendall(head + data)

    def receive(self) -> tuple[bytes, int, int, bytes] | None:
        with contextlib.suppress(OSError):
            head = self._file.read(24)
            if len(head) == 24:
                command, arg0, arg1, size, _, magic = struct.unpack("<4s5I", head)
                assert magic == int.from_bytes(command, "little") ^ 0xFFFFFFFF
                return command, arg0, arg1, self._file.read(size)
        return None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def forget(self) -> None:
        """Close it for good, once nobody receives any more."""
        self.close()
        self._file.close()


class Stream:
    """One service that the client opened on a link."""

    def __init__(self, link: Link, local: int, remote: int) -> None:
        self._link, self._local, self._remote = link, local, remote
        self._incoming: queue.Queue[bytes] = queue.Queue()
        self._acknowledged: queue.Queue[bool] = queue.Queue()
        self._rest = b""
        link.send(b"OKAY", local, remote)

    def take(self, command: bytes, data: bytes) -> None:
        """Handle a packet that is for this stream."""
        if command == b"OKAY":
            self._acknowledged.put(True)
        elif command == b"WRTE":
            self._link.send(b"OKAY", self._local, self._remote)
            self._incoming.put(data)
        else:
            self.hang_up()

    def hang_up(self) -> None:
        """Wake whoever waits for the other side, which is gone."""
        self._incoming.put(b"")
        self._acknowledged.put(False)

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self._incoming.get()
            if not data:
                raise EOFError
            self._rest += data
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _MAX_DATA):
            self._link.send(b"WRTE", self._local, self._remote, data[start : start + _MAX_DATA])
            if not self._acknowledged.get():
                raise EOFError

    def close(self) -> None:
        self._link.send(b"CLSE", self._local, self._remote)


@dataclass
class Phone:
    """A phone whose storage is in ``root``; it is plugged in from the start.

    ``features``: none for a phone of Android 6, ``shell_v2,cmd`` for a newer one. Faults: ``trusts`` False never
    accepts the computer; ``cut_at`` lists words, and the first command or pushed file that has the next word pulls
    the cable in its middle; ``capacity`` bytes fit into its storage.
    """

    root: Path
    model: str = "Pixel"
    features: str = ""
    trusts: bool = True
    capacity: int = 1 << 30
    cut_at: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    unplugged: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def __post_init__(self) -> None:
        governor = self.root / "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor"
        for folder in (self.tmp, self.root / "bin", self.root / "props", governor.parent):
            folder.mkdir(parents=True)
        for name, script in _COMMANDS.items():
            (self.root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.root / "bin" / name).chmod(0o755)
        self.set("props/ro.product.model", self.model)
        self.set("props/ro.product.device", "sailfish")
        self.set("status", "2")
        self.set("level", "80")
        self.set("decidegrees", "312")
        governor.write_text("interactive\n")
        self._links: list[Link] = []
        self._running: list[subprocess.Popen[bytes]] = []
        self.plug()

    @property
    def tmp(self) -> Path:
        """Where its /data/local/tmp lies."""
        return self.root / "tmp"

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def set(self, name: str, value: str) -> None:
        """Set what its own commands print."""
        (self.root / name).write_text(value + "\n")

    def plug(self) -> None:
        """Accept connections, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def unplug(self) -> None:
        """Cut all connections and accept no more; what runs in its shells ends, as a terminal's programs do."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._links):
            link.close()
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGHUP)
        self.unplugged.set()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                link = Link(listener.accept()[0])
                self._links.append(link)
                threading.Thread(target=self._serve, args=[link], daemon=True).start()

    def _serve(self, link: Link) -> None:
        streams: dict[int, Stream] = {}
        while packet := link.receive():
            command, arg0, arg1, data = packet
            if command == b"CNXN" and self.trusts:
                link.send(b"CNXN", _VERSION, _MAX_DATA, self._banner())
            elif command == b"CNXN":
                link.send(b"AUTH", _TOKEN, 0, bytes(20))  # and no answer is ever good enough
            elif command == b"AUTH" and arg0 == 2:
                link.send(b"AUTH", _TOKEN, 0, bytes(20))
            elif command == b"OPEN":
                number = len(streams) + 1
                streams[number] = Stream(link, number, arg0)
                service = data.rstrip(b"\0").decode()
                threading.Thread(target=self._open, args=[streams[number], service], daemon=True).start()
            elif arg1 in streams:
                streams[arg1].take(command, data)
        for stream in streams.values():
            stream.hang_up()
        self._links.remove(link)
        link.forget()

    def _banner(self) -> bytes:
        props = {"name": "sailfish", "model": self.model, "device": "sailfish"}
        return f"device::{''.join(f'ro.product.{k}={v};' for k, v in props.items())}features={self.features}".encode()

    def _open(self, stream: Stream, service: str) -> None:
        with contextlib.suppress(EOFError):  # the client is gone
            kind, _, command = service.partition(":")
            if kind == "sync":
                self._sync(stream)
            elif kind.startswith("shell"):
                self._shell(stream, command, framed=kind.startswith("shell,v2"))
            stream.close()

    def _cut(self, what: str) -> bool:
        """Whether the cable is pulled now."""
        if self.cut_at and self.cut_at[0] in what:
            del self.cut_at[0]
            self.unplug()
            return True
        return False

    def _shell(self, stream: Stream, command: str, framed: bool) -> None:
        self.commands.append(command)
        here = command.replace("/data/local/tmp", str(self.tmp)).replace("/sys/", f"{self.root}/sys/")
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "PHONE": str(self.root)}
        process = subprocess.Popen(
            ["/bin/sh", "-c", here],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                data = line if framed else line.replace(b"\n", b"\r\n")  # the first protocol's shell is a terminal
                stream.write(struct.pack("<BI", _STDOUT, len(data)) + data if framed else data)
                if self._cut(command):
                    break
        code = process.wait()
        self._running.remove(process)
        if framed:
            stream.write(struct.pack("<BIB", _EXIT, 1, code & 0xFF))

    def _sync(self, stream: Stream) -> None:
        while True:
            request, size = struct.unpack("<4sI", stream.read(8))
            if request == b"QUIT":
                return
            name = stream.read(size).decode()
            if request == b"STAT":
                stream.write(b"STAT" + struct.pack("<3I", *self._stat(name)))
            elif request == b"SEND":
                problem = self._receive(stream, name.rpartition(",")[0])
                stream.write(struct.pack("<4sI", b"FAIL" if problem else b"OKAY", len(problem)) + problem)
            else:
                stream.write(struct.pack("<4sI", b"FAIL", 7) + b"unknown")

    def _local(self, name: str) -> Path:
        return Path(name.replace("/data/local/tmp", str(self.tmp)))

    def _stat(self, name: str) -> tuple[int, int, int]:
        with contextlib.suppress(FileNotFoundError):
            told = self._local(name).stat()
            return told.st_mode, told.st_size, int(told.st_mtime)
        return 0, 0, 0

    def _receive(self, stream: Stream, name: str) -> bytes:
        """Keep a pushed file; give what was wrong."""
        used = sum(file.stat().st_size for file in self.tmp.rglob("*") if file.is_file())
        problem = b""
        self.pushed.append(Path(name).name)
        with self._local(name).open("wb") as file:
            while True:
                kind, size = struct.unpack("<4sI", stream.read(8))
                if kind == b"DONE":  # its size is a time
                    return problem
                data = stream.read(size)
                if self._cut(f"push {name}"):
                    file.write(data[: size // 2])
                    raise EOFError
                used += size
                problem = b"write failed: No space left on device" if used > self.capacity else problem
                if not problem:
                    file.write(data)
