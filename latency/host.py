"""Timing whole networks on this host, by ONNX Runtime and by LiteRT."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from latency.timing import Timing
from search_spaces import Arch, FileError, lower

WARM_UP_CALLS = 5  # a round: the first calls allocate, fill caches and raise the clock


def time_onnx(model: Path | bytes, threads: int = 1, rounds: int = 5, calls: int = 20) -> Timing:
    """Time an ONNX model at batch 1 on this host's CPU, on random input; one thread stays on one core.

    Each of ``rounds`` warms up, then times ``calls`` single calls. ``FileError`` if ONNX Runtime cannot load the model.
    """
    import numpy as np  # heavy, and few who import latency time anything
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: what it says of a model's initialisers helps nobody here
    source = model if isinstance(model, bytes) else str(model)
    try:
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        name = "the model" if isinstance(model, bytes) else model
        raise FileError(f"ONNX Runtime cannot load {name}: {' '.join(str(error).split())}") from error
    rng = np.random.default_rng(0)
    feed = {
        node.name: rng.standard_normal([size if isinstance(size, int) else 1 for size in node.shape], np.float32)
        for node in session.get_inputs()
    }
    return _timed(lambda: session.run(None, feed), threads, rounds, calls)


def time_tflite(model: Path, threads: int = 1, rounds: int = 5, calls: int = 20) -> Timing:
    """Time a TFLite file as `time_onnx` does an ONNX model; ``InputError`` if ai-edge-litert is not installed."""
    import numpy as np  # heavy, as above

    from latency.tflite_file import tflite_interpreter

    interpreter = tflite_interpreter(model, threads)
    rng = np.random.default_rng(0)
    for node in interpreter.get_input_details():
        interpreter.set_tensor(node["index"], rng.standard_normal(node["shape"], np.float32))
    return _timed(interpreter.invoke, threads, rounds, calls)


def time_network(arch: Arch) -> Timing:
    """Time a network at its own resolution on one thread of this host; its weights are random: the time is the same."""
    from latency.onnx_model import onnx_model, random_layers  # heavy, as above

    model: bytes = onnx_model(lower(arch), random_layers()).SerializeToString()
    return time_onnx(model)


def _timed(run: Callable[[], Any], threads: int, rounds: int, calls: int) -> Timing:
    import numpy as np  # heavy, as above

    seconds = []
    with _on_one_core() if threads == 1 else contextlib.nullcontext():
        for _ in range(rounds):
            for _ in range(WARM_UP_CALLS):
                run()
            for _ in range(calls):
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
    p10, median, p90 = np.percentile(np.array(seconds) * 1e3, [10, 50, 90])
    return Timing(float(median), float(p10), float(p90), len(seconds))


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Keep this thread on one core, where the system lets us: moving to another empties its caches."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})  # the first core serves most interrupts
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
