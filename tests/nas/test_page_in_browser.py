"""The pages as a reader has them: in a browser, on a desk, on a phone, on paper, and while a search runs."""

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nas.comparison import write_comparison
from nas.page_server import LivePage, PageServer
from nas.report import write_report
from nas.run_folder import RunFolder
from tests.nas.runs import CONFIG, SPACE, trial

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

FRONT = "#front .scatterlayer .trace:nth-child(2) .point"  # of the traces, the one of the Pareto front
WAIT_MS = 300_000  # a busy machine is no failure


def line(number: int, tokens: list[int], latency_ms: float, accuracy: float) -> str:
    return json.dumps(trial(number, tokens, latency_ms, accuracy)) + "\n"


TRIALS = [line(0, [0, 0], 10.0, 0.5), line(1, [0, 1], 14.0, 0.7), line(2, [1, 0], 16.0, 0.6)]
LAST = line(3, [1, 1], 20.0, 0.9)


def write_run(path: Path, trials: list[str], config: dict[str, Any] = CONFIG) -> Path:
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (path / "environment.json").write_text('{"python": "3.11.2"}', encoding="utf-8")
    (path / "space.yaml").write_text(SPACE, encoding="utf-8")
    (path / "trials.jsonl").write_text("".join(trials), encoding="utf-8")
    (path / "updates.jsonl").write_text('{"update": 1, "trials": 3, "entropy_share": 0.9}\n', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_run(tmp_path_factory.mktemp("pages") / "run", [*TRIALS, LAST])
    write_report(path)
    return path


@pytest.fixture(scope="module")
def comparison(run: Path) -> Path:
    long = "a-name-that-is-longer-than-a-phone-is-wide-" * 3
    other = write_run(run.parent / long, TRIALS, {**CONFIG, "target_ms": 12.0})
    return write_comparison([run, other], run.parent / "comparison.html")


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A tab that fails the test if a script of the page raised or the page's policy was broken."""
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        context.set_default_timeout(WAIT_MS)
        tab = context.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        yield tab
        assert errors == []


def middle(element: "Locator") -> tuple[float, float]:
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def widest(page: "Page") -> int:
    """How wide the page is; more than the screen means that it must be scrolled sideways."""
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def test_the_page_opens_from_disk_without_one_request(page: "Page", run: Path) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run / "report.html").as_uri())
    page.locator(FRONT).first.wait_for()
    page.wait_for_load_state("networkidle")
    assert requests == [(run / "report.html").as_uri()]


def test_the_front_has_as_many_points_as_the_table_of_it_has_rows(page: "Page", run: Path) -> None:
    folder = RunFolder.open(run)
    folder.write_pareto(folder.read_trials())
    with (run / "pareto.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    page.goto((run / "report.html").as_uri())
    page.locator(FRONT).first.wait_for()
    assert page.locator(FRONT).count() == len(rows) == 3


@pytest.mark.parametrize("index", [0, 1, 2])  # the second is the best network, under a star
def test_a_point_of_the_front_shows_its_network_when_the_mouse_is_over_it(page: "Page", run: Path, index: int) -> None:
    page.goto((run / "report.html").as_uri())
    page.mouse.move(*middle(page.locator(FRONT).nth(index)))
    label = page.locator("#front .hoverlayer .hovertext").first
    label.wait_for()
    assert ["dconv k3 16", "dconv k5 16", "mbconv3 k5 16"][index] in (label.text_content() or "")


def test_a_click_on_a_point_shows_the_blocks_of_its_network(page: "Page", run: Path) -> None:
    page.goto((run / "report.html").as_uri())
    page.mouse.click(*middle(page.locator(FRONT).nth(2)))
    page.locator("#picked").wait_for()
    assert page.locator("#picked-heading").inner_text() == "Trial 3: 20.00 ms, 90.00 %, reward 0.9000"
    block = page.locator("#picked tbody tr").nth(1).locator("td").all_inner_texts()
    assert block[:7] == ["1", "mbconv3", "5×5", "2", "24", "16", "–"]


def test_a_trial_is_found_by_its_number(page: "Page", run: Path) -> None:
    page.goto((run / "report.html").as_uri())
    page.fill("#trial", "0")
    page.press("#trial", "Enter")
    page.locator("#picked").wait_for()
    assert page.locator("#picked-heading").inner_text() == "Trial 0: 10.00 ms, 50.00 %, reward 0.5000"


def test_tokens_stand_for_a_network_where_the_run_has_no_space(page: "Page", tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*TRIALS, LAST])
    (run / "space.yaml").unlink()
    page.goto(write_report(run).as_uri())
    page.mouse.click(*middle(page.locator(FRONT).nth(2)))
    page.locator("#picked-heading").wait_for()
    assert page.locator("#picked-heading").inner_text() == "Trial 3: 20.00 ms, 90.00 %, reward 0.9000; tokens 1 1"
    assert page.locator("#picked table").is_hidden()
    assert "tokens 1 1" in (page.locator("#front .hoverlayer .hovertext").first.text_content() or "")


