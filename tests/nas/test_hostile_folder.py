"""A run folder from a stranger: reported or resumed, it runs nothing, writes nowhere else, is refused in a line."""

import io
import json
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from latency import LatencyTable, TableHeader, Timing, save_table
from nas.checkpoint import load_checkpoint
from nas.commands import report as report_command
from nas.commands import search as search_command
from nas.comparison import write_comparison
from nas.report import write_report
from nas.run_folder import RunFolder
from search_spaces import FileError, InputError, arch_to_dict, load_space
from tests.nas.runs import CONFIG, SPACE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CONFIG_TEXT = yaml.safe_dump(CONFIG)
WAIT_MS = 300_000  # a busy machine is no failure


def line(number: int = 3, tokens: tuple[int, ...] = (1, 1), **more: Any) -> str:
    row = {"trial": number, "tokens": tokens, "key": "".join(map(str, tokens)), "latency_ms": 10.0 + number}
    row |= {"accuracy": 0.5 + 0.1 * number, "reward": 0.5, "seconds": 30.0, "state": "finished", "error": None}
    return json.dumps(row | more) + "\n"


TRIALS = line(0, (0, 0)) + line(1, (0, 1)) + line(2, (1, 0)) + line()


def write_run(path: Path, config: str = CONFIG_TEXT, trials: str = TRIALS) -> Path:
    path.mkdir()
    (path / "config.yaml").write_text(config, encoding="utf-8")
    (path / "environment.json").write_text("{}", encoding="utf-8")
    (path / "space.yaml").write_text(SPACE, encoding="utf-8")
    (path / "trials.jsonl").write_text(trials, encoding="utf-8")
    (path / "updates.jsonl").write_text('{"update": 1, "trials": 3, "entropy_share": 0.9}\n', encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def page_data(page: Path) -> dict[str, Any]:
    """What the page's script reads; it takes JSON alone, where Python would let NaN pass."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = page.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    data: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return data


class Payload:
    """What runs when it is unpickled: it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def payloads(marker: Path) -> dict[str, bytes]:
    """The payload as a bare pickle and in both of torch's formats, alone and among what belongs there."""
    files = {"pickle": pickle.dumps(Payload(marker))}
    for name, zipped in (("torch", True), ("old torch", False)):
        buffer = io.BytesIO()
        values = {"controller": {"policy": torch.zeros(2), "more": Payload(marker)}, "progress": {}, "format": 1}
        torch.save(values, buffer, _use_new_zipfile_serialization=zipped)
        files[name] = buffer.getvalue()
    return files


KINDS = ["pickle", "torch", "old torch"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_payload_of_these_tests_would_run(tmp_path: Path, kind: str) -> None:
    content = payloads(tmp_path / "ran")[kind]
    if kind == "pickle":
        pickle.loads(content)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_runs_nothing_of_the_folders_pickles(run: Path, tmp_path: Path, kind: str) -> None:
    for name in ("controller.pt", "seed.pt"):
        (run / name).write_bytes(payloads(tmp_path / "ran")[kind])
    write_report(run)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_read_without_running_what_is_in_their_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "seed.pt").write_bytes(payloads(tmp_path / "ran")[kind])
    with warnings.catch_warnings(action="ignore"), pytest.raises(FileError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "seed.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_search_runs_nothing_of_the_folders_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    table = tmp_path / "known.csv"
    networks = [f"{a}{b},{0.5 + 0.1 * a + 0.1 * b},{10 + a + b}" for a in range(3) for b in range(3)]
    table.write_text("\n".join(["tokens,accuracy,latency_ms", *networks]) + "\n", encoding="utf-8")
    out = tmp_path / "run"

    def search(*options: str) -> object:
        monkeypatch.setattr(sys, "argv", ["nas-search", *options])
        with pytest.raises(SystemExit) as end:
            search_command.main()
        return end.value.code

    given = ["--evaluator", "table", "--accuracies", str(table), "--target-ms", "12", "--controller", "reinforce"]
    assert search(*given, "--trials", "10", "--out", str(out)) == 0
    for name in ("controller.pt", "seed.pt"):
        (out / name).write_bytes(payloads(tmp_path / "ran")[kind])
    assert search("--resume", str(out), "--trials", "15") == 0
    assert len(RunFolder.open(out).read_trials()) == 15
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["config.yaml", "space.yaml", "seed.yaml"])
@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir [{ran}]",
        "!!python/object/new:os.mkdir [{ran}]",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!!python/tuple [1]",
    ],
)
def test_yaml_makes_plain_data_alone(run: Path, tmp_path: Path, name: str, tag: str) -> None:
    (run / name).write_text(f"{CONFIG_TEXT}x: {tag.format(ran=tmp_path / 'ran')}\n", encoding="utf-8")
    with pytest.raises(FileError, match=rf"{name} is not YAML: could not determine a constructor"):
        write_report(run)
    assert not (tmp_path / "ran").exists()


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{step}: &a{step} [{', '.join([f'*a{step - 1}'] * 10)}]\n" for step in range(1, 9)
)
MERGED = "a0: &a0 {k: v}\n" + "".join(
    f"a{step}: &a{step}\n  <<: [{', '.join([f'*a{step - 1}'] * 10)}]\n" for step in range(1, 9)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{step}: &a{step} [*a{step - 1}]\n" for step in range(1, 500))
TOO_MUCH = "stands for more than 1,000,000 entries or 100 levels"


@pytest.mark.parametrize("name", ["config.yaml", "space.yaml", "seed.yaml"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(BOMB, TOO_MUCH, id="aliases of aliases"),
        pytest.param(MERGED, TOO_MUCH, id="merges of merges"),
        pytest.param(CHAIN, TOO_MUCH, id="a chain of aliases"),
        pytest.param("x: &x [*x]\n", "an alias stands for what it is part of", id="a list in itself"),
        pytest.param("x: &x {a: *x}\n", "an alias stands for what it is part of", id="a mapping in itself"),
        pytest.param("x: " + "[" * 3000 + "]" * 3000, "is nested too deeply; 100 levels are allowed", id="deep"),
        pytest.param("x: " + "9" * 5000, "cannot be read: Exceeds the limit", id="a number without end"),
        pytest.param("x: 2001-99-99", "cannot be read: month must be in 1..12", id="a date that is none"),
    ],
)
def test_yaml_that_is_more_than_it_seems_is_refused(run: Path, name: str, text: str, message: str) -> None:
    (run / name).write_text(f"{CONFIG_TEXT}{text}", encoding="utf-8")
    with pytest.raises(FileError, match=rf"{name}.* {message}"):
        write_report(run)


DEEP_JSON = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("environment.json", DEEP_JSON, id="deep environment"),
        pytest.param(
            "environment.json",
            '{"a": NaN, "b": 1e999, "c": "\\ud800", "__proto__": {"toString": 1}, "d": ' + "9" * 4000 + "}",
            id="odd environment",
        ),
        pytest.param("environment.json", '{"a": ' + "9" * 5000 + "}", id="endless number in the environment"),
        pytest.param("updates.jsonl", DEEP_JSON, id="deep updates"),
        pytest.param("updates.jsonl", '{"trials": ' + "9" * 400 + ', "entropy_share": 1}\n', id="huge update"),
        pytest.param("updates.jsonl", '{"trials": NaN, "entropy_share": Infinity}\n', id="update without numbers"),
        pytest.param(
            "updates.jsonl",
            '{"trials": 1e308, "entropy_share": 1e308, "policy_change": 1e308, "decision_entropies": [1e308]}\n' * 3,
            id="update of other decisions",
        ),
        pytest.param("trials.jsonl", line(number=-1, latency_ms=-5.0, accuracy=-2.0, seconds=-1.0), id="negative"),
        pytest.param("trials.jsonl", line(latency_ms=1e308, accuracy=1e308, seconds=1e308) * 2, id="huge trials"),
        pytest.param("trials.jsonl", line(key="__proto__"), id="prototype"),
        pytest.param("config.yaml", "target_ms: " + "9" * 400, id="huge target"),
        pytest.param("config.yaml", "{target_ms: .nan, tolerance: .inf}", id="target that is no number"),
        pytest.param("config.yaml", "{target_ms: [1], device: {a: 1}, controller: [x], reward: [], w: {}}", id="types"),
        pytest.param("config.yaml", 'device: "a\\0b"', id="device with a zero byte"),
        pytest.param("config.yaml", "device: /dev/zero", id="device without an end"),
        pytest.param("config.yaml", f"device: {'a' * 5000}", id="device with a long name"),
        pytest.param(
            "seed.yaml", f"{{trial: x, latency_ms: [1], accuracy: {'9' * 400}, final: {{accuracy: .inf}}}}", id="seed"
        ),
    ],
)
def test_numbers_and_types_that_no_search_writes_leave_a_page_that_a_browser_reads(
    run: Path, name: str, text: str
) -> None:
    (run / name).write_text(text, encoding="utf-8")
    assert "charts" in page_data(write_report(run))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(DEEP_JSON, "line 1 is not a trial", id="deep"),
        pytest.param(line().replace("13.0", "NaN"), "line 1 is not a trial: latency_ms", id="no number"),
        pytest.param(line().replace("13.0", "1e999"), "line 1 is not a trial: latency_ms", id="infinite"),
        pytest.param(line().replace('"trial": 3', '"trial": ' + "9" * 5000), "line 1 is not a trial", id="endless"),
        pytest.param(line(tokens=(0,)) + line(), "of different numbers of tokens", id="ragged"),
        pytest.param(line(tokens=(10**18, 0)), "must be 0 to 1", id="token out of range"),
        pytest.param(line(error="\ud800"), "line 1 is not a trial", id="half a character"),
    ],
)
def test_trials_that_no_search_writes_are_named(run: Path, text: str, message: str) -> None:
    (run / "trials.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        write_report(run)


@pytest.mark.parametrize("name", [".report.html", "trials.jsonl", ".pareto.csv", ".lock", "report.html"])
def test_links_that_lead_out_of_the_folder_are_refused_before_anything_is_written(
    run: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(precious)
    message = f"{name} in {run} lead out of it; put the files themselves there\n"
    for command, options in (
        (report_command, ["nas-report", str(run)]),
        (search_command, ["nas-search", "--resume", str(run)]),
    ):
        monkeypatch.setattr(sys, "argv", options)
        with pytest.raises(SystemExit) as end:
            command.main()
        assert (end.value.code, capsys.readouterr().err) == (2, f"{options[0]}: {message}")
    assert precious.read_text(encoding="utf-8") == "mine"


def test_a_page_beside_a_link_that_has_its_temporary_name_overwrites_nothing(run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (tmp_path / ".page.html").symlink_to(precious)
    write_report(run, tmp_path / "page.html")
    assert precious.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "page.html").is_symlink()


def test_nothing_of_this_process_surroundings_is_on_the_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-secret-token")
    monkeypatch.setenv("HOME", "/home/a-secret-name")
    page = write_report(run).read_text(encoding="utf-8")
    assert "a-secret" not in page


SCRIPTS = (
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "\"><svg onload='window.ran = 1'>",
    "<a href='javascript:window.ran = 1'>here</a>",
    "'-(window.ran=1)-'",
    "{{ 7 * 7 }}{% raw %}",
    "%{x}<br><b>",
)


def planted(kind: str) -> str:
    """All of them in one string, which says where it was planted."""
    return f"{kind}: {' '.join(SCRIPTS)}"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with scripts wherever a string can go."""
    table = tmp_path / f"table {SCRIPTS[1]}.lut"
    names = ("controller", "data", "reward", "evaluator", "w", "seed", "accuracies")
    config = {name: planted(name) for name in names} | {"target_ms": 15.0, "device": str(table)}
    config |= {"space": planted("space"), planted("key"): {planted("inner key"): [planted("item")]}}
    failed = line(4, accuracy=None, reward=0.0, state="failed", error=planted("error"), key=planted("failed key"))
    trials = "".join(line(n, (n // 2, n % 2), key=planted(f"key {n}")) for n in range(4)) + failed
    run = write_run(tmp_path / f"run {SCRIPTS[1]}", yaml.safe_dump(config), trials)
    (run / "space.yaml").write_text(SPACE.replace("tiny", json.dumps(planted("space name"))), encoding="utf-8")
    (run / "environment.json").write_text(json.dumps({planted("name"): planted("value")}), encoding="utf-8")
    updates = [{"update": n, "trials": n, "entropy_share": 0.5, planted("figure"): 1.0} for n in (1, 2)]
    updates = [{**update, "decision_entropies": [0.5, 0.9]} for update in updates]
    (run / "updates.jsonl").write_text("".join(json.dumps(update) + "\n" for update in updates), encoding="utf-8")
    space = load_space(run / "space.yaml")
    seed = {"arch": arch_to_dict(space.decode([0, 1])), "trial": 1, "latency_ms": 11.0, "accuracy": 0.6, "reward": 0.5}
    seed[planted("fact")] = {planted("inner fact"): planted("text")}
    (run / "seed.yaml").write_text(yaml.safe_dump(seed), encoding="utf-8")
    ops = space.ops()
    header = TableHeader(
        device=planted("table's device"),
        provenance="measured",
        runtime=planted("runtime"),
        runtime_version=planted("version"),
        threads=1,
        dtype="float32",
        clock_policy=planted("clock"),
        date=date(2026, 1, 2),
        entries=len(ops),
        overhead_ms=0.5,
        notes=planted("notes"),
    )
    save_table(LatencyTable(header, {op: Timing(1.0) for op in ops}), table)
    return run


@pytest.fixture
def looked_at(browser: "Browser") -> Iterator[Any]:
    """Open a page, move over all of its points and click on one, and give what stands in it and what ran."""
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        context.set_default_timeout(WAIT_MS)
        tab = context.new_page()
        told: list[str] = []
        tab.on("pageerror", lambda error: told.append(str(error)))
        tab.on("console", lambda message: told.append(message.text))  # a broken policy is told here
        tab.on("dialog", lambda dialog: told.append(dialog.message))
        tab.on("request", lambda request: told.append(request.url))

        def look(path: Path) -> tuple[Any, list[str]]:
            tab.goto(path.as_uri())
            tab.locator(".js-plotly-plot .point").first.wait_for()
            for point in tab.locator(".js-plotly-plot .point").all():
                point.scroll_into_view_if_needed()
                box = point.bounding_box()
                assert box is not None
                tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            tab.mouse.down()
            tab.mouse.up()
            found = tab.evaluate(
                """() => ({
                    ran: window.ran ?? null,
                    scripts: document.scripts.length,
                    foreign: document.querySelectorAll(
                        "img, iframe, object, embed, base, form[action], a:not(.modebar-btn)[href], a[*|href]"
                    ).length,
                    handlers: document.evaluate("count(//@*[starts-with(name(), 'on')])", document).numberValue,
                    text: document.body.innerText,
                })"""
            )
            return found, [each for each in told if each != path.as_uri()]

        yield look


def test_scripts_in_a_folder_are_text_on_its_page(hostile: Path, looked_at: Any) -> None:
    found, told = looked_at(write_report(hostile))
    assert (found["ran"], found["scripts"], found["foreign"], found["handlers"]) == (None, 3, 0, 0)
    assert told == []
    for place in ("controller", "inner key", "item", "error", "name", "value", "table's device", "data"):
        assert planted(place) in " ".join(found["text"].split()), place


def test_scripts_in_folders_are_text_on_the_page_that_compares_them(hostile: Path, looked_at: Any) -> None:
    other = write_run(hostile.parent / "other")
    found, told = looked_at(write_comparison([hostile, other], hostile.parent / "comparison.html"))
    assert (found["ran"], found["scripts"], found["foreign"], found["handlers"]) == (None, 3, 0, 0)
    assert told == []
    for place in ("controller", "data", "value"):
        assert planted(place) in " ".join(found["text"].split()), place
    assert hostile.name in found["text"]
