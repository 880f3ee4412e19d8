"""The page on a run, served: what it answers, to whom, and how it begins and ends."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nas.commands import report as command
from nas.page_server import LivePage, PageServer
from search_spaces import InputError
from tests.nas.runs import CONFIG, SPACE, trial


def append_trial(run: Path, number: int, tokens: list[int], latency_ms: float, accuracy: float) -> None:
    with (run / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(trial(number, tokens, latency_ms, accuracy)) + "\n")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    (path / "space.yaml").write_text(SPACE, encoding="utf-8")
    (path / "controller.pt").write_bytes(b"not for others")
    append_trial(path, 0, [0, 0], 10.0, 0.5)
    return path


@pytest.fixture
def server(run: Path) -> Iterator[PageServer]:
    with PageServer(LivePage(run, clock=lambda: 0.0), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Answer:
    """What came back: the status, the headers and the body."""

    def __init__(self, server: PageServer, path: str, method: str = "GET", host: str | None = None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
        connection.request(method, path, headers={} if host is None else {"Host": host})
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()


def test_the_page_is_served_and_may_ask_its_own_server_alone(server: PageServer) -> None:
    answer = Answer(server, "/")
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Search for 15 ms on no-such-device" in page
    assert "default-src 'none'" in page
    assert "connect-src 'self'\">" in page


def test_nothing_of_the_page_is_kept_framed_or_read_by_other_sites(server: PageServer) -> None:
    headers = Answer(server, "/").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "nas-report"
    assert "Access-Control-Allow-Origin" not in headers


def test_what_an_open_page_asks_for_comes_without_scripts(server: PageServer) -> None:
    page, content = Answer(server, "/").body, Answer(server, "/content").body
    assert len(page) > 1_000_000  # plotly
    assert len(content) < 100_000
    assert b'id="data">{"charts"' in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_all_but_reading_is_refused(server: PageServer, method: str) -> None:
    answer = Answer(server, "/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_head_gives_what_get_would_but_for_the_body(server: PageServer) -> None:
    answer = Answer(server, "/", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/trials.jsonl",
        "/controller.pt",
        "/report.html",
        "/../run/config.yaml",
        "/%2e%2e/run/config.yaml",
        "//etc/passwd",
        "/./",
        "/content/",
        "http://127.0.0.1/",
        "*",
    ],
)
def test_there_is_no_other_file_and_no_listing(server: PageServer, path: str) -> None:
    answer = Answer(server, path)
    assert (answer.status, answer.body) == (404, b"there is only the page, at /\n")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80", "127.3.2.1", "[::1]:8300"])
def test_names_of_this_machine_are_answered(server: PageServer, host: str) -> None:
    assert Answer(server, "/version", host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8300", "192.168.1.7", "localhost.evil.example", "localhost@evil.example", ""]
)
def test_a_name_that_was_made_to_point_here_is_refused(server: PageServer, host: str) -> None:
    answer = Answer(server, "/", host=host)
    assert (answer.status, answer.body) == (421, b"this page is for its own machine alone\n")


def test_two_hosts_in_one_request_are_refused(server: PageServer) -> None:
    assert not server.expects(["localhost", "evil.example"])
    assert not server.expects([])


def test_a_finished_trial_changes_the_version_and_the_page(server: PageServer, run: Path) -> None:
    before = json.loads(Answer(server, "/version").body)
    append_trial(run, 1, [1, 1], 20.0, 0.9)
    page = Answer(server, "/content").body.decode()
    after = json.loads(Answer(server, "/version").body)
    assert before["version"] != after["version"]
    assert f'"version": "{after["version"]}"' in page
    assert "2 networks" in page
    assert after["problem"] is None


def test_the_page_rests_nine_times_as_long_as_it_took_to_make(run: Path) -> None:
    times = iter([0.0, 2.0, 19.9, 20.1, 20.1, 20.2])  # made in 2 s: at rest for the next 18
    live = LivePage(run, clock=lambda: next(times))
    first = live.current()
    append_trial(run, 1, [1, 1], 20.0, 0.9)
    assert live.current() == first
    assert live.current().version != first.version


def test_damage_leaves_the_last_good_page_and_is_told(run: Path) -> None:
    live = LivePage(run, clock=lambda: 0.0)
    good = live.current()
    (run / "trials.jsonl").write_text("half\n", encoding="utf-8")
    shown = live.current()
    assert shown.page == good.page
    assert "trials.jsonl line 1 is not a trial" in str(shown.problem)
    (run / "trials.jsonl").unlink()
    append_trial(run, 0, [0, 0], 10.0, 0.6)
    assert live.current().problem is None


def test_a_port_that_is_taken_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["nas-report", str(run), "--serve", "--port", str(port)])
        with pytest.raises(SystemExit) as end:
            command.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        f"nas-report: cannot listen at port {port} of 127.0.0.1: address already in use; "
        "give another with --port, or --port 0 for any that is free\n"
    )


def test_an_address_that_is_none_of_this_machine_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match=r"cannot listen at port 0 of 192\.0\.2\.1: cannot assign"):
        PageServer(LivePage(run), "192.0.2.1", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "{run}", "--serve"], "--serve shows one run, got 2; compare them with --out FILE"),
        (["{run}", "--serve", "--out", "x.html"], "--serve writes no file; leave --out away, or --serve"),
        (["{run}", "--port", "1"], "--port and --host say where to serve a page; add --serve, or leave them away"),
        (["{run}/..", "--serve"], "{run}/.. holds no run (no config.yaml); give the folder that nas-search wrote to"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["nas-report", *(each.format(run=run) for each in arguments)])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"nas-report: {message.format(run=run)}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_command_says_where_it_serves_and_ends_without_a_word(run: Path, number: signal.Signals) -> None:
    call = [sys.executable, "-m", "nas.commands.report", str(run), "--serve", "--port", "0"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.removeprefix("http://127.0.0.1:").partition("/")[0])
        assert line == f"http://127.0.0.1:{port}/ shows {run} until Ctrl-C\n"
        idle = socket.create_connection(("127.0.0.1", port))  # a browser that keeps a connection does not hold it up
        process.send_signal(number)
        out, errors = process.communicate(timeout=300)
        idle.close()
    assert (process.returncode, out, errors) == (0, "", "")


def test_an_address_that_others_reach_is_warned_of(run: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "nas.commands.report", str(run), "--serve", "--port", "0", "--host", "0.0.0.0"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
    port = line.rpartition(":")[2].partition("/")[0]
    assert errors == f"nas-report: everyone who reaches port {port} of this machine can read the page\n"


@pytest.mark.skipif(not shutil.which("ss"), reason="needs ss: apt-get install iproute2")
def test_it_listens_at_loopback_alone_unless_asked(server: PageServer) -> None:
    port = server.server_address[1]
    listing = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[3] for line in listing.splitlines()] == [f"127.0.0.1:{port}"]
