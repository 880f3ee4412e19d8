import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latency import load_table
from search_spaces import load_space, lower, reference

SPACE = """\
name: two_stages
resolution: 32
classes: 10
stem: {channels: 8}
stages:
  - {channels: 8, kernel: [3, 5], op: [dconv, mbconv3]}
  - {channels: 16, stride: 2, se: [0, 0.25]}
head: {conv_channels: 64}
"""


def build(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas.commands.build_lut", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_a_table_has_exactly_the_ops_asked_for_at_the_prices_of_the_shipped_one(tmp_path: Path) -> None:
    space = tmp_path / "mine.yaml"
    space.write_text(SPACE)
    done = build(tmp_path, "--space", space, "--space", "mobilenet_v3", "--arch", "mobilenet_v2", "--json")
    ops = load_space(space).ops() + load_space("mobilenet_v3").ops() + lower(reference("mobilenet_v2"))
    built, shipped = load_table(tmp_path / "pixel1.lut"), load_table("pixel1")
    assert list(built.timings) == list(dict.fromkeys(ops))
    assert shipped.timings.items() >= {op: built.timings[op] for op in load_space("mobilenet_v3").ops()}.items()
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "out": "pixel1.lut",
        "device": "pixel1",
        "entries": len(built.timings),
    }


def test_an_unknown_device_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = build(tmp_path, "--device", "pixel9", "--out", tmp_path / "mine.lut")
    assert (done.returncode, done.stdout) == (2, "")
    known = "host, pixel1, pixel2, pixel3"
    assert done.stderr == f"nas-build-lut: unknown device 'pixel9'; give one of {known}, or a YAML file\n"
    assert not (tmp_path / "mine.lut").exists()


def test_an_unknown_way_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = build(tmp_path, "--via", "magic", "--out", tmp_path / "mine.lut")
    assert (done.returncode, done.stdout) == (2, "")
    known = "'auto', 'onnxruntime', 'tflite', 'ssh', 'adb', 'calibrated'"
    assert done.stderr == f"nas-build-lut: Invalid value for '--via': 'magic' is not one of {known}.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--via", "ssh"], "--via ssh needs the board: --host user@board"),
        (["--via", "adb"], "--via adb needs TensorFlow Lite's benchmark tool for the phone: --benchmark-model FILE"),
        (["--check", "5"], "--check times networks on the device, and a calibrated table has none"),
        (["--via", "onnxruntime", "--threads", "0"], "Invalid value for '--threads'"),
        (["--import", "nothing.yaml"], "nothing.yaml"),
        (["--device", "host", "--via", "calibrated"], "no published latencies to calibrate 'host' on"),
    ],
)
def test_what_a_way_lacks_is_said_in_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = build(tmp_path, *arguments)
    assert (done.returncode, done.stdout.count("Traceback"), len(done.stderr.splitlines())) == (2, 0, 1)
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    return path


def test_this_host_is_measured_and_the_table_checked(space: Path) -> None:
    options = ["--via", "onnxruntime", "--space", space, "--out", "mine.lut", "--check", "5", "--json"]
    done = build(space.parent, *options)
    assert done.returncode == 0, done.stderr
    table = load_table(space.parent / "mine.lut")
    assert set(table.timings) == set(load_space(space).ops())
    assert (table.header.device, table.header.provenance, table.header.runtime) == ("host", "measured", "ONNX Runtime")
    assert table.header.checked
    told = json.loads(done.stdout.splitlines()[-1])["check"]
    assert set(told) == {"this table", "sum of Ops timed alone", "a cost per operator class", "MACs only"}
    assert "the noise floor" in done.stdout
    assert (space.parent / "mine.check.html").read_text().count("plotly") > 0


def test_a_build_that_was_killed_leaves_the_old_table_and_goes_on(space: Path) -> None:
    out, journal = space.parent / "mine.lut", space.parent / "mine.lut.measurements"
    assert build(space.parent, "--device", "pixel1", "--space", space, "--out", out).returncode == 0
    before = load_table(out)
    command = [sys.executable, "-m", "nas.commands.build_lut", "--via", "onnxruntime", "--out", str(out)]
    larger = SPACE.replace("channels: 16,", "channels: [16, 24, 32], kernel: [3, 5, 7], op: [dconv, mbconv3, mbconv6],")
    (space.parent / "larger.yaml").write_text(larger)
    command += ["--space", "larger.yaml"]
    process = subprocess.Popen(command, cwd=space.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_text().count("\n") > 1):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert load_table(out) == before
    kept = journal.read_text().count("\n") - 1
    process = subprocess.Popen(command, cwd=space.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.kill()
    process.communicate()
    found = int(line.split()[0])
    assert found == kept
    assert "were measured before and stand in" in line
