"""nas-search from its command line: real data, real Ray, real files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image

from latency import load_table, save_table
from latency.build_table import calibrated_table
from latency.device import load_device
from nas.commands import search as search_command
from search_spaces import load_arch, load_space
from tests.nas.sockets import LOOPBACK, listening

SPACE = Path(__file__).parent.parent / "spaces" / "tiny.yaml"
COMMAND = [sys.executable, "-W", "ignore", "-m", "nas.commands.search"]
SMALL_TASK = {
    "proxy": {
        "resolution": 16,
        "train_images": 256,
        "validation_images": 100,
        "recipe": {"epochs": 1, "least_steps": 0},
    },
    "final": {"epochs": 2, "least_steps": 0},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table for the tiny space, as nas-build-lut makes it."""
    path = tmp_path_factory.mktemp("table") / "tiny.lut"
    save_table(calibrated_table(load_device("pixel1"), load_space(SPACE).ops(), date(2026, 11, 21)), path)
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(SMALL_TASK))
    return path


def arguments(table, config, out, trials=6):
    flags = {"target-ms": 0.5, "w": -0.15, "space": SPACE, "device": table, "config": config, "out": out, "seed": 3}
    listed = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    return [*listed, "--trials", str(trials), "--workers", "1"]


def run_search(*options, check=True):
    done = subprocess.run([*COMMAND, *map(str, options)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


def trials_of(run):
    """All of a run's trials without their seconds, which no two runs share."""
    lines = (run / "trials.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def whole_run(table, config, tmp_path_factory):
    """One search that nothing interrupted, and what its command printed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, run_search(*arguments(table, config, out), "--json")


def test_a_search_ends_with_all_the_files_of_a_run(whole_run):
    out, _ = whole_run
    expected = ["config.yaml", "controller.pt", "environment.json", "pareto.csv", "report.html", "seed.onnx"]
    expected += ["seed.pt", "seed.yaml", "space.yaml", "trials.jsonl", "updates.jsonl"]
    assert [name for name in expected if not (out / name).is_file()] == []
    assert [trial["trial"] for trial in trials_of(out)] == [0, 1, 2, 3, 4, 5]


def test_the_seed_file_is_a_network_with_the_figures_of_its_trial(whole_run, table):
    out, _ = whole_run
    seed = yaml.safe_load((out / "seed.yaml").read_text())
    trial = trials_of(out)[seed["trial"]]
    assert (seed["accuracy"], seed["latency_ms"], seed["tokens"]) == (
        trial["accuracy"],
        trial["latency_ms"],
        trial["tokens"],
    )
    arch = load_arch(out / "seed.yaml")
    assert arch.key == trial["key"]
    assert load_table(table).estimate_ms(arch) == pytest.approx(trial["latency_ms"])


def test_the_onnx_file_classifies_images_of_the_proxy_task_in_any_batch(whole_run):
    out, _ = whole_run
    session = onnxruntime.InferenceSession(out / "seed.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    assert logits.shape == (3, 10)


def test_the_last_line_with_json_is_for_programs_and_the_rest_goes_to_the_terminal(whole_run):
    out, done = whole_run
    answer = json.loads(done.stdout)
    assert answer["trials"] == 6
    assert answer["run"] == str(out)
    assert answer["deployed_host_ms"] > 0
    assert "from the target of 0.5 ms" in " ".join(done.stderr.split())
    assert "% overhead" in done.stderr


def test_the_same_command_gives_the_same_tokens_and_rewards(whole_run, table, config, tmp_path):
    run_search(*arguments(table, config, tmp_path / "again"))
    assert trials_of(tmp_path / "again") == trials_of(whole_run[0])


def test_a_search_killed_at_several_moments_resumes_to_what_it_would_have_been(whole_run, table, config, tmp_path):
    out = tmp_path / "killed"
    command = [*COMMAND, *arguments(table, config, out)]
    # soon after the start, in the middle, and in the final training; each at a random moment
    print("moments of killing from seed", seed := random.SystemRandom().randrange(10**6))
    rng = random.Random(seed)
    for finished in (0, rng.randint(1, 3), rng.randint(3, 5), 6):
        extra_seconds = rng.uniform(0, 0.4)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (out / "config.yaml").exists() or len(trials_of(out)) < finished:
            assert process.poll() is None, "the search ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(extra_seconds)
        before = trials_of(out)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert trials_of(out)[: len(before)] == before
        command = [*COMMAND, "--resume", str(out)]
    run_search("--resume", out)
    assert trials_of(out) == trials_of(whole_run[0])
    assert (out / "updates.jsonl").read_text() == (whole_run[0] / "updates.jsonl").read_text()


def test_a_finished_run_can_be_given_a_larger_budget(whole_run, table, config, tmp_path):
    out = tmp_path / "more"
    run_search(*arguments(table, config, out, trials=4))
    run_search("--resume", out, "--trials", "6")
    assert trials_of(out) == trials_of(whole_run[0])


def test_a_finished_run_is_not_trained_again(whole_run):
    out, _ = whole_run
    before = (out / "seed.yaml").read_bytes()
    done = run_search("--resume", out)
    assert "training the seed" not in done.stdout
    assert (out / "seed.yaml").read_bytes() == before
    assert "6 trials, 0 failed" in done.stdout


def test_ctrl_c_finishes_what_runs_and_sigterm_ends_and_both_say_how_to_go_on(whole_run, table, config, tmp_path):
    out = tmp_path / "run"
    begun, resumed = [*COMMAND, *arguments(table, config, out, 500)], [*COMMAND, "--resume", str(out)]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    for command, number, code in ((begun, signal.SIGINT, 130), (resumed, signal.SIGTERM, 143)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bare)
        count = len(trials_of(out)) if (out / "config.yaml").exists() else 0
        deadline = time.monotonic() + 120
        while not (out / "config.yaml").exists() or len(trials_of(out)) <= count:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if Path("/proc/net/tcp").exists():
            assert listening(process.pid) <= LOOPBACK
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == code
        assert ("stopping: trials that run are finished first" in printed) == (number == signal.SIGINT)
        assert f"stopped; go on with: nas-search --resume {out}" in printed
        assert [trial["trial"] for trial in trials_of(out)] == list(range(len(trials_of(out))))
    count = len(trials_of(out))
    assert trials_of(whole_run[0])[:count] == trials_of(out)[:6]


def test_a_search_whose_children_all_fail_stops_and_says_why(table, config, tmp_path):
    hopeless = tmp_path / "hopeless.yaml"
    task = SMALL_TASK["proxy"] | {"recipe": {"epochs": 1, "least_steps": 0, "learning_rate": 1e30, "clip_norm": 1e30}}
    hopeless.write_text(yaml.safe_dump(SMALL_TASK | {"proxy": task}))
    out = tmp_path / "run"
    done = run_search(*arguments(table, hopeless, out, trials=20), check=False)
    assert done.returncode == 1
    assert "trials all failed; the last error: training diverged" in " ".join(done.stderr.split())
    trials = trials_of(out)
    assert 5 <= len(trials) < 20
    assert {trial["state"] for trial in trials} == {"failed"}
    assert all("diverged" in trial["error"] for trial in trials)


# What follows ends before Ray starts, so it runs in this process.


def refuse(monkeypatch, capsys, *options):
    """Run the command, see that it ends with 2 and one line on stderr, and give that line."""
    monkeypatch.setattr(sys, "argv", ["nas-search", *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        search_command.main()
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert ended.value.code == 2
    assert printed.out == ""
    assert len(lines) == 1, lines
    return lines[0]


BAD_OPTIONS = [
    (["--target-ms", "0"], "the target latency must be a positive number of milliseconds"),
    (["--target-ms", "nan"], "the target latency must be a positive number of milliseconds"),
    (["--w", "-0.15"], "--target-ms is missing"),
    (["--target-ms", "15", "--w", "0.1"], "w must be 0 (latency does not count) or negative, down to -10, got 0.1"),
    (["--target-ms", "15", "--device", "pixel9"], "pixel1"),
    (["--target-ms", "15", "--space", "mnasnett"], "unknown space 'mnasnett'; give one of mnasnet, mnasnet_small"),
    (["--target-ms", "15", "--controller", "reinforc"], "did you mean 'reinforce'"),
    (["--target-ms", "15", "--reward", "harsh"], "input should be 'soft', 'hard' or 'absolute', got 'harsh'"),
    (["--target-ms", "15", "--trials", "0"], "trials: input should be greater than or equal to 1, got 0"),
    (["--target-ms", "15", "--trails", "9"], "No such option: --trails"),
    (["--target-ms", "15", "--data", "nowhere"], "nowhere"),
    (["--target-ms", "15", "--seed", "99999999999999999999999"], "seed: input should be less than"),
    (["--target-ms", "15", "--workers", "9999"], "ask for fewer with --workers"),
    (["--resume", "nowhere"], "nowhere holds no run"),
    (["--resume", "now\x1b[2Jhere"], "now?[2Jhere holds no run"),
]


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS)
def test_a_mistake_in_the_options_is_one_line_and_exit_2(options, says, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert says in refuse(monkeypatch, capsys, *options)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_found_before_ray_is_even_imported(tmp_path):
    code = (
        "import sys; sys.argv = ['nas-search', '--target-ms', '15', '--data', 'nowhere']\n"
        "from nas.commands.search import main\n"
        "try: main()\nexcept SystemExit as end: print(end.code, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "2 False"


BAD_SPACES = [
    (("stages", 0, "kernal"), 3, "unknown key 'kernal' at stages[0]; did you mean 'kernel'?"),
    (("stages", 1, "kernel"), [3, 4], "stages[1].kernel[1]: a kernel must be odd (1, 3, 5, 7, ...), got 4"),
    (("stages", 1, "se"), [], "stages[1].se: an empty list leaves nothing to choose"),
]


@pytest.mark.parametrize(("place", "value", "says"), BAD_SPACES)
def test_a_mistake_in_a_space_file_is_one_line_that_names_its_place(place, value, says, monkeypatch, capsys, tmp_path):
    space = yaml.safe_load(SPACE.read_text())
    space[place[0]][place[1]][place[2]] = value
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(space))
    line = refuse(monkeypatch, capsys, "--target-ms", 1, "--space", tmp_path / "mine.yaml", "--out", tmp_path / "run")
    assert f"mine.yaml: {says}" in line


def test_a_table_that_lacks_ops_says_how_many_and_how_to_measure_them(monkeypatch, capsys, tmp_path):
    line = refuse(monkeypatch, capsys, "--target-ms", 1, "--space", SPACE, "--out", tmp_path / "run")
    total = len(load_space(SPACE).ops())
    assert f"lacks {total} of the {total} Ops" in line
    assert line.count("-k3-s") >= 2  # the first three are named
    assert f"nas-build-lut --device pixel1 --space {SPACE} --out" in line


def image_folder(root, sizes=(20, 20)):
    """Two classes of ten images each."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 255, (*sizes, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.jpg")
    return root


def damage_one_class(root):
    for path in (root / "dogs").iterdir():
        path.unlink()


def damage_class_folder(root):
    damage_one_class(root)
    (root / "dogs").rmdir()


def damage_image(root):
    path = root / "dogs" / "4.jpg"
    path.write_bytes(path.read_bytes()[:200])


BAD_FOLDERS = [(damage_class_folder, "one class"), (damage_one_class, "dogs"), (damage_image, "4.jpg")]


@pytest.mark.parametrize(("damage", "says"), BAD_FOLDERS)
def test_a_folder_that_cannot_be_learned_from_is_one_line(damage, says, table, config, monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    folder = image_folder(tmp_path / "images")
    damage(folder)
    monkeypatch.setattr(sys, "argv", ["nas-search", *arguments(table, config, tmp_path / "run"), "--data", str(folder)])
    with pytest.raises(SystemExit) as ended:
        search_command.main()
    lines = capfd.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1, lines
    assert says in lines[0]
    assert not (tmp_path / "run").exists()


def test_resume_refuses_what_would_make_it_another_search(whole_run, monkeypatch, capsys):
    out, _ = whole_run
    line = refuse(monkeypatch, capsys, "--resume", out, "--w", "-0.07")
    assert "was begun with w -0.15, not -0.07" in line
    line = refuse(monkeypatch, capsys, "--resume", out, "--space", "mnasnet")
    assert "was begun with space" in line
    line = refuse(monkeypatch, capsys, "--resume", out, "--reward", "hard")
    assert "was begun with reward soft, not hard" in line


def test_a_cluster_that_a_folder_names_is_not_joined_unless_it_is_asked_for_again(whole_run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    recorded = yaml.safe_load((out / "config.yaml").read_text())
    (out / "config.yaml").write_text(yaml.safe_dump(recorded | {"ray_address": "192.0.2.77:6379"}))
    done = run_search("--resume", out)
    assert "this machine trains; the run was begun with --ray-address 192.0.2.77:6379" in done.stdout
    assert yaml.safe_load((out / "config.yaml").read_text())["ray_address"] is None


def test_resume_refuses_a_space_a_table_or_data_that_changed(whole_run, table, config, tmp_path, monkeypatch, capsys):
    space, mine = tmp_path / "mine.yaml", tmp_path / "mine.lut"
    space.write_text(SPACE.read_text())
    mine.write_text(table.read_text())
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    recorded = yaml.safe_load((out / "config.yaml").read_text())
    (out / "config.yaml").write_text(yaml.safe_dump(recorded | {"space": str(space), "device": str(mine)}))

    space.write_text(SPACE.read_text().replace("kernel: [3, 5]", "kernel: [3, 7]"))
    assert "mine.yaml changed since the run" in refuse(monkeypatch, capsys, "--resume", out)
    space.write_text(SPACE.read_text())

    slower = load_table(table)
    timings = {op: replace(timing, median_ms=2 * timing.median_ms) for op, timing in slower.timings.items()}
    save_table(replace(slower, timings=timings), mine)
    assert "the latency table changed since the run" in refuse(monkeypatch, capsys, "--resume", out)
    mine.write_text(table.read_text())

    facts = json.loads((out / "environment.json").read_text())
    facts["fingerprints"]["data"] = "0" * 16
    (out / "environment.json").write_text(json.dumps(facts))
    assert "the data changed since the run" in refuse(monkeypatch, capsys, "--resume", out)


def test_out_that_holds_a_run_is_refused(whole_run, table, config, monkeypatch, capsys):
    line = refuse(monkeypatch, capsys, *arguments(table, config, whole_run[0]))
    assert "already holds a run; go on with --resume" in line


def test_mixed_images_are_searched_from_a_folder_and_from_a_zip_alike(table, config, tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    folder = image_folder(tmp_path / "images", sizes=(40, 24))
    Image.open(folder / "cats" / "0.jpg").convert("L").save(folder / "cats" / "grey.png")
    Image.open(folder / "cats" / "1.jpg").convert("RGBA").resize((9, 70)).save(folder / "cats" / "alpha.png")
    Image.open(folder / "dogs" / "1.jpg").convert("P").save(folder / "dogs" / "palette.png")
    (folder / "dogs" / "cut.jpg").write_bytes((folder / "dogs" / "0.jpg").read_bytes()[:300])
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, path.relative_to(folder))
    task = SMALL_TASK["proxy"] | {"recipe": {"epochs": 1, "least_steps": 0, "batch_size": 8}}
    mixed = tmp_path / "mixed.yaml"
    mixed.write_text(yaml.safe_dump(SMALL_TASK | {"proxy": task}))
    for source, out in [(folder, tmp_path / "a"), (archive, tmp_path / "b")]:
        done = run_search(*arguments(table, mixed, out, trials=2), "--data", source, "--skip-bad-images")
        assert "skipped" in done.stdout
        assert "cut.jpg" in done.stdout
    assert trials_of(tmp_path / "a") == trials_of(tmp_path / "b")
