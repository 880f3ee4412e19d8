"""TensorFlow Lite's benchmark tool (``benchmark_model``): the command that runs it, and what it prints.

Newer ones print the median of a model's calls, older ones their mean only; all times are in microseconds.
"""

import re
import shlex
from dataclasses import dataclass

from latency.source import Sample

_NUMBER = r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?)"
_MEDIAN = re.compile(rf"^.*\bcount=.*\bmedian={_NUMBER}\b.*$", re.MULTILINE)
_SUMMARY = re.compile(
    rf"\bInference timings in us: .*\bFirst inference: {_NUMBER}, .*\bInference \(avg\): {_NUMBER}\s*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """How the tool runs a model.

    ``warmup_seconds``: a governor needs some tenths of a second of load to raise the clock. ``min_seconds``: short
    models run more often than asked, since the tool counts whole microseconds. ``use_xnnpack`` None leaves the flag
    out, for tools older than 2020, which don't know it.
    """

    use_xnnpack: bool | None = False  # the kernels of Howard et al. 2019
    warmup_seconds: float = 0.2
    min_seconds: float = 0.05
    max_seconds: float = 60.0

    @property
    def kernels(self) -> str:
        """Say which kernels run."""
        if self.use_xnnpack is None:
            return "the tool's own choice of kernels"
        return "XNNPACK" if self.use_xnnpack else "built-in kernels"


def command(mask: str, tool: str, graph: str, threads: int, calls: int, options: ToolOptions) -> str:
    """Write the shell command that times a model; ``mask`` is of the CPUs to run on, hexadecimal without 0x."""
    flags = {
        "graph": graph,
        "num_threads": threads,
        "num_runs": calls,
        "min_secs": options.min_seconds,
        "max_secs": options.max_seconds,
        "warmup_runs": 1,
        "warmup_min_secs": options.warmup_seconds,
    }
    if options.use_xnnpack is not None:
        flags["use_xnnpack"] = str(options.use_xnnpack).lower()
    return shlex.join(["taskset", mask, tool, *(f"--{name}={value}" for name, value in flags.items())])


def parse_sample(text: str) -> Sample:
    """Read the time of the first call, and the typical one: the median, from tools that print it, else the mean.

    The first call is a new process's: besides the caches it waits for memory and for the clock. ``ValueError`` unless
    the tool printed all its lines: a run that was cut has no summary.
    """
    summary = _SUMMARY.search(text)
    if summary is None:
        raise ValueError("no line of inference timings")
    medians = _MEDIAN.findall(text[: summary.start()])  # the warm-up prints a line of counts too: the last is the run's
    first, mean = float(summary[1]), float(summary[2])
    typical = (float(medians[-1]) if medians else 0.0) or mean  # a median is a whole number: 0 for the shortest
    if not (first > 0 and typical > 0):
        raise ValueError("a time of 0")
    return Sample(cold_ms=first / 1e3, warm_ms=typical / 1e3)
