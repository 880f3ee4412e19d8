"""Watching a real search: Debian's Prometheus scrapes it, and Ray's dashboard, in a browser, shows its trials."""

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nas.metrics import METRICS
from nas.monitoring import dashboard_line, ray_variables, shipped, write_monitoring

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_SECONDS = 300.0  # a busy machine is no failure
SMALL = {
    "proxy": {
        "resolution": 16,
        "train_images": 256,
        "validation_images": 100,
        "recipe": {"epochs": 4, "least_steps": 0},
    },
    "batch": 2,
    "cpus_per_trial": 1,
}
TRIAL = re.compile(r"trial \d+: \d+\.\d ms")
EXPORTED = {name for metric in METRICS for name in metric.exported}


def wait_for(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.2)
    return value


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass(frozen=True)
class Watched:
    """A search that runs: its folder, what it printed so far, and its environment."""

    run: Path
    printed: Path
    environment: dict[str, str]
    prometheus: str  # where it is to be

    @property
    def dashboard(self) -> str | None:
        found = re.search(r"Ray dashboard: (\S+)", self.printed.read_text())
        return found.group(1) if found else None


class HealthyGrafana(http.server.BaseHTTPRequestHandler):
    """Says that all is well, as Grafana does, and that any page is there."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"database": "ok"}')

    def log_message(self, *words: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def grafana() -> Iterator[str]:
    """The address of what Ray takes for Grafana, which no Debian has."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HealthyGrafana)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def watched(grafana: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A search of digits that goes on until the tests are done, on a Ray of its own."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    options = ["--target-ms", "15", "--w", "-0.15", "--space", "mnasnet_small", "--trials", "5000", "--workers", "1"]
    command = [sys.executable, "-W", "ignore", "-m", "nas.commands.search", *options, "--monitoring"]
    with tempfile.TemporaryDirectory(prefix="ray-") as ray:  # the paths of sockets must be short
        address = free_address()
        environment = os.environ | {
            "RAY_TMPDIR": ray,
            "RAY_metrics_report_interval_ms": "1000",
            "RAY_PROMETHEUS_HOST": f"http://{address}",
            "RAY_GRAFANA_HOST": grafana,
        }
        found = Watched(folder / "run", folder / "printed.txt", environment, address)
        with found.printed.open("w") as printed:
            process = subprocess.Popen(
                [*command, "--config", str(folder / "small.yaml"), "--out", str(found.run)],
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:

            def learned() -> bool:
                assert process.poll() is None, found.printed.read_text()
                updates = found.run / "updates.jsonl"
                return found.dashboard is not None and updates.is_file() and updates.read_text().count("\n") >= 1

            wait_for(learned, "policy update")
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def prometheus(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[Any]]]:
    """Prometheus with the file that the search wrote, but in more of a hurry; gives the function that asks it."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    folder, address = tmp_path_factory.mktemp("prometheus"), watched.prometheus
    written = (watched.run / "monitoring" / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(written.replace("scrape_interval: 10s", "scrape_interval: 1s"))
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)

    def query(expression: str) -> list[Any]:
        asked = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://{address}/api/v1/query?{asked}", timeout=30) as answer:
                return list(json.load(answer)["data"]["result"])
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, (folder / "log.txt").read_text()
            return []

    yield query
    process.terminate()
    process.wait()


def expressions() -> list[str]:
    panels = json.loads(shipped("nas-search.json"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_prometheus_answers_for_every_metric_of_a_search_that_runs(
    watched: Watched, prometheus: Callable[[str], list[Any]]
) -> None:
    run = watched.run.name
    for name in sorted(EXPORTED):
        wait_for(lambda name=name: prometheus(f'{name}{{run="{run}"}}'), f"{name} in Prometheus")
    (best,) = prometheus(f'ray_nas_best_reward{{run="{run}"}}')
    rewards = [json.loads(line)["reward"] for line in (watched.run / "trials.jsonl").read_text().splitlines()]
    assert float(best["value"][1]) in [pytest.approx(max(rewards[:count])) for count in range(1, len(rewards) + 1)]


def test_every_panel_has_something_to_draw(watched: Watched, prometheus: Callable[[str], list[Any]]) -> None:
    assert expressions()
    for expression in expressions():
        asked = expression.replace("$run", ".*")
        wait_for(lambda asked=asked: prometheus(asked), f"answer to {asked}")
        assert prometheus(asked)


def test_the_panels_show_each_metric_and_no_other() -> None:
    shown = {name for expression in expressions() for name in re.findall(r"ray_nas_\w+", expression)}
    assert shown <= EXPORTED
    assert [metric.name for metric in METRICS if not shown & set(metric.exported)] == []


@pytest.fixture(scope="module")
def page(watched: Watched, browser: "Browser") -> "Page":
    """Ray's dashboard, after login with the token that the command prints."""
    ray = str(Path(sys.executable).with_name("ray"))
    token = subprocess.run([ray, "get-auth-token"], env=watched.environment, capture_output=True, text=True, check=True)
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    page.goto(f"{watched.dashboard}/#/cluster")
    page.get_by_label("Authentication Token", exact=True).fill(token.stdout)
    page.keyboard.press("Enter")
    return page


