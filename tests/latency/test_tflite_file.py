"""`latency.tflite_file`: what the file format asks for, and what is said where its package is missing."""

import sys

import numpy as np
import pytest

from latency.tflite_file import TfliteFile
from search_spaces import InputError

NEEDS = "needs ai-edge-litert: pip install 'nas-mobile[tflite]'"


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)  # as Python notes that there is no such package
    with pytest.raises(InputError, match=r"^TFLite needs the package ai-edge-litert .*'nas-mobile\[tflite\]'$"):
        TfliteFile()


def test_weights_lie_where_kernels_can_read_them_in_place() -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    file = TfliteFile()
    x = file.tensor("x", (1, 3))
    odd, value = file.constant("odd", [1.5]), np.array([0.25, 0.5, 0.75], np.float32)
    y = file.add("ADD", "y", [file.add("MUL", "m", [x, odd], (1, 3)), file.constant("v", value)], (1, 3))
    packed = file.pack(x, y, "out")
    assert packed[4:8] == b"TFL3"
    assert [packed.index(np.array(numbers, "<f4").tobytes()) % 16 for numbers in ([1.5], [0.25, 0.5, 0.75])] == [0, 0]


def test_runtimes_from_before_the_long_codes_of_operators_find_the_short_ones() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=NEEDS)
    file = TfliteFile()
    x = file.tensor("x", (1, 3))
    packed = file.pack(x, file.add("LOGISTIC", "y", [file.add("HARD_SWISH", "h", [x], (1, 3))], (1, 3)), "out")
    codes = schema.ModelT.InitFromPackedBuf(packed, 0).operatorCodes
    assert [(code.deprecatedBuiltinCode, code.builtinCode) for code in codes] == [(117, 117), (14, 14)]


def test_an_option_that_an_operator_does_not_have_is_refused() -> None:
    pytest.importorskip("ai_edge_litert", reason=NEEDS)
    file = TfliteFile()
    x = file.tensor("x", (1, 3))
    with pytest.raises(AttributeError, match="ADD has no option stride"):
        file.add("ADD", "y", [x, x], (1, 3), stride=2)
    with pytest.raises(AttributeError, match="LOGISTIC has no option stride"):
        file.add("LOGISTIC", "y", [x], (1, 3), stride=2)
