"""nas-search on a table of known accuracies, from its command line: nothing is trained, and Ray is never loaded."""

import csv
import itertools
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from latency import save_table
from latency.build_table import calibrated_table
from latency.device import load_device
from nas.commands import search as search_command
from search_spaces import load_arch, load_space
from tests.nas.events import scalars

SPACE = Path(__file__).parent.parent / "spaces" / "tiny.yaml"


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tokens", "accuracy", "latency_ms"])
        writer.writerows(rows)
    return path


def known(tokens):
    """Accuracy and latency of a network of four decisions: slower ones are better, the second decision decides most."""
    return 0.6 + 0.01 * sum(tokens) + 0.05 * tokens[1], 10.0 + 2 * sum(tokens)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """All 81 networks of four decisions with three choices each: 10 to 26 ms."""
    path = tmp_path_factory.mktemp("table") / "known.csv"
    networks = itertools.product(range(3), repeat=4)
    return write_table(path, [("".join(map(str, tokens)), *known(tokens)) for tokens in networks])


def run(*options, check=True):
    """Run the command in a process of its own, which says whether it loaded Ray."""
    code = (
        "import sys; from nas.commands.search import main\n"
        "try: main()\nfinally: print('ray' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


def search(table, out, *more):
    return ["--evaluator", "table", "--accuracies", table, "--target-ms", 18, "--seed", 3, "--out", out, *more]


def refuse(monkeypatch, capsys, *options):
    """Run the command, see that it ends with 2 and one line on stderr, and give that line."""
    monkeypatch.setattr(sys, "argv", ["nas-search", *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        search_command.main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    (line,) = printed.err.strip().splitlines()
    return line


def trials_of(folder):
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(table, tmp_path_factory):
    """A search that is to land on the target, at random but long enough to meet all, and what its command printed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    given = ["--reward", "absolute", "--controller", "random", "--trials", 400]
    return out, run(*search(table, out, *given, "--json"))


def test_a_search_on_a_table_leaves_the_files_of_a_run_and_never_loads_ray(whole_run):
    out, done = whole_run
    assert sorted(path.name for path in out.iterdir() if path.name != ".lock") == [
        "config.yaml",
        "controller.pt",
        "environment.json",
        "pareto.csv",
        "report.html",
        "seed.yaml",
        "tensorboard",
        "trials.jsonl",
        "updates.jsonl",
    ]
    assert done.stderr.splitlines()[-1] == "False"


def test_the_log_of_a_search_that_went_on_has_each_trial_once(table, tmp_path):
    out = tmp_path / "run"
    run(*search(table, out, "--trials", 20))
    run("--resume", out, "--trials", 30)
    rewards = [(step, value) for name, step, value in scalars(out) if name == "trial/reward"]
    assert rewards == [(trial["trial"], pytest.approx(trial["reward"], rel=1e-6)) for trial in trials_of(out)]
    assert len(rewards) == 30


def test_trials_have_the_accuracies_and_latencies_of_the_table(whole_run):
    trials = trials_of(whole_run[0])
    assert [trial["trial"] for trial in trials] == list(range(400))
    for trial in trials:
        assert (trial["accuracy"], trial["latency_ms"]) == pytest.approx(known(trial["tokens"]))
        assert trial["key"] == "-".join(map(str, trial["tokens"]))


def test_the_search_lands_on_the_target_with_the_best_network_of_that_latency(whole_run):
    # 18 ms are four tokens together; the best of those has the second decision at 2: 0.60 + 0.04 + 0.10
    answer = json.loads(whole_run[1].stdout.splitlines()[-1])
    assert (answer["latency_ms"], answer["accuracy"]) == (18.0, pytest.approx(0.74))
    assert (answer["hits_target"], answer["off_target"], answer["drift"]) == (True, 0.0, None)
    assert answer["final_accuracy"] is None


def test_the_terminal_is_told_the_table_its_latencies_and_that_nothing_was_trained(whole_run):
    told = whole_run[1].stderr
    assert "accuracies known.csv, 81 networks of 4 decisions" in told
    assert "latency of known.csv: 10.0 to 26.0 ms; of 81 networks half are below 18.0 ms" in told
    assert "accuracy: 74.00 %, as the table has it; without images there is no final training and no seed.onnx" in told


def test_a_seed_of_tokens_alone_has_its_figures_and_no_architecture(whole_run, table):
    seed = yaml.safe_load((whole_run[0] / "seed.yaml").read_text())
    assert (seed["latency_ms"], sum(seed["tokens"]), seed["tokens"][1]) == (18.0, 4, 2)
    assert seed["device"] == str(table)
    assert "arch" not in seed


def test_the_page_names_the_table_and_needs_no_space(whole_run):
    page = (whole_run[0] / "report.html").read_text(encoding="utf-8")
    assert "accuracies of known.csv, seed 3" in page
    assert "Accuracies are those of the table that the search read; nothing was trained." in page


def test_a_resumed_search_goes_on_to_what_it_would_have_been(table, tmp_path):
    run(*search(table, tmp_path / "whole", "--trials", 40))
    run(*search(table, tmp_path / "parts", "--trials", 17))
    run("--resume", tmp_path / "parts", "--trials", 40)
    assert trials_of(tmp_path / "parts") == trials_of(tmp_path / "whole")
    assert (tmp_path / "parts" / "updates.jsonl").read_text() == (tmp_path / "whole" / "updates.jsonl").read_text()


def test_another_tolerance_chooses_anew_without_a_trial(whole_run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    before = (out / "trials.jsonl").read_text()
    done = run("--resume", out, "--tolerance", "0.12", "--json")  # 15.84 to 20.16 ms: five tokens together will do
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["latency_ms"], answer["accuracy"]) == (20.0, pytest.approx(0.75))
    assert (out / "trials.jsonl").read_text() == before


def test_the_recorded_configuration_makes_the_same_search_again(whole_run, tmp_path):
    run("--config", whole_run[0] / "config.yaml", "--out", tmp_path / "again")
    assert trials_of(tmp_path / "again") == trials_of(whole_run[0])


def test_a_soft_search_that_drifts_says_how_far_and_shows_the_front_near_the_target(table, tmp_path):
    out = tmp_path / "run"
    done = run(*search(table, out, "--w", "0", "--controller", "random", "--trials", 400))
    # without a price on latency the slowest network is the best: 26 ms are 44.4 % above 18
    drift = (
        "the soft reward drifted: its best network lies 44.4 % above the target; --reward absolute lands on the target"
    )
    assert drift in done.stdout
    assert "the front within 15 % of the target:" in done.stdout
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "The front near the target" in page
    assert "its best network lies 44.4 % above the target" in page


def test_a_search_that_cannot_learn_says_so_when_it_shows_and_at_its_end(tmp_path):
    networks = itertools.product(range(3), repeat=4)
    rows = [("".join(map(str, tokens)), 0.7, known(tokens)[1]) for tokens in networks]
    out = tmp_path / "run"
    done = run(*search(write_table(tmp_path / "same.csv", rows), out, "--w", "0", "--trials", 60, "--json"))
    said = "the reward has not changed in 40 trials: there is nothing to learn from it"
    lines = done.stderr.splitlines()
    first = lines.index(f"warning: {said}")
    assert "60 trials, 0 failed" in lines[first + 1 :]
    assert f"warning: {said}" in lines[first + 1 :]
    assert json.loads(done.stdout.splitlines()[-1])["warnings"] == [said]
    assert f"<li>T{said[1:]}.</li>" in (out / "report.html").read_text(encoding="utf-8")


def test_the_gain_over_random_networks_is_that_over_the_mean_of_the_table(whole_run):
    # absolute reward, w -0.07: accuracy less 0.07 times the distance from 18 ms in shares of it, over all 81 networks
    networks = [known(tokens) for tokens in itertools.product(range(3), repeat=4)]
    mean = sum(accuracy - 0.07 * abs(ms / 18 - 1) for accuracy, ms in networks) / 81
    first = json.loads((whole_run[0] / "updates.jsonl").read_text().splitlines()[0])
    assert first["table_gain"] == pytest.approx(first["mean_reward"] - mean)
    assert first["decision_entropies"] == [1.0] * 4


def test_networks_without_an_accuracy_are_failed_trials(table, tmp_path):
    networks = list(itertools.product(range(3), repeat=4))
    rows = [("".join(map(str, t)), "" if t[3] == 1 else known(t)[0], known(t)[1]) for t in networks]
    run(*search(write_table(tmp_path / "gaps.csv", rows), tmp_path / "run", "--controller", "random", "--trials", 40))
    failed = [trial for trial in trials_of(tmp_path / "run") if trial["tokens"][3] == 1]
    assert failed
    assert {(t["state"], t["reward"], t["error"]) for t in failed} == {
        ("failed", 0.0, "it has no accuracy in the table")
    }


@pytest.fixture(scope="module")
def of_tiny(tmp_path_factory):
    """Accuracies of the tiny space without latencies, and a latency table for it."""
    folder = tmp_path_factory.mktemp("tiny")
    space = load_space(SPACE)
    save_table(calibrated_table(load_device("pixel1"), space.ops(), date(2026, 11, 29)), folder / "tiny.lut")
    rows = [("".join(map(str, t)), 0.5 + sum(t) / 100) for t in itertools.product(range(2), repeat=5)]
    (folder / "tiny.csv").write_text("tokens,accuracy\n" + "".join(f"{t},{a}\n" for t, a in rows), encoding="utf-8")
    return folder


def test_a_known_space_gives_latencies_by_its_table_and_a_seed_with_its_architecture(of_tiny, tmp_path):
    out = tmp_path / "run"
    given = ["--evaluator", "table", "--accuracies", of_tiny / "tiny.csv", "--space", SPACE]
    done = run(*given, "--device", of_tiny / "tiny.lut", "--target-ms", 0.5, "--trials", 20, "--out", out)
    assert f"latency of {SPACE} on {of_tiny / 'tiny.lut'}: " in done.stdout
    seed = yaml.safe_load((out / "seed.yaml").read_text())
    assert load_arch(out / "seed.yaml") == load_space(SPACE).decode(seed["tokens"])
    assert seed["accuracy"] == pytest.approx(0.5 + sum(seed["tokens"]) / 100)
    assert (out / "space.yaml").read_text() == SPACE.read_text()


TABLE = ["--evaluator", "table", "--target-ms", "18"]
BAD_OPTIONS = [
    (TABLE, "accuracies: evaluator table reads them from a file; give it with --accuracies FILE.csv"),
    (
        ["--accuracies", "known.csv", "--target-ms", "18"],
        "accuracies: they are what evaluator table reads; add --eval",
    ),
    ([*TABLE, "--accuracies", "nowhere.csv"], "cannot read nowhere.csv"),
    ([*TABLE, "--accuracies", "known.csv", "--data", "digits", "--workers", "2"], "leave --data, --workers away"),
    ([*TABLE, "--accuracies", "known.csv", "--device", "pixel1"], "has latencies of its own; leave --device away"),
    ([*TABLE, "--accuracies", "known.csv", "--space", str(SPACE)], "line 2: space 'tiny' takes 5 tokens, got 4"),
    (
        [*TABLE, "--accuracies", "known.csv", "--tolerance", "-1"],
        "tolerance: input should be greater than or equal to 0",
    ),
    (
        [*TABLE, "--accuracies", "known.csv", "--tolerance", "nan"],
        "tolerance: input should be less than 1, got nan",
    ),
    (["--evaluator", "tabel", "--target-ms", "18"], "evaluator: input should be 'training' or 'table', got 'tabel'"),
]


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS)
def test_a_mistake_in_the_options_is_one_line_and_exit_2(options, says, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known.csv").write_bytes(table.read_bytes())
    assert says in refuse(monkeypatch, capsys, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["known.csv"]


def test_a_target_out_of_the_tables_range_is_refused_with_the_range(table, tmp_path, monkeypatch, capsys):
    line = refuse(monkeypatch, capsys, "--evaluator", "table", "--accuracies", table, "--target-ms", 9)
    assert line == (
        "nas-search: no network can land on the target of 9 ms: the networks of known.csv take 10.0 to 26.0 ms"
    )


def test_a_table_without_latencies_needs_a_space(of_tiny, monkeypatch, capsys):
    line = refuse(monkeypatch, capsys, *TABLE, "--accuracies", of_tiny / "tiny.csv")
    assert "tiny.csv has no column latency_ms; add it, or give the --space whose networks it lists" in line


def test_resume_refuses_a_table_that_changed(table, tmp_path, monkeypatch, capsys):
    mine, out = tmp_path / "known.csv", tmp_path / "run"
    mine.write_bytes(table.read_bytes())
    run(*search(mine, out, "--controller", "random", "--trials", 5))
    mine.write_text(mine.read_text().replace("0000,0.6,", "0000,0.61,"))
    assert "the file of accuracies changed since the run in" in refuse(monkeypatch, capsys, "--resume", out)
