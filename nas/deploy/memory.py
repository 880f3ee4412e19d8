"""The peak memory of one inference: run as a script, in a process of its own, whose memory nothing else has grown.

How far Linux's high-water mark of a process climbs from when the runtime is imported until one call is done.
"""

import json
import subprocess
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory(path: Path) -> int | None:
    """Give the bytes that loading a file and running it once at batch 1 take, beside the runtime's own.

    ONNX Runtime or LiteRT, one thread. None where the system keeps no high-water mark: elsewhere than on Linux.
    """
    command = [sys.executable, "-P", str(Path(__file__).resolve()), str(path)]  # -P: our names shadow nothing
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no word of it"])[-1]
        raise RuntimeError(f"{path.name} could not be run to measure its memory: {last}")
    grown: int | None = json.loads(answer.stdout.splitlines()[-1])
    return grown


def _high_water_mark() -> int | None:
    """Give the most bytes that this process ever held.

    Not ``ru_maxrss``: that of a new process begins with what its parent held.
    """
    lines = _STATUS.read_text(encoding="utf-8").splitlines() if _STATUS.exists() else []
    marks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]  # kB
    return marks[0] if marks else None


def _run_onnx(path: str) -> int | None:
    import numpy
    import onnxruntime

    before = _high_water_mark()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in given.shape]
    session.run(None, {given.name: numpy.zeros(shape, numpy.float32)})
    return before


def _run_tflite(path: str) -> int | None:
    from ai_edge_litert.interpreter import Interpreter

    before = _high_water_mark()
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return before


if __name__ == "__main__":
    started = (_run_tflite if sys.argv[1].endswith(".tflite") else _run_onnx)(sys.argv[1])
    ended = _high_water_mark()
    print(json.dumps(None if started is None or ended is None else ended - started))
