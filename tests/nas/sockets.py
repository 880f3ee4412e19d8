"""Who listens where, by Linux's /proc."""

import contextlib
from pathlib import Path

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def descendants(pid: int) -> list[int]:
    """List what a process started, and what that started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = []
    for file in children:
        with contextlib.suppress(OSError):  # it may end while we look
            found += [int(child) for child in file.read_text().split()]
    return found + [below for child in found for below in descendants(child)]


def listening(pid: int) -> set[str]:
    """List the local addresses at which a process and all it started listen: IPv4's may be dressed as IPv6."""
    sockets = set()
    for each in [pid, *descendants(pid)]:
        for file in Path(f"/proc/{each}/fd").glob("*"):
            with contextlib.suppress(OSError):  # it may be closed while we look
                sockets.add(str(file.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
