"""Serve the page on a run while its search goes on: nothing but that page, and to this machine alone unless asked."""

import hashlib
import ipaddress
import json
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from nas.pages import without_scripts
from nas.report import render
from nas.report_data import read_report
from search_spaces import InputError

WATCHED = ("config.yaml", "environment.json", "space.yaml", "trials.jsonl", "updates.jsonl", "seed.yaml")
REST = 9  # times as long as a page took to make it is left alone: the search has the processor
SILENCE = 10  # seconds that a client may take over a request
READ_ONLY = ("GET", "HEAD")
TEXT, HTML, JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shown(NamedTuple):
    """A page as it is served: its version, when it was made (seconds since 1970), and what is wrong since."""

    version: str
    seconds: float
    page: bytes
    content: bytes  # the page without its scripts
    problem: str | None = None


class LivePage:
    """The page on a run, made anew when its files have changed; ``InputError`` if the folder holds no run."""

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._lock = threading.Lock()
        self._version = _version_of(run)
        self._rests_until = -1.0
        self._shown = self._make(self._version)

    def current(self) -> Shown:
        """Give the newest page; of files that cannot be read, the last good one with what is wrong."""
        with self._lock:
            version = _version_of(self._run)
            if version != self._version and self._clock() >= self._rests_until:
                self._version = version
                try:
                    self._shown = self._make(version)
                except InputError as error:
                    self._shown = self._shown._replace(problem=str(error))
            return self._shown

    def _make(self, version: str) -> Shown:
        began = self._clock()
        page = render(read_report(self._run), version)
        ended = self._clock()
        self._rests_until = ended + REST * (ended - began)
        return Shown(version, time.time(), page.encode(), without_scripts(page).encode())


def _version_of(run: Path) -> str:
    """Name a state of a run's files; it tells nothing else of them."""
    marks = []
    for name in WATCHED:
        try:
            facts = (run / name).stat()
            marks.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        except OSError:
            marks.append((0, 0, 0))
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:16]


class PageServer(ThreadingHTTPServer):
    """Answers GET and HEAD of the page; ``InputError`` if it cannot listen at ``host`` and ``port``, 0 for any port.

    At a loopback address it answers only requests for this machine: another site's name that was made to point here
    (DNS rebinding) would let that site's scripts read the page.
    """

    daemon_threads = True  # a client that holds its connection does not hold up the end

    def __init__(self, live: LivePage, host: str, port: int) -> None:
        self.live = live
        try:
            self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            super().__init__((str(address[0]), port), _Handler)
        except OSError as error:
            raise InputError(
                f"cannot listen at port {port} of {host}: {(error.strerror or str(error)).lower()}; "
                "give another with --port, or --port 0 for any that is free"
            ) from error

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the library does."""
        socketserver.TCPServer.server_bind(self)

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return _is_loopback(str(self.server_address[0]))

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        if ipaddress.ip_address(host).is_unspecified:  # all addresses of this machine
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def expects(self, hosts: list[str]) -> bool:
        """Whether a request with these Host headers is for us."""
        if not self.loopback:
            return True  # by which names others know this machine cannot be told
        named = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|([^\[\]:@/]+)(?::\d+)?", hosts[0]) if hosts else None
        return len(hosts) == 1 and named is not None and _is_loopback(named[1] or named[2])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong with a request; clients that went away are no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"nas-report: a request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = SILENCE

    def parse_request(self) -> bool:
        """Read a request's head, and refuse what is not for reading or not for us before anything looks at it."""
        if not super().parse_request():
            return False
        if self.command not in READ_ONLY:
            self._answer(b"this page is read-only\n", TEXT, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
            return False
        if not self.server.expects(self.headers.get_all("Host", [])):
            self._answer(b"this page is for its own machine alone\n", TEXT, HTTPStatus.MISDIRECTED_REQUEST)
            return False
        return True

    def do_GET(self) -> None:
        """Answer with the page, the page without its scripts, or its version; there is nothing else."""
        path = self.path.partition("?")[0]
        if path not in ("/", "/content", "/version"):
            self._answer(b"there is only the page, at /\n", TEXT, HTTPStatus.NOT_FOUND)
            return
        shown = self.server.live.current()
        if path == "/version":
            about = {"version": shown.version, "seconds": shown.seconds, "problem": shown.problem}
            self._answer(json.dumps(about).encode(), JSON)
        else:
            self._answer(shown.page if path == "/" else shown.content, HTML)

    def do_HEAD(self) -> None:
        """Answer as to GET; what is sent stops after the head."""
        self.do_GET()

    def _answer(
        self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": kind, "Content-Length": str(len(body))} | HEADERS | dict(more or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Name the program, not the versions of what it runs on."""
        return "nas-report"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the page asks every other second."""
