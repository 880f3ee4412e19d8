"""`nas-train`, through the real command, on digits."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nas.checkpoint import load_checkpoint
from nas.commands import train
from nas.commands.recipe import chosen_schedule
from nas.schedule import Schedule
from nas.train_config import recorded_train_config
from search_spaces import Arch, Block, Head, Stem, arch_from_dict, load_arch, save_arch

QUICK = ["--data", "digits", "--epochs", "2", "--batch-size", "16", "--train-images", "64", "--validation-images", "40"]
COMMAND = [sys.executable, "-m", "nas.commands.train"]


@pytest.fixture
def arch(tmp_path: Path) -> str:
    """A network that trains in a moment: 5 convolutions."""
    blocks = (Block("mbconv", 8, 3, 2, expanded=16, activation="hswish"),)
    save_arch(Arch("tiny", 8, 10, Stem(8, stride=1), blocks, Head(16)), tmp_path / "tiny.yaml")
    return str(tmp_path / "tiny.yaml")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command in this process: torch is loaded already. Give its exit status."""
    monkeypatch.setattr(sys, "argv", ["nas-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        train.main()
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_a_training_ends_with_weights_an_onnx_file_metrics_and_a_page(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, arch, *QUICK, "--threads", "1", "--out", out, "--json") == 0
    told = capsys.readouterr()
    summary: dict[str, Any] = json.loads(told.out.splitlines()[-1])
    assert len(told.out.splitlines()) == 1  # with --json, words go to stderr
    assert "epoch 2/2: loss " in told.err
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in metrics] == [1, 2]
    assert summary["last_metrics"] == metrics[-1]["metrics"]
    assert summary["metrics"]["accuracy"] == max(row["metrics"]["accuracy"] for row in metrics)
    assert summary["onnx_largest_difference"] < 1e-4
    assert summary["host_ms"] > 0
    best = load_checkpoint(out / "best.pt")
    assert (best["task"], best["about"]["data"], best["result"]["epoch"]) == (
        "classification",
        "digits",
        summary["best_epoch"],
    )
    assert arch_from_dict(best["about"]["arch"]) == load_arch(out / "arch.yaml")
    page = (out / "report.html").read_text()
    assert page.count('src="data:image/jpeg;base64,') == 12
    assert f"{100 * summary['metrics']['accuracy']:.2f} %" in page


def test_a_classifier_takes_images_that_are_too_small_for_its_strides_and_a_detector_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = (Block("mbconv", 8, 3, 2, expanded=16), Block("mbconv", 8, 3, 2, expanded=16))
    save_arch(Arch("tiny", 32, 10, Stem(8, stride=2), blocks, Head(16)), tmp_path / "tiny.yaml")
    small = [tmp_path / "tiny.yaml", *QUICK, "--resolution", "4", "--threads", "1", "--out"]
    assert run(monkeypatch, *small, tmp_path / "out") == 0
    assert "at 4 px, 2 strides of tiny became 1, so that its maps stay large enough" in capsys.readouterr().out
    told = mistake(
        monkeypatch, capsys, tmp_path / "tiny.yaml", "--data", ".", "--task", "detection", "--resolution", "4"
    )
    assert "a resolution of 4 is too small for 'tiny'" in told


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_or_killed_and_resumed_it_ends_as_if_never_stopped(
    how: signal.Signals, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [arch, *QUICK, "--epochs", "12", "--threads", "1", "--out"]
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    command = [sys.executable, "-m", "nas.commands.train", *options, str(stopped)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (stopped / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == ({signal.SIGTERM: 143, signal.SIGKILL: -9}[how], "")
    assert (f"go on with: nas-train --resume {stopped}" in told) == (how == signal.SIGTERM)
    assert 1 <= len(losses(stopped)) < 12
    assert run(monkeypatch, "--resume", stopped) == 0
    assert run(monkeypatch, *options, whole) == 0
    assert losses(stopped) == losses(whole)


def mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Give the one line that a mistake brings."""
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "ARCH is missing: the network to train"),
        (["mobilenet_v2"], "--data is missing: the images to train on"),
        (["mobilenet_v9", "--data", "digits"], "unknown network 'mobilenet_v9'; give one of mnasnet_a1, "),
        (["mobilenet_v2", "--data", "nowhere"], "there are no data at nowhere; give a folder or a zip"),
        (["mobilenet_v2", "--data", "digits", "--preset", "x"], "unknown preset 'x'; give one of paper, small"),
        (["mobilenet_v2", "--data", "digits", "--task", "regression"], "task: input should be 'classification', "),
        (["mobilenet_v2", "--data", "digits", "--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["mobilenet_v2", "--data", "digits", "--epochs", "0"], "schedule: epochs must be at least 1, got 0"),
        (["mobilenet_v2", "--data", "digits", "--device", "tpu"], "--device must be cpu, or cuda on a machine that"),
        (["mobilenet_v2", "--data", "digits", "--ema-decay", "1"], "ema_decay must be at least 0 and below 1, got 1.0"),
        (["mobilenet_v2", "--data", "digits", "--optimizer", "adam"], "optimizer must be one of rmsprop, sgd, got 'ad"),
        (["mobilenet_v2", "--data", "digits", "--filters", "256"], "--filters is for --task segmentation; leave it"),
        (["mobilenet_v2", "--data", "digits", "--min-scale", "auto"], "--min-scale is for --task detection; leave it"),
        (["mobilenet_v2", "--data", "digits", "--head", "raspp"], "--head is for --task segmentation; leave it away"),
        (["mobilenet_v2", "--data", "digits", "--evaluate-every", "0"], "evaluate_every: input should be greater than"),
        (["mobilenet_v2", "--data", ".", "--output-stride", "8"], "output_stride: input should be 16 or 32, got 8"),
        (["mobilenet_v2", "--data", ".", "--crop", "1.5"], "crop: input should be less than or equal to 1, got 1.5"),
        (
            ["mobilenet_v2", "--data", ".", "--min-scale", "small"],
            "min_scale: must be auto, or a number above 0 and be",
        ),
        (["--resume", "nowhere"], "nowhere holds no run (no config.yaml)"),
        (
            ["--resume", "nowhere", "--epochs", "3"],
            "--resume goes on with what the folder records; leave --epochs away",
        ),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in mistake(monkeypatch, capsys, *arguments)


def test_each_number_of_the_recipe_is_an_option_and_recorded(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.02,
        "accumulate": 3,
        "optimizer": "rmsprop",
        "decay": "exponential",
        "least_steps": 5,
        "warm_up": 0.2,
        "decay_rate": 0.9,
        "decay_epochs": 2.0,
        "momentum": 0.8,
        "rho": 0.7,
        "epsilon": 0.01,
        "weight_decay": 1e-3,
        "views": "inception",
        "least_area": 0.5,
        "label_smoothing": 0.05,
        "dropout": 0.1,
        "batch_norm_momentum": 0.2,
        "sync_batch_norm": False,
        "ema_decay": 0.9,
        "clip_norm": 1.0,
    }
    assert set(numbers) == {field.name for field in fields(Schedule)}
    given = [(f"--{name.replace('_', '-')}", str(value)) for name, value in numbers.items() if value is not False]
    options = ["--no-sync-batch-norm", *(word for pair in given for word in pair)]
    code = run(
        monkeypatch, arch, *QUICK, *options, "--evaluate-every", "2", "--threads", "1", "--out", tmp_path / "out"
    )
    assert code == 0
    assert recorded_train_config(tmp_path / "out").schedule == Schedule(**numbers)  # type: ignore[arg-type]
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [bool(row["metrics"]) for row in rows] == [False, True, True]


def test_a_batch_size_takes_the_presets_rate_along_and_epochs_are_as_many_as_asked_for() -> None:
    assert chosen_schedule("paper", {"batch_size": 1024}).learning_rate == 0.025  # 0.1 at 4096
    assert chosen_schedule("paper", {"batch_size": 1024, "learning_rate": 0.1}).learning_rate == 0.1
    assert chosen_schedule(None, {"epochs": 2}).least_steps == 0
    assert chosen_schedule(None, {"epochs": 2, "least_steps": 9}).least_steps == 9


def test_a_folder_with_a_training_is_not_written_over(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("old: 1")
    told = mistake(monkeypatch, capsys, arch, *QUICK, "--out", tmp_path)
    assert f"already holds a run; go on with --resume {tmp_path}, or give another --out" in told


def test_a_disk_that_fills_is_one_line_and_what_was_there_is_gone_on_with(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    out, options = tmp_path / "out", [arch, *QUICK, "--threads", "1", "--out"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, limits[1]))  # the configuration fits, a checkpoint does not
    try:
        code = run(monkeypatch, *options, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = capsys.readouterr().err
    assert (code, told.count("\n")) == (2, 1)
    assert f"cannot write {out / 'checkpoint.pt'}: File too large; make room, and go on with --resume" in told
    assert run(monkeypatch, "--resume", out) == 0
    assert run(monkeypatch, *options, tmp_path / "whole") == 0
    assert losses(out) == losses(tmp_path / "whole")


def test_a_rate_that_is_too_high_says_to_lower_it(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, arch, *QUICK, "--learning-rate", "1e35", "--threads", "1", "--out", tmp_path / "out")
    assert code == 2
    assert "the loss is not finite in epoch 1, step " in (told := capsys.readouterr().err)
    assert "begin again with a --learning-rate below 1e+35" in told


def test_data_that_cannot_be_used_leave_no_folder_behind(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert run(monkeypatch, arch, "--data", tmp_path / "empty", "--out", out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "empty") in line
    assert not out.exists()
