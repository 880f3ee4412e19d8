"""`nas-adapt`, through the real command, on digits."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml

from latency import LatencyTable, Timing, load_table, save_table
from nas.checkpoint import load_checkpoint, save_checkpoint
from nas.classifier_file import load_classifier, save_classifier
from nas.commands import adapt
from nas.data import load_data
from nas.netadapt.fine_tuning import hold_out, limited
from nas.network import build
from nas.recipe import Recipe
from nas.training import train
from search_spaces import Arch, Block, Head, SqueezeExcite, Stem, load_arch, lower, proxy_arch, save_arch

ARCH = Arch(
    "tiny",
    32,
    10,
    Stem(16),
    (
        Block("mbconv", 16, 3, 1, 48, SqueezeExcite(16, "hard_sigmoid"), "hswish", "identity"),
        Block("mbconv", 24, 3, 2, 64, activation="hswish"),
    ),
    Head(32),
)
QUICK = ["--data", "digits", "--train-images", "200", "--steps", "3", "--workers", "1"]
COMMAND = [sys.executable, "-m", "nas.commands.adapt"]


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """A network and its weights in a folder, as nas-search leaves them."""
    folder = tmp_path_factory.mktemp("seed")
    save_arch(ARCH, folder / "seed.yaml")
    data = load_data("digits", 12, train_images=200)
    arch = proxy_arch(ARCH, 12, 10, smallest_map=4)  # whose stem strides no more
    recipe = Recipe(epochs=12, flip=False)
    save_classifier(folder / "seed.pt", arch, data, recipe, train(arch, data, recipe, 0, threads=1))
    return folder


def run(monkeypatch, *arguments):
    """Run the command in this process: torch is loaded already. Give its exit status."""
    monkeypatch.setattr(sys, "argv", ["nas-adapt", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        adapt.main()
    return left.value.code


def lines_of(path):
    """All lines of a file without their seconds, which no two runs share."""
    return [
        {name: value for name, value in json.loads(line).items() if name != "seconds"}
        for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def whole_run(seed, tmp_path_factory):
    """A run that nothing interrupted, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, seed, "--target", "0.7", "--delta", "0.03", *QUICK, "--out", out) == 0
    return out


def test_a_run_ends_with_a_network_its_weights_its_history_and_a_page(whole_run):
    adapted = yaml.safe_load((whole_run / "adapted.yaml").read_text())
    steps = lines_of(whole_run / "steps.jsonl")
    assert [step["step"] for step in steps] == list(range(len(steps)))
    assert len(steps) > 2
    assert adapted["reached"]
    assert adapted["latency_ms"] <= 0.7 * adapted["seed_latency_ms"]
    assert [row["latency_ms"] for row in adapted["history"]] == [step["latency_ms"] for step in steps]
    arch = load_arch(whole_run / "adapted.yaml")
    assert (arch.name, arch.resolution) == ("tiny_adapted", 32)
    assert load_table(whole_run / "table.lut").estimate_ms(arch) == pytest.approx(adapted["latency_ms"])
    trained = load_classifier(whole_run / "adapted.pt")
    build(trained.arch).load_state_dict(trained.weights)
    assert trained.arch == replace(arch, name="tiny", resolution=12, stem=replace(arch.stem, stride=1))
    assert "bottleneck of block" in (whole_run / "report.html").read_text()


def test_each_step_keeps_one_of_its_proposals_and_their_weights_alone_remain(whole_run):
    proposals, steps = lines_of(whole_run / "proposals.jsonl"), lines_of(whole_run / "steps.jsonl")
    for step in steps[1:]:
        (kept,) = [one for one in proposals if one["key"] == step["key"]]
        assert {name: kept[name] for name in ("target", "before", "after", "accuracy")} == {
            name: step[name] for name in ("target", "before", "after", "accuracy")
        }
    remaining = sorted(path.name for path in (whole_run / "weights").iterdir())
    assert remaining == [f"{step['step']:03}.pt" for step in steps]
    assert load_checkpoint(whole_run / "weights" / "001.pt")["result"]["metrics"]["accuracy"] == steps[1]["accuracy"]


