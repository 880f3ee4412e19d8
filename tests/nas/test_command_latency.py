import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from latency import LatencyTable, load_table, save_table
from nas.commands.network import load_network
from search_spaces import InputError, reference, save_arch


def latency(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas.commands.latency", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def answer(*arguments: str | Path) -> dict[str, Any]:
    done = latency(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def measured_table(tmp_path: Path) -> Path:
    """The shipped table, passed off as one that was measured: it can price nothing that it does not have."""
    table = load_table("pixel1")
    header = table.header.model_copy(update={"provenance": "measured", "costs_ns": None, "accuracy": None})
    save_table(LatencyTable(header, table.timings), tmp_path / "measured.lut")
    return tmp_path / "measured.lut"


def test_it_answers_people_and_programs() -> None:
    done = latency("mobilenet_v3_large", "--json")
    *lines, last = done.stdout.splitlines()
    assert sum("%" in line and "error" not in line for line in lines) == 20  # stem, 15 blocks, 4 of the head
    assert "mobilenet_v3_large at 224 px: 51.02 ms on pixel1" in lines
    assert "  runtime: TensorFlow Lite of 2019 (unstated), float32, threads: 1" in lines
    assert any("23 whole networks" in line and "families left out" in line for line in lines)
    values = json.loads(last)
    assert values["latency_ms"] == pytest.approx(load_table("pixel1").estimate_ms(reference("mobilenet_v3_large")))
    assert (values["device"], values["provenance"]) == ("pixel1", "calibrated")
    assert len(values["parts"]) == 20
    assert values["parts"][0]["op"] == "conv-224x224x3-16-k3-s2-e0-se0-hswish-none"
    assert sum(part["ms"] for part in values["parts"]) == pytest.approx(values["latency_ms"] - values["overhead_ms"])
    assert values["not_in_table"] == []
    assert "host_ms" not in values


def test_width_resolution_and_classes_make_another_network() -> None:
    values = answer("mobilenet_v3_large", "--width", "0.75", "--resolution", "192", "--classes", "10")
    assert values["parts"][0]["op"] == "conv-192x192x3-16-k3-s2-e0-se0-hswish-none"
    assert values["parts"][-1]["op"] == "linear-1x1x1280-10-k1-s1-e0-se0-linear-none"


def test_network_and_table_come_from_files(tmp_path: Path) -> None:
    save_arch(reference("mnasnet_a1"), tmp_path / "seed.yaml")
    lines = latency(tmp_path / "seed.yaml", "--device", measured_table(tmp_path)).stdout.splitlines()
    assert "mnasnet_a1 at 224 px: 68.00 ms on pixel1" in lines
    assert "  error: never checked on whole networks" in lines


def test_ops_that_a_calibrated_table_lacks_are_priced_and_said() -> None:
    lines = latency("mobilenet_v3_large", "--resolution", "200", "--json").stdout.splitlines()
    assert len(json.loads(lines[-1])["not_in_table"]) == 12
    assert "12 of its Ops are not in the table: they were priced by the table's costs per class of work" in lines


def test_a_measured_table_refuses_ops_that_it_lacks(tmp_path: Path) -> None:
    done = latency("mobilenet_v3_large", "--resolution", "200", "--device", measured_table(tmp_path))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "lacks 12 of the 17 Ops of network 'mobilenet_v3_large'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument 'arch'"),
        (["mobilenet_v9"], "unknown network 'mobilenet_v9'; give one of mnasnet_a1, "),
        (["mobilenet_v2", "--device", "pixel9"], "unknown device or table 'pixel9'; give one of pixel1, "),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], told: str) -> None:
    done = latency(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert told in done.stderr


def test_a_width_is_for_reference_networks_only(tmp_path: Path) -> None:
    save_arch(reference("mobilenet_v2"), tmp_path / "seed.yaml")
    with pytest.raises(InputError, match="a width multiplier is for reference networks"):
        load_network(str(tmp_path / "seed.yaml"), width=0.5)


def test_a_network_in_a_file_runs_at_other_resolutions_too(tmp_path: Path) -> None:
    save_arch(reference("mobilenet_v2"), tmp_path / "seed.yaml")
    assert load_network(str(tmp_path / "seed.yaml"), None, 96, 5) == reference("mobilenet_v2", 1.0, 96, 5)


@pytest.mark.parametrize(("width", "resolution", "told"), [(math.nan, 224, "width must be"), (1.0, 0, "resolution")])
def test_a_size_that_no_network_has_is_refused(width: float, resolution: int, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_network("mobilenet_v2", width, resolution)


def test_measure_times_the_network_on_this_host() -> None:
    values = answer("mobilenet_v3_small", "--width", "0.35", "--resolution", "96", "--measure")
    assert values["host_ms"] > 0


def test_without_a_table_this_host_is_measured() -> None:
    values = answer("mobilenet_v3_small", "--resolution", "96", "--device", "host")
    assert (values["device"], values["provenance"], values["not_in_table"]) == ("host", "measured", [])
    assert sum(part["ms"] for part in values["parts"]) == pytest.approx(values["latency_ms"] - values["overhead_ms"])
    assert all(part["ms"] > 0 for part in values["parts"])
