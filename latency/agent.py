"""Times models where it runs: on this host, or on a board that this file is piped to.

It needs Python 3.8, numpy, and onnxruntime or ai-edge-litert, and nothing of this project. As a script it speaks on its
two pipes: first the line START, then an answer to each request. A request is a line of JSON, an answer too; a model's
bytes follow the request that loads it.

    {"load": BYTES, "format": "onnx", "threads": 1}   -> {"index": 0}       format: onnx or tflite
                                                         "copies": 4, it is loaded so often; the first one's index
                                                         "profile": true, its nodes are timed too (onnx only)
    {"sample": INDEX, "calls": 5}                     -> {"cold_ms": 1.31, "warm_ms": 1.25}
    {"nodes": INDEX}                                  -> {"nodes": [["conv1", 0.25], ...]}
    {"drop": true}                                    -> {"dropped": 3}     forgets all models
    {"facts": "onnx"}                                 -> {"version": "1.31.0", "cpu": "...", "cores": 4}
    anything that fails                               -> {"error": "..."}   and "missing": a package that is not there
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Tuple  # noqa: UP035  (boards have old Pythons)

START = b"-- latency agent --\n"  # what a shell's profile prints comes before this line


class Agent:
    """Holds models and times them."""

    def __init__(self) -> None:
        self.models: List[Callable[[], Any]] = []  # noqa: UP006
        self.profiled: Dict[int, Profiled] = {}  # noqa: UP006

    def load(self, model: bytes, form: str, threads: int, profile: bool) -> int:
        """Load a model from its bytes; give its index."""
        if threads == 1:
            stay_on_one_core()
        self.models.append(_LOADERS[form](model, threads))
        if profile:
            self.profiled[len(self.models) - 1] = Profiled(model, threads)
        return len(self.models) - 1

    def sample(self, index: int, calls: int) -> Dict[str, float]:  # noqa: UP006
        """Time a model's first call, and the median of ``calls`` more, in milliseconds."""
        run = self.models[index]
        cold = _milliseconds(run)
        warm = statistics.median([_milliseconds(run) for _ in range(calls)])
        if index in self.profiled:
            self.profiled[index].run(calls)
        return {"cold_ms": cold, "warm_ms": warm}

    def drop(self) -> int:
        """Forget all models; give how many there were."""
        count = len(self.models)
        for profiled in self.profiled.values():
            profiled.end()
        self.models, self.profiled = [], {}
        return count


class Profiled:
    """A second copy of a model, whose nodes ONNX Runtime times: that costs a little, so the first is the one timed."""

    def __init__(self, model: bytes, threads: int) -> None:
        self.counted: List[bool] = []  # noqa: UP006
        self.folder = tempfile.TemporaryDirectory(prefix="nas-agent-")
        session, self.call = _onnx_session(model, threads, str(Path(self.folder.name) / "profile"))
        self.session: Optional[Any] = session  # noqa: UP045

    def run(self, calls: int) -> None:
        """Run it once, which only warms the caches, and ``calls`` times more."""
        for number in range(calls + 1):
            self.call()
            self.counted.append(number > 0)

    def end(self) -> List[Tuple[str, float]]:  # noqa: UP006
        """Let it go; give each node's name and time in milliseconds, in the order of running. Later: nothing."""
        if self.session is None:
            return []
        events = json.loads(Path(self.session.end_profiling()).read_text(encoding="utf-8"))
        self.session = None
        self.call = _not_loaded
        self.folder.cleanup()
        times: Dict[str, List[float]] = {}  # noqa: UP006
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                # whole microseconds, cut off
                times.setdefault(event["name"][: -len("_kernel_time")], []).append((event["dur"] + 0.5) / 1e3)
        counted = {name: [ms[run] for run, counts in enumerate(self.counted) if counts] for name, ms in times.items()}
        return [(name, _middle_mean(ms)) for name, ms in counted.items()]


def _middle_mean(values: List[float]) -> float:  # noqa: UP006
    """Give the mean of the middle half."""
    cut = len(values) // 4
    return statistics.mean(sorted(values)[cut : len(values) - cut])


def _not_loaded() -> Any:
    raise RuntimeError("this model is not loaded")


def _milliseconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def _load_onnx(model: bytes, threads: int) -> Callable[[], Any]:
    return _onnx_session(model, threads, None)[1]


def _onnx_session(model: bytes, threads: int, profile: Optional[str]) -> Tuple[Any, Callable[[], Any]]:  # noqa: UP006, UP045
    """Load a model; give its session and what runs it on random input. ``profile``: the beginning of a file's path."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: what it says of a model's initialisers helps nobody here
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    generator = numpy.random.default_rng(0)
    feed = {}
    for node in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in node.shape]
        feed[node.name] = generator.standard_normal(shape, numpy.float32)
    return session, lambda: session.run(None, feed)


def _load_tflite(model: bytes, threads: int) -> Callable[[], Any]:
    import numpy
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    generator = numpy.random.default_rng(0)
    for node in interpreter.get_input_details():
        interpreter.set_tensor(node["index"], generator.standard_normal(node["shape"], numpy.float32))
    return lambda: interpreter.invoke()


_LOADERS = {"onnx": _load_onnx, "tflite": _load_tflite}


def stay_on_one_core() -> None:
    """Keep this process on one core, where the system lets us: moving to another empties its caches."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the first core serves most interrupts


def facts(form: str) -> Dict[str, Any]:  # noqa: UP006
    """Say what this machine is, and the version of the runtime for models of a format."""
    if form == "onnx":
        import onnxruntime as runtime
    else:
        import ai_edge_litert as runtime
    cpu, told = "", Path("/proc/cpuinfo")
    if told.exists():
        lines = told.read_text(encoding="utf-8").splitlines()
        names = [
            line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model", "Hardware"))
        ]
        cpu = names[0] if names else ""
    return {"version": runtime.__version__, "cpu": cpu, "cores": os.cpu_count()}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    agent = Agent()
    answers.write(b"\n" + START)  # a profile may have left its line open
    answers.flush()
    for line in requests:
        try:
            answer = _answer(agent, json.loads(line), requests)
        except Exception as error:  # whatever it was, the other side decides what it means
            answer = {"error": type(error).__name__ + ": " + " ".join(str(error).split())}
            if isinstance(error, ModuleNotFoundError):
                answer["missing"] = str(error.name)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _answer(agent: Agent, request: Dict[str, Any], requests: BinaryIO) -> Dict[str, Any]:  # noqa: UP006
    if "load" in request:
        model = requests.read(request["load"])
        settings = request["format"], request["threads"], request.get("profile", False)
        return {"index": min([agent.load(model, *settings) for _ in range(request.get("copies", 1))])}
    if "sample" in request:
        return agent.sample(request["sample"], request["calls"])
    if "nodes" in request:
        return {"nodes": agent.profiled[request["nodes"]].end()}
    if "drop" in request:
        return {"dropped": agent.drop()}
    if "facts" in request:
        return facts(request["facts"])
    return {"error": "unknown request"}


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime 1.29 and newer else write to HOME and call the network
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints must not come between the answers
    serve(sys.stdin.buffer, pipe)