def test_a_run_killed_between_proposals_goes_on_to_the_same_end_and_judges_none_twice(whole_run, seed, tmp_path):
    out = tmp_path / "killed"
    command = [*COMMAND, str(seed), "--target", "0.7", "--delta", "0.03", *QUICK, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    proposals, deadline = out / "proposals.jsonl", time.monotonic() + 60
    while not (proposals.exists() and proposals.read_bytes().count(b"\n") >= 4):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "adapted.yaml").exists()
    with proposals.open("a") as file:
        file.write('{"step": 9, "ke')  # half a line, as a kill may leave it
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, "--resume", out, "--workers", "1") == 0
    assert lines_of(out / "steps.jsonl") == lines_of(whole_run / "steps.jsonl")
    weights, expected = (load_classifier(folder / "adapted.pt").weights for folder in (out, whole_run))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    keys = [one["key"] for one in lines_of(proposals)]
    assert len(keys) == len(set(keys))
    assert sorted(keys) == sorted(one["key"] for one in lines_of(whole_run / "proposals.jsonl"))


def test_a_finished_run_that_is_resumed_says_the_same_again(whole_run, monkeypatch, capsys):
    before = (whole_run / "adapted.yaml").read_text()
    assert run(monkeypatch, "--resume", whole_run, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reached"] is True
    assert (whole_run / "adapted.yaml").read_text() == before


def test_a_training_is_adapted_as_it_was_trained_and_with_its_weights_a_network_at_its_own_size(seed, tmp_path):
    trained = load_classifier(seed / "seed.pt").arch
    shutil.copy(seed / "seed.pt", tmp_path / "best.pt")
    save_arch(ARCH, tmp_path / "arch.yaml")  # nas-train's note of what it was given
    assert adapt.find_seed(str(tmp_path), None) == (trained, tmp_path / "best.pt")
    assert (trained.resolution, trained.stem.stride) == (12, 1)
    by_name = adapt.find_seed(str(tmp_path / "arch.yaml"), tmp_path / "best.pt")
    assert by_name == (ARCH, tmp_path / "best.pt")


@pytest.mark.parametrize(
    ("room", "said"),  # in bytes for a file: weights take 56,000, a page more than a million
    [(40_000, "cannot write {}/weights/001-"), (500_000, "cannot write to {}: File too large; make room, then go on")],
)
def test_a_disk_that_fills_is_one_line_and_what_was_there_is_gone_on_with(
    whole_run, tmp_path, monkeypatch, capsys, room, said
):
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    out = tmp_path / "full"
    shutil.copytree(whole_run, out)
    for path in (out / "report.html", out / "adapted.yaml", out / "adapted.pt", *out.glob("weights/00[1-9].pt")):
        path.unlink()
    seed_alone = (out / "steps.jsonl").read_text().splitlines(keepends=True)[0]
    (out / "steps.jsonl").write_text(seed_alone)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        line = refused(monkeypatch, capsys, "--resume", out, "--workers", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said.format(out) in line
    assert "--resume" in line
    assert run(monkeypatch, "--resume", out, "--workers", "1") == 0
    assert lines_of(out / "steps.jsonl") == lines_of(whole_run / "steps.jsonl")
    assert not list(out.glob("**/.*.pt"))


def test_a_seed_without_weights_is_trained_first_and_one_within_the_target_is_left_as_it_is(
    monkeypatch, capsys, tmp_path
):
    save_arch(ARCH, tmp_path / "a.yaml")
    out = tmp_path / "out"
    quick = ["--data", "digits", "--train-images", "64", "--resolution", "8", "--seed-epochs", "1"]
    assert run(monkeypatch, tmp_path / "a.yaml", "--target-ms", "100", *quick, "--out", out) == 0
    said = capsys.readouterr().out
    assert "no weights were given: training the seed on the proxy task first" in said
    assert "within the target of 100 ms: it is unchanged" in said
    assert load_arch(out / "adapted.yaml") == ARCH


def refused(monkeypatch, capsys, *arguments):
    """The one line that the command refuses with."""
    assert run(monkeypatch, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_checkpoint_of_another_network_is_refused_with_what_differs(seed, tmp_path, monkeypatch, capsys):
    other = replace(ARCH, blocks=(ARCH.blocks[0], replace(ARCH.blocks[1], expanded=72, kernel=5)))
    save_arch(other, tmp_path / "other.yaml")
    options = ("--target", "0.9", *QUICK, "--out", tmp_path / "out")
    line = refused(monkeypatch, capsys, tmp_path / "other.yaml", "--weights", seed / "seed.pt", *options)
    assert "is a checkpoint of another network than tiny: block 1 has kernel 3 in the checkpoint, 5 in the" in line
    assert "block 1 has expanded 64 in the checkpoint, 72 in the network" in line
    assert not (tmp_path / "out").exists()


def test_class_folders_that_differ_from_the_checkpoints_are_refused(seed, tmp_path, monkeypatch, capsys):
    values = load_checkpoint(seed / "seed.pt")
    values["about"]["classes"] = [*values["about"]["classes"][:9], "rose"]
    save_checkpoint(tmp_path / "roses.pt", values)
    options = ("--weights", tmp_path / "roses.pt", "--target", "0.9", *QUICK, "--out", tmp_path / "out")
    line = refused(monkeypatch, capsys, seed / "seed.yaml", *options)
    assert "the data have other classes than" in line
    assert "1 missing (rose), 1 new (9)" in line


def test_a_target_out_of_reach_is_refused_with_how_low_it_can_get(seed, tmp_path, monkeypatch, capsys):
    line = refused(monkeypatch, capsys, seed, "--target-ms", "0.01", *QUICK, "--out", tmp_path / "out")
    assert "a target of 0.01 ms is out of reach: tiny takes" in line
    assert "where all its widths are as small as they can be" in line


def test_steps_that_no_width_can_save_are_refused(seed, tmp_path, monkeypatch, capsys):
    line = refused(monkeypatch, capsys, seed, "--target", "0.7", "--delta", "0.7", *QUICK, "--out", tmp_path / "out")
    assert "no width of tiny can be made smaller so that it saves" in line
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_device_that_lacks_all_narrower_networks_is_refused(seed, tmp_path, monkeypatch, capsys):
    ops = lower(ARCH)
    header = load_table("pixel1").header.model_copy(
        update={"provenance": "measured", "costs_ns": None, "entries": len(ops), "reference_ms": 1.0, "accuracy": None}
    )
    save_table(LatencyTable(header, {op: Timing(1.0) for op in ops}), tmp_path / "phone.lut")
    options = ("--device", tmp_path / "phone.lut", "--target", "0.9", *QUICK, "--out", tmp_path / "out")
    line = refused(monkeypatch, capsys, seed, *options)
    assert "narrower networks have no price: the table for pixel1 lacks their Ops" in line


def test_a_target_that_steps_cannot_reach_ends_with_the_best_and_says_so(seed, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    # by 30 % of the latency, the expansion of block 0 alone can go from 48 to 8; then no width saves as much
    assert run(monkeypatch, seed, "--target", "0.5", "--delta", "0.3", *QUICK, "--out", out) == 2
    told = capsys.readouterr().err
    adapted = yaml.safe_load((out / "adapted.yaml").read_text())
    assert adapted["reached"] is False
    least_ms = re.search(r"no proposal saves enough below (\S+) ms;.* give a --target-ms of at least that", told)[1]
    assert adapted["latency_ms"] <= float(least_ms) < adapted["latency_ms"] + 0.001  # it may be typed as it stands


def test_a_table_of_another_type_is_refused(seed, tmp_path, monkeypatch, capsys):
    line = refused(monkeypatch, capsys, seed, "--target", "0.9", "--dtype", "int8", *QUICK, "--out", tmp_path / "out")
    assert "table pixel1 is for dtype float32, and int8 was asked for" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mobilenet_v2", "--data", "digits"], "give the target once: --target-ms in ms, or --target as a share"),
        (["mobilenet_v2", "--data", "digits", "--target", "1.2"], "--target is a share of the seed's latency, between"),
        (["mobilenet_v2", "--target", "0.7"], "--data is missing"),
        (["--target", "0.7"], "ARCH is missing"),
        (["mobilenet_v2", "--target", "0.7", "--workers", "0"], "Invalid value for '--workers': "),
        (["--resume", "run", "--select", "ratio"], "leave --select away"),
        (
            ["mobilenet_v2", "--data", "digits", "--target", "0.7", "--select", "best"],
            "select: input should be 'ratio'",
        ),
    ],
)
def test_what_the_command_line_lacks_or_has_too_much_is_told_in_a_line(monkeypatch, capsys, arguments, said):
    assert said in refused(monkeypatch, capsys, *arguments)


def test_held_out_images_are_training_images_that_are_trained_on_no_more():
    data = load_data("digits", 8, train_images=200)
    held = hold_out(data, 0.25)
    assert set(held.validation) | set(held.train) == set(data.train)
    assert not set(held.validation) & set(held.train)
    assert len(held.validation) == pytest.approx(50, abs=5)
    assert held.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("asked", "epochs", "images"),
    [
        (3, 1, 96),  # 3 batches of 32
        (6, 1, 192),
        (10, 2, 160),  # an epoch has at most 6: two of 5
    ],
)
def test_fine_tuning_takes_as_many_steps_as_were_asked_for(asked, epochs, images):
    data = load_data("digits", 8, train_images=200)
    some, recipe = limited(data, Recipe(epochs=7), asked, 0)
    assert (recipe.epochs_for(len(some.train)), len(some.train)) == (epochs, images)
    assert epochs * recipe.steps_per_epoch(len(some.train)) == asked