def test_the_dashboard_shows_which_trial_a_worker_is_at(page: "Page") -> None:
    shown = page.get_by_text(TRIAL).first
    shown.wait_for()
    assert TRIAL.search(shown.inner_text())


def test_the_dashboard_has_our_panels_in_it(
    watched: Watched, grafana: str, prometheus: Callable[[str], list[Any]], page: "Page"
) -> None:
    tab, panels = page.get_by_role("tab", name="Ray Data"), page.locator(f'iframe[src^="{grafana}/d/nas-search/"]')

    def shown() -> bool:
        page.reload()  # it asks whether Prometheus and Grafana are well but once
        tab.click()
        page.wait_for_timeout(5000)
        return bool(panels.count())

    wait_for(lambda: prometheus("up"), "Prometheus")
    page.goto(f"{watched.dashboard}/#/metrics")
    wait_for(shown, "panels")
    assert tab.get_attribute("aria-selected") == "true"
    assert panels.count() == 1


def test_a_tensorboard_log_lies_beside_the_run(watched: Watched) -> None:
    (log,) = (watched.run / "tensorboard").iterdir()
    assert log.name.startswith("events.out.tfevents.")


def test_the_files_name_the_folder_and_rays_list_of_nodes(tmp_path: Path) -> None:
    environment = {"RAY_TMPDIR": "/tmp/r"}
    lines = write_monitoring(tmp_path, environment)
    grafana = tmp_path / "monitoring" / "grafana"
    scraped = yaml.safe_load((tmp_path / "monitoring" / "prometheus.yml").read_text())
    (files,) = scraped["scrape_configs"][0]["file_sd_configs"]
    assert files["files"] == ["/tmp/r/ray/session_latest/prom_metrics_service_discovery.json"]
    assert f"provisioning = {grafana}/provisioning" in (grafana / "grafana.ini").read_text()
    provider = yaml.safe_load((grafana / "provisioning/dashboards/nas-search.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == f"{grafana}/dashboards"
    assert json.loads((grafana / "dashboards/nas-search.json").read_text())["uid"] == "nas-search"
    assert environment == {"RAY_TMPDIR": "/tmp/r"} | ray_variables()
    assert any(f"--config.file={tmp_path}/monitoring/prometheus.yml" in line for line in lines)


def test_nothing_that_is_to_be_started_listens_beyond_this_machine(tmp_path: Path) -> None:
    lines = write_monitoring(tmp_path, {})
    assert [line for line in lines if "--web.listen-address=127.0.0.1:9090" in line]
    assert "http_addr = 127.0.0.1\n" in (tmp_path / "monitoring/grafana/grafana.ini").read_text()


def test_monitoring_written_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    assert write_monitoring(tmp_path, {}) == write_monitoring(tmp_path, {})


def test_each_metric_is_explained() -> None:
    explained = (Path(__file__).parents[2] / "docs" / "watching.md").read_text()
    assert [metric.name for metric in METRICS if not any(f"`{name}" in explained for name in metric.exported)] == [
        "nas_trial_phase_seconds"  # a histogram, explained by the name before its endings
    ]
    assert "`ray_nas_trial_phase_seconds{phase}`" in explained


def test_the_dashboards_line_says_how_to_log_in_where_a_token_is_asked_for() -> None:
    assert dashboard_line("http://127.0.0.1:8265", {}) == "Ray dashboard: http://127.0.0.1:8265"
    asked = dashboard_line("http://127.0.0.1:8265", {"RAY_AUTH_MODE": "token"})
    assert asked.startswith("Ray dashboard: http://127.0.0.1:8265 (it asks for a token, which this prints: ")
    assert asked.endswith("ray get-auth-token)")
