import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from latency import time_onnx
from search_spaces import FileError


def relu_model(*shape: int | str) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_a_model_is_timed_with_its_spread() -> None:
    timing = time_onnx(relu_model(1, 3, 8, 8).SerializeToString(), rounds=3, calls=7)
    assert timing.runs == 21
    assert timing.p10_ms is not None
    assert timing.p90_ms is not None
    assert 0 < timing.p10_ms <= timing.median_ms <= timing.p90_ms


def test_a_model_file_with_an_open_batch_size_is_timed(tmp_path: Path) -> None:
    onnx.save(relu_model("batch", 3, 8, 8), tmp_path / "relu.onnx")
    assert time_onnx(tmp_path / "relu.onnx", threads=2, rounds=1, calls=2).runs == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin threads to cores")
def test_timing_gives_the_cores_back() -> None:
    before = os.sched_getaffinity(0)
    time_onnx(relu_model(1, 8).SerializeToString(), rounds=1, calls=1)
    assert os.sched_getaffinity(0) == before


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cat.onnx").write_bytes(b"meow")
    with pytest.raises(FileError, match=r"ONNX Runtime cannot load .*cat\.onnx"):
        time_onnx(tmp_path / "cat.onnx")
