"""`latency.agent`: what it reads and writes on its two pipes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from latency import agent
from latency.agent import START, serve


def answers(requests: bytes) -> list[Any]:
    written = io.BytesIO()
    serve(io.BytesIO(requests), written)
    return parse(written.getvalue())


def parse(written: bytes) -> list[Any]:
    before, start, lines = written.partition(START)
    assert (before, start) == (b"\n", START)
    return [json.loads(line) for line in lines.splitlines()]


def test_a_line_that_is_not_json_is_answered_and_the_next_one_served() -> None:
    bad, good = answers(b'meow\n{"drop": true}\n')
    assert bad == {"error": "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"}
    assert good == {"dropped": 0}


def test_a_line_of_json_that_is_no_request_is_answered_and_the_next_one_served() -> None:
    first, second, third = answers(b'[]\n{}\n{"drop": true}\n')
    assert first == second == {"error": "unknown request"}
    assert third == {"dropped": 0}


def test_a_model_that_cannot_be_loaded_is_read_to_its_end() -> None:
    refused, good = answers(b'{"load": 15, "format": "gguf", "threads": 2}\n{"drop": false}{"drop": true}\n')
    assert refused == {"error": "KeyError: 'gguf'"}
    assert good == {"dropped": 0}


def test_what_a_runtime_prints_does_not_reach_the_answers(tmp_path: Path) -> None:
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os\n__version__ = '0.1'\nprint('hello', flush=True)\nos.write(1, b'INFO: made a delegate\\n')\n"
    )
    result = subprocess.run(
        [sys.executable, agent.__file__],
        input=b'{"facts": "tflite"}\n{"drop": true}\n',
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    facts, dropped = parse(result.stdout)
    assert (facts["version"], dropped) == ("0.1", {"dropped": 0})
    assert result.stderr.splitlines() == [b"hello", b"INFO: made a delegate"]


def test_a_package_that_is_not_there_is_named() -> None:
    program = f"import sys; sys.modules['onnxruntime'] = None; exec(open({agent.__file__!r}).read())"
    result = subprocess.run(
        [sys.executable, "-c", program], input=b'{"facts": "onnx"}\n', capture_output=True, check=True
    )
    (answer,) = parse(result.stdout)
    assert answer["missing"] == "onnxruntime"
