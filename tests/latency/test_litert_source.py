"""`latency.litert_source`: LiteRT as people time it, and what is said where it is missing."""

import contextlib
import gc
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from latency import agent
from latency.agent_source import AgentProcess
from latency.litert_source import litert_agent_source, litert_source, tflite_bytes
from latency.onnx_model import random_layers
from latency.source import SourceError
from latency.tflite_model import tflite_model
from search_spaces import InputError, Op

NEEDS = "needs ai-edge-litert: pip install 'nas-mobile[tflite]'"
HALVED = (Op.parse("conv-8x8x3-8-k3-s2-e0-se0-relu-none"),)


def test_facts_name_litert_and_its_version() -> None:
    installed = pytest.importorskip("ai_edge_litert", reason=NEEDS)
    with contextlib.closing(litert_source(threads=2)) as source:
        facts = source.facts
    assert (facts.device, facts.runtime, facts.threads) == ("host", "LiteRT", 2)
    assert facts.runtime_version == installed.__version__
    assert facts.clock_policy.startswith("as found, 2 threads of ")


def test_the_agents_models_run_on_xnnpack() -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    model = tflite_bytes(HALVED)
    load = json.dumps({"load": len(model), "format": "tflite", "threads": 1}).encode() + b"\n" + model
    result = subprocess.run([sys.executable, agent.__file__], input=load, capture_output=True, check=True)
    assert result.stdout.splitlines()[-1] == b'{"index": 0}'
    assert b"XNNPACK delegate" in result.stderr


def test_a_file_that_litert_refuses_gives_its_reason_in_one_line() -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    with contextlib.closing(litert_source()) as source:
        with pytest.raises(SourceError) as caught:
            source._agent.ask({"load": 4, "format": "tflite", "threads": 1}, b"meow")
        assert str(caught.value).startswith("this host: ValueError: ")
        assert "\n" not in str(caught.value)


def test_timed_models_are_padded_as_deployed_ones_are() -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    assert tflite_bytes(HALVED) == tflite_model(HALVED, random_layers(), exact=False)
    assert tflite_bytes(HALVED) != tflite_model(HALVED, random_layers(), exact=True)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)  # as Python notes that there is no such package
    with pytest.raises(InputError, match=r"^TFLite needs .*ai-edge-litert .*: pip install 'nas-mobile\[tflite\]'$"):
        litert_source()


def test_an_agent_that_cannot_serve_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    venv.create(tmp_path / "bare", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(SourceError, match="this host has no Python package ai-edge-litert"):
        litert_source()
    gc.collect()  # Python warns of a process that was let go while it ran, and a warning is an error here


def test_a_board_without_the_package_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    command = [str(tmp_path / "bare" / "bin" / "python"), "-E", agent.__file__]
    with contextlib.closing(AgentProcess(command, "a board")) as board, pytest.raises(SourceError) as caught:
        litert_agent_source(board, "toy", 1)
    assert str(caught.value) == (
        "a board has no Python package ai-edge-litert; install it there: pip install ai-edge-litert"
    )
