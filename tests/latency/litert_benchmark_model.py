"""TensorFlow Lite's benchmark tool, as far as phones in tests need it: real times by LiteRT, in the tool's format."""

import argparse
import statistics
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

flags = argparse.ArgumentParser(allow_abbrev=False)
flags.add_argument("--graph", required=True)
for name in ("num_threads", "num_runs", "warmup_runs"):
    flags.add_argument(f"--{name}", type=int, required=True)
for name in ("min_secs", "max_secs", "warmup_min_secs"):
    flags.add_argument(f"--{name}", type=float, required=True)
flags.add_argument("--use_xnnpack", choices=["true", "false"], default="true")
given = flags.parse_args()

print("INFO: STARTING!", flush=True)
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
resolver = OpResolverType.AUTO if given.use_xnnpack == "true" else plain
started = time.perf_counter()
model = Interpreter(given.graph, num_threads=given.num_threads, experimental_op_resolver_type=resolver)
model.allocate_tensors()
for node in model.get_input_details():
    model.set_tensor(node["index"], np.random.default_rng(0).standard_normal(node["shape"], np.float32))
init = (time.perf_counter() - started) * 1e6


def run(calls: int, seconds: float) -> list[float]:
    """Time calls, at least so many and at least so long; microseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < calls or time.perf_counter() < end:
        before = time.perf_counter()
        model.invoke()
        times.append((time.perf_counter() - before) * 1e6)
    p5, p95 = np.percentile(times, [5, 95])
    spread = f"p5={p5:.0f} median={statistics.median(times):.0f} p95={p95:.0f}"
    whole = f"min={min(times):.0f} max={max(times):.0f} avg={statistics.fmean(times):g} std={np.std(times):.0f} "
    ends = f"first={times[0]:.0f} curr={times[-1]:.0f} {whole}" if len(times) > 1 else f"curr={times[0]:.0f} "
    print(f"INFO: count={len(times)} {ends}{spread}\n", flush=True)
    return times


warmup = run(given.warmup_runs, given.warmup_min_secs)
timed = run(given.num_runs, given.min_secs)
print(
    f"INFO: Inference timings in us: Init: {init:.0f}, First inference: {warmup[0]:.0f}, "
    f"Warmup (avg): {statistics.fmean(warmup):g}, Inference (avg): {statistics.fmean(timed):g}"
)
print("INFO: Memory footprint delta from the start of the tool (MB): init=0 overall=0")
