"""The page on a run, from a run folder written by hand."""

import json
import re
import sys
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from latency import LatencyTable, TableHeader, Timing, save_table
from nas.commands import report
from nas.report import write_report
from search_spaces import FileError, InputError, arch_to_dict, load_space
from tests.nas.runs import SPACE, trial

HOSTILE = "<script>alert('x')</script>"


TRIALS = [
    trial(0, [0, 0], 10.0, 0.5),
    trial(1, [0, 1], 14.0, 0.7),
    trial(2, [1, 0], 16.0, 0.6),  # beaten by trial 1: slower and less accurate
    trial(3, [1, 1], 20.0, 0.9),
    trial(4, [0, 1], 14.0, 0.7, state="reused", seconds=0.0),
    trial(5, [1, 1], 20.0, None, state="failed", error="training diverged: loss is nan"),
]
UPDATES = [{"update": 1, "trials": 3, "entropy_share": 1.0}, {"update": 2, "trials": 6, "entropy_share": 0.75}]
CONFIG = {
    "target_ms": 15.0,
    "w": -0.15,
    "reward": "soft",
    "device": "no-such-device",
    "space": "tiny",
    "data": "digits",
}


def write_run(path: Path, trials: list[dict[str, Any]], config: dict[str, Any] = CONFIG) -> Path:
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (path / "environment.json").write_text('{"python": "3.11.2", "packages": {"torch": "2.13.0"}}', encoding="utf-8")
    (path / "space.yaml").write_text(SPACE, encoding="utf-8")
    (path / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in trials), encoding="utf-8")
    (path / "updates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in UPDATES), encoding="utf-8")
    return path


def write_seed(run: Path) -> None:
    arch = load_space(run / "space.yaml").decode([0, 1])
    seed = {
        "arch": arch_to_dict(arch),
        "trial": 1,
        "tokens": [0, 1],
        "latency_ms": 14.0,
        "accuracy": 0.7,
        "reward": 0.7,
    }
    seed["final"] = {"accuracy": 0.9625, "epochs": 30}
    (run / "seed.yaml").write_text(yaml.safe_dump(seed), encoding="utf-8")


def write_table(path: Path, run: Path) -> None:
    """A device on which every Op takes 1 ms, and every network 0.5 ms besides."""
    ops = load_space(run / "space.yaml").ops()
    header = TableHeader(
        device="ticker",
        provenance="measured",
        runtime="none",
        runtime_version="1",
        threads=1,
        dtype="float32",
        clock_policy="fixed",
        date=date(2026, 1, 2),
        entries=len(ops),
        overhead_ms=0.5,
    )
    save_table(LatencyTable(header, {op: Timing(1.0) for op in ops}), path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = write_run(tmp_path / "run", TRIALS)
    write_seed(path)
    return path


def words(page: str) -> str:
    """What a reader sees: the page without scripts, styles and tags."""
    visible = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", visible)).split())


def data_of(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert match
    data: dict[str, Any] = json.loads(match[1])
    return data


def page_of(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page on the run above, with its seed."""
    path = write_run(tmp_path_factory.mktemp("report") / "run", TRIALS)
    write_seed(path)
    return page_of(path)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process, and give its exit status."""
    monkeypatch.setattr(sys, "argv", ["nas-report", *arguments])
    with pytest.raises(SystemExit) as end:
        report.main()
    return int(end.value.code or 0)


def test_page_begins_with_the_seed_and_its_distance_from_the_target(page: str) -> None:
    text = words(page)
    assert "Search for 15 ms on no-such-device" in text
    assert "Seed, after final training 96.25 %" in text
    assert "Seed, in the search 70.00 % trial 1" in text
    assert "Latency 14 ms 1.00 ms (6.7 %) under the target of 15 ms" in text
    assert "Trials 6 4 finished, 1 reused, 1 failed" in text
    assert "Training in the search 2 min 30 s" in text  # five trials of 30 s


def test_chart_of_the_front_shows_all_networks_the_front_the_seed_and_the_target(page: str) -> None:
    chart = data_of(page)["charts"]["front"]
    traces = {trace["name"]: trace for trace in chart["data"]}
    assert traces["networks"]["x"] == [10.0, 14.0, 16.0, 20.0]
    assert traces["networks"]["marker"]["color"] == [0, 1, 2, 3]
    assert traces["Pareto front"]["x"] == [10.0, 14.0, 20.0]
    assert traces["Pareto front"]["y"] == [50.0, 70.0, 90.0]
    assert traces["seed"]["x"] == [14.0]
    assert traces["networks"]["customdata"][0] == [0, 0.5, "stem 8 · dconv k3 16 · head 32"]
    assert chart["layout"]["shapes"][0]["x0"] == 15.0


def test_front_is_told_in_words_and_in_a_table(page: str) -> None:
    text = words(page)
    assert "4 networks, 3 of them on the Pareto front, which runs from 50.00 % at 10 ms to 90.00 % at 20 ms." in text
    assert "1 14.00 70.00 0.7000 stem 8 · dconv k5 16 · head 32" in text


def test_chart_of_rewards_keeps_failures_apart_and_shows_the_running_best(page: str) -> None:
    traces = {trace["name"]: trace for trace in data_of(page)["charts"]["rewards"]["data"]}
    assert traces["finished"]["y"] == [0.5, 0.7, 0.6, 0.9]
    assert traces["reused"]["x"] == [4]
    assert traces["failed"]["x"] == [5]
    assert traces["best so far"]["y"] == [0.5, 0.7, 0.7, 0.9, 0.9]


def test_chart_of_the_policy_shows_its_share_of_the_greatest_entropy(page: str) -> None:
    trace = data_of(page)["charts"]["entropy"]["data"][0]
    assert (trace["x"], trace["y"]) == ([3.0, 6.0], [100.0, 75.0])
    assert "went from 100 to 75 in 2 policy updates" in words(page)


def test_a_single_policy_update_is_told_as_one(run: Path) -> None:
    (run / "updates.jsonl").write_text('{"update": 1, "trials": 5, "entropy_share": 0.5}\n', encoding="utf-8")
    assert "Entropy (% of the maximum) was 50 after the only policy update." in words(page_of(run))


def write_updates(run: Path, updates: list[dict[str, Any]]) -> None:
    (run / "updates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in updates), encoding="utf-8")


def test_health_has_a_chart_for_each_figure_that_updates_recorded(run: Path) -> None:
    told = {"entropy_share": 0.9, "model_gain": 0.012, "repeated_share": 0.25, "policy_change": 0.5}
    write_updates(run, [{"update": 1, "trials": 3, "advantage_std": 0.02, "mean_reward": 0.7, **told}])
    page = page_of(run)
    charts, text = data_of(page)["charts"], words(page)
    assert {"entropy", "gain", "repeats", "advantages", "steps"} <= charts.keys()
    assert "decisions" not in charts  # an older run did not record each
    assert charts["gain"]["data"][0]["y"] == [1.2]
    assert "No warning was raised." in text
    assert "The rewards of the last update's networks lay +1.2 points off those of random networks" in text
    assert "25 % had been proposed before" in text
    assert "standard deviation of 2 points" in text
    assert "after 3 trials, moved the policy by 0.5 nats a decision" in text


def test_the_entropy_of_each_decision_is_a_map_with_their_names(run: Path) -> None:
    tokens = len(load_space(run / "space.yaml").sizes)
    open_, settled = [1.0] * tokens, [0.5, 0.01] + [1.0] * (tokens - 2)
    write_updates(
        run,
        [
            {"update": 1, "trials": 3, "entropy_share": 1.0, "decision_entropies": open_},
            {"update": 2, "trials": 6, "entropy_share": 0.9, "decision_entropies": settled},
        ],
    )
    page = page_of(run)
    trace = data_of(page)["charts"]["decisions"]["data"][0]
    assert trace["x"] == [3, 6]
    assert trace["y"][:2] == [decision.name for decision in load_space(run / "space.yaml").decisions[:2]]
    assert trace["z"][1] == [100.0, 1.0]
    assert f"1 of {tokens} decisions have settled (less than 2 % of the entropy is left): {trace['y'][1]}." in words(
        page
    )


def test_warnings_of_the_run_stand_under_health(run: Path) -> None:
    write_updates(run, [{"update": 1, "trials": 6, "entropy_share": 0.1, "policy_change": 12.0}])
    text = words(page_of(run))
    assert "Update 1, after 6 trials, moved the policy by 12 nats a decision" in text
    assert "No warning was raised" not in text


@pytest.mark.parametrize("content", [None, "", '{"update": 1, "trials": 3, "baseline": 0.5}\n{"upda'])
def test_page_goes_without_entropy_where_none_was_recorded(run: Path, content: str | None) -> None:
    (run / "updates.jsonl").unlink()
    if content is not None:
        (run / "updates.jsonl").write_text(content, encoding="utf-8")
    page = page_of(run)
    assert "entropy" not in data_of(page)["charts"]
    assert "Entropy of the policy" not in words(page)


def test_seed_is_a_table_of_blocks(page: str) -> None:
    text = words(page)
    assert "The seed stem 8 · dconv k5 16 · head 32" in text
    # depthwise 25*8 weights and projection 8*16, on a map of 8x8: 328 * 64 MACs; 328 + 2 * (8 + 16) parameters
    assert "1 dconv 5×5 2 – 16 – relu – 8×8 0.02 0.4 – –" in text
    assert "the latency table of this run is not at hand" in text


def test_times_of_blocks_stand_beside_them_where_the_table_is_at_hand(tmp_path: Path) -> None:
    table = tmp_path / "ticker.lut"
    run = write_run(tmp_path / "run", TRIALS, {**CONFIG, "device": str(table)})
    write_seed(run)
    write_table(table, run)
    page = page_of(run)
    # stem, block, head convolution, pool, classifier: 5 ms, and 0.5 ms besides; 1 / 5.5 = 18.2 %
    assert "16 – relu – 8×8 0.02 0.4 1.000 18.2 %" in words(page)
    assert re.search(r"Total, with 0\.500 ms once a network [\d.]+ [\d.]+ 5\.500", words(page))
    assert "ticker: measured" in words(page)
    assert data_of(page)["overhead_ms"] == 0.5


def test_script_knows_the_rows_of_every_trial(page: str) -> None:
    data = data_of(page)
    rows = [data["rows"][index] for index in data["networks"][data["trials"]["4"]["network"]]]
    assert [row[0][1] for row in rows] == ["conv", "dconv", "conv", "average pool", "linear"]
    assert rows[1][0][2] == "5×5"
    assert rows[1][1:] == [328 * 64, 376, None]


def test_rows_that_networks_share_are_written_once(page: str) -> None:
    # one stem, four blocks, one head of three: the four networks have 20 rows together
    assert len(data_of(page)["rows"]) == 8


def test_failed_trials_stand_with_their_errors(page: str) -> None:
    assert "Failed trials Trial Error 5 training diverged: loss is nan" in words(page)


def test_configuration_and_environment_are_shown_in_full(page: str) -> None:
    text = words(page)
    assert "w -0.15" in text
    assert "packages.torch 2.13.0" in text


def test_text_from_files_is_never_markup(tmp_path: Path) -> None:
    config = {**CONFIG, "device": HOSTILE, "data": f'"{HOSTILE}', HOSTILE: {HOSTILE: [HOSTILE]}}
    rows = [*TRIALS, trial(6, [0, 0], 10.0, None, state="failed", error=HOSTILE)]
    run = write_run(tmp_path / "run", [{**row, "key": HOSTILE + row["key"]} for row in rows], config)
    (run / "environment.json").write_text(json.dumps({HOSTILE: HOSTILE}), encoding="utf-8")
    page = page_of(run)
    assert "<script>alert" not in page
    assert f"Search for 15 ms on {HOSTILE}" in words(page)


def test_page_asks_for_nothing_from_outside_and_runs_only_its_own_scripts(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = unescape(policy[1])
    assert rules.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src 'sha256-")
    assert "http" not in rules
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(src|href)=", markup)


def test_half_a_last_line_is_left_out(run: Path) -> None:
    with (run / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"trial": 6, "tokens": [0, 0], "latency_ms": 1')
    assert "Trials 6 4 finished" in words(page_of(run))


def test_damage_within_the_trials_is_named(run: Path) -> None:
    lines = (run / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    (run / "trials.jsonl").write_text("\n".join([lines[0], "half", *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"trials\.jsonl line 2 is not a trial"):
        write_report(run)


def test_a_run_without_trials_says_so(tmp_path: Path) -> None:
    text = words(page_of(write_run(tmp_path / "run", [])))
    assert "This run has no finished trial yet." in text
    assert "Accuracy over latency" not in text


def test_a_run_of_failures_says_so_and_lists_them(tmp_path: Path) -> None:
    text = words(page_of(write_run(tmp_path / "run", TRIALS[5:])))
    assert "No network of this run has an accuracy: all trials failed." in text
    assert "training diverged: loss is nan" in text


def test_a_search_without_a_seed_shows_its_best_network_within_the_target(tmp_path: Path) -> None:
    text = words(page_of(write_run(tmp_path / "run", TRIALS)))
    assert "Best network so far, in the search 70.00 % trial 1" in text
    assert "The best network so far stem 8 · dconv k5 16 · head 32" in text


def test_a_run_without_its_space_still_has_its_charts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TRIALS)
    (run / "space.yaml").unlink()
    assert sorted(data_of(page_of(run))["charts"]) == ["entropy", "front", "rewards"]


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        write_report(tmp_path)


def test_command_writes_the_page_and_says_where(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, str(run), "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"report": str(run / "report.html")}
    assert (run / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_command_refuses_a_folder_without_a_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, str(tmp_path)) == 2
    assert capsys.readouterr().err == (
        f"nas-report: {tmp_path} holds no run (no config.yaml); give the folder that nas-search wrote to\n"
    )
