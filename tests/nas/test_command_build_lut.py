import json
import subprocess
import sys
from pathlib import Path

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
