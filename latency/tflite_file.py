"""The TensorFlow Lite file format: operators, tensors and weights, collected and packed.

The classes of the format come with ai-edge-litert, an optional package; they are loaded when a file is begun.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces import FileError, InputError

INSTALL = "pip install 'nas-mobile[tflite]'"

_VERSION = 3  # of the format: all TFLite files have it
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes, of weights in the file: the format asks for it, as kernels read them where they lie
_LAST_OLD_CODE = 127  # an operator's code was a byte once; this value there says that the newer field has it

# each operator's table of options; LOGISTIC has none
_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "HARD_SWISH": "HardSwishOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "RESHAPE": "ReshapeOptions",
    "SUB": "SubOptions",
}
_ENUMS = {"padding": "Padding", "fusedActivationFunction": "ActivationFunctionType"}

Array = npt.NDArray[Any]


def tflite_schema() -> Any:
    """Give the module with the classes of the format; ``InputError`` if ai-edge-litert is not installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise InputError(f"TFLite needs the package ai-edge-litert ({error}); install it: {INSTALL}") from error
    return schema_py_generated


def tflite_interpreter(path: Path, threads: int) -> Any:
    """Load a file into LiteRT, ready to run; ``InputError`` if it is none, or ai-edge-litert is not installed."""
    tflite_schema()  # says what to install
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise FileError(f"LiteRT cannot load {path}: {' '.join(str(error).split())}") from error
    return interpreter


class TfliteFile:
    """A file in the making: one graph of float32 maps; a value is the number of its tensor."""

    def __init__(self) -> None:
        self._schema = tflite_schema()
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._kinds: list[str] = []
        self._buffers = [_Buffer(self._schema, b"")]  # the first is that of all tensors without a constant

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        """Add a tensor that is computed, or handed in."""
        return self._tensor(name, shape, self._schema.TensorType.FLOAT32, 0)

    def constant(self, name: str, value: npt.ArrayLike) -> int:
        """Add weights, kept as float32, or whole numbers, kept as int32."""
        array, kinds = np.asarray(value), self._schema.TensorType
        whole = np.issubdtype(array.dtype, np.integer)
        self._buffers.append(_Buffer(self._schema, array.astype("<i4" if whole else "<f4").tobytes()))
        return self._tensor(name, array.shape, kinds.INT32 if whole else kinds.FLOAT32, len(self._buffers) - 1)

    def _tensor(self, name: str, shape: Sequence[int], kind: int, buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank, tensor.type, tensor.buffer = name, list(shape), True, kind, buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def shape(self, x: int) -> tuple[int, ...]:
        """Give a tensor's shape."""
        return tuple(self._tensors[x].shape)

    def add(self, kind: str, name: str, inputs: Sequence[int], shape: Sequence[int], **options: Any) -> int:
        """Add an operator that makes a tensor of this name and shape; its options are named as in the format."""
        if kind not in self._kinds:
            self._kinds.append(kind)
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._kinds.index(kind), list(inputs)
        operator.outputs = [self.tensor(name, shape)]
        if kind in _OPTIONS:
            table = _OPTIONS[kind]
            operator.builtinOptions = getattr(self._schema, f"{table}T")()
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, table)
        for option, value in options.items():
            if not hasattr(operator.builtinOptions, option):
                raise AttributeError(f"{kind} has no option {option}")  # Python would take it, and the file lose it
            enum = _ENUMS.get(option)
            setattr(operator.builtinOptions, option, getattr(getattr(self._schema, enum), value) if enum else value)
        self._operators.append(operator)
        return int(operator.outputs[0])

    def pack(self, given: int, result: int, result_name: str) -> bytes:
        """Give the file of the graph from one tensor to another, which gets a name of its own."""
        import flatbuffers  # type: ignore[import-untyped]  # comes with ai-edge-litert

        self._tensors[result].name = result_name
        graph = self._schema.SubGraphT()
        graph.name, graph.inputs, graph.outputs = "network", [given], [result]
        graph.tensors, graph.operators = self._tensors, self._operators
        model = self._schema.ModelT()
        model.version, model.subgraphs, model.buffers = _VERSION, [graph], self._buffers
        model.operatorCodes = [self._code(kind) for kind in self._kinds]
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, kind: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, _LAST_OLD_CODE)
        return code


class _Buffer:
    """The bytes of a constant; in place of the format's own class, which packs byte by byte and aligns nothing."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._schema, self._data = schema, data

    def Pack(self, builder: Any) -> int:  # noqa: N802  (the format's name for it)
        builder.Prep(_ALIGNMENT, len(self._data))
        data = builder.CreateByteVector(self._data)
        self._schema.BufferStart(builder)
        if self._data:
            self._schema.BufferAddData(builder, data)
        return int(self._schema.BufferEnd(builder))