@pytest.mark.parametrize("which", ["report", "comparison"])
@pytest.mark.parametrize("width", [320, 360, 412])
def test_a_phone_need_not_scroll_sideways(
    browser: "Browser", run: Path, comparison: Path, which: str, width: int
) -> None:
    path = run / "report.html" if which == "report" else comparison
    phone = browser.new_context(viewport={"width": width, "height": 740}, is_mobile=True, has_touch=True)
    with phone as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(path.as_uri())
        page.locator(".js-plotly-plot .point").first.wait_for()
        assert widest(page) == width
        charts = page.locator(".js-plotly-plot .main-svg").evaluate_all(
            "all => all.map(svg => svg.getBoundingClientRect().right)"
        )
        assert max(charts) <= width


def test_a_tap_shows_the_blocks_too(browser: "Browser", run: Path) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto((run / "report.html").as_uri())
        page.touchscreen.tap(*middle(page.locator(FRONT).nth(0)))
        page.locator("#picked").wait_for()
        assert page.locator("#picked-heading").inner_text().startswith("Trial 0: 10.00 ms")


def test_on_paper_the_tables_are_open_and_what_is_for_screens_is_gone(page: "Page", run: Path) -> None:
    page.goto((run / "report.html").as_uri())
    page.locator(FRONT).first.wait_for()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#pick").is_hidden()
    assert page.locator("details:not([open])").count() == 0
    assert widest(page) == 718


def test_a_comparison_shows_the_fronts_of_all_runs_over_each_other(page: "Page", comparison: Path) -> None:
    page.goto(comparison.as_uri())
    page.locator("#fronts .point").first.wait_for()
    traces = page.locator("#fronts .scatterlayer .trace")
    # the front of each run and its best within the target; that of the second at 12 ms is trial 0
    assert [traces.nth(index).locator(".point").count() for index in range(traces.count())] == [3, 1, 2, 1]
    page.mouse.move(*middle(traces.nth(0).locator(".point").nth(2)))
    label = page.locator("#fronts .hoverlayer .hovertext").first
    label.wait_for()
    assert "mbconv3 k5 16" in (label.text_content() or "")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A run of three trials, and where its page is served."""
    run = write_run(tmp_path / "run", TRIALS)
    with PageServer(LivePage(run, clock=lambda: 0.0), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield run, server.url
        server.shutdown()
        thread.join()


def append(run: Path, text: str) -> None:
    with (run / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_served_page_shows_a_trial_that_has_just_finished(page: "Page", served: tuple[Path, str]) -> None:
    run, url = served
    page.goto(url)
    page.locator(FRONT).first.wait_for()
    assert page.locator(FRONT).count() == 2
    append(run, LAST)
    page.locator(FRONT).nth(2).wait_for()
    page.get_by_text("4 networks, 3 of them on the Pareto front").first.wait_for()


def test_what_was_clicked_opened_typed_and_zoomed_stays_when_the_page_changes(
    page: "Page", served: tuple[Path, str]
) -> None:
    run, url = served
    page.goto(url)
    page.mouse.click(*middle(page.locator(FRONT).nth(0)))
    page.locator("#picked").wait_for()
    page.get_by_text("The front as a table").click()
    page.evaluate("Plotly.relayout('front', {'xaxis.range': [9, 30], 'xaxis.autorange': false})")
    page.fill("#trial", "2")
    append(run, LAST)
    page.locator(FRONT).nth(2).wait_for()
    assert page.locator("#picked-heading").inner_text().startswith("Trial 0: 10.00 ms")
    assert page.locator("#picked").is_visible()
    assert page.locator("details[open]").count() == 1
    assert page.input_value("#trial") == "2"
    assert page.evaluate("document.activeElement.id") == "trial"
    assert page.evaluate("document.getElementById('front').layout.xaxis.range") == [9, 30]
    page.fill("#trial", "3")  # and the new trial can be asked for
    page.press("#trial", "Enter")
    page.get_by_text("Trial 3: 20.00 ms").wait_for()


def test_a_page_that_began_without_trials_gets_its_charts(page: "Page", tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    with PageServer(LivePage(run, clock=lambda: 0.0), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page.goto(server.url)
        page.get_by_text("This run has no finished trial yet.").wait_for()
        append(run, TRIALS[0])
        page.mouse.click(*middle(page.locator(FRONT).nth(0)))
        page.get_by_text("Trial 0: 10.00 ms").wait_for()
        assert page.locator(FRONT).count() == 1
        assert page.get_by_text("This run has no finished trial yet.").count() == 0
        server.shutdown()
        thread.join()


def test_a_served_page_asks_its_own_server_alone(page: "Page", served: tuple[Path, str]) -> None:
    requests: set[str] = set()
    page.on("request", lambda request: requests.add(request.url))
    run, url = served
    page.goto(url)
    append(run, LAST)
    page.locator(FRONT).nth(2).wait_for()
    assert requests - {f"{url}favicon.ico"} == {url, f"{url}version", f"{url}content"}


def test_a_served_page_says_when_its_server_is_gone(browser: "Browser", tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TRIALS)
    with browser.new_context() as context, PageServer(LivePage(run), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(server.url)
        page.get_by_text("Follows the search; this is how it was at").wait_for()
        server.shutdown()
        thread.join()
        server.server_close()
        told = page.get_by_text("The server of this page does not answer; this is what it showed last.")
        told.wait_for()
        assert told.is_visible()
        assert page.locator(FRONT).count() == 2  # and what it showed is still there
