"""How fast tables are to use: estimates a second, loading a whole space, importing the package without torch.

python experiments/latency_speed/benchmark.py [TABLE]
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from latency import load_table
from search_spaces import load_space, shipped_spaces

NETWORKS = 1000
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Give the median time of some runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def run(program: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", program], check=True)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "pixel1"
    table = load_table(name)
    rng = random.Random(0)
    for space in map(load_space, shipped_spaces()):
        if table.missing(space.ops()):
            continue
        archs = [space.decode(space.sample(rng)) for _ in range(NETWORKS)]
        rate = NETWORKS / seconds(lambda archs=archs: [table.estimate_ms(arch) for arch in archs])
        print(f"{space.name}: {rate:,.0f} estimates a second")
    print(f"loading {name} with {table.header.entries:,} Ops: {seconds(lambda: load_table(name)):.3f} s")
    bare = seconds(run("pass"))
    full = seconds(run("import sys, latency; assert 'torch' not in sys.modules"))
    print(f"import latency, without torch: {full - bare:.3f} s, and Python itself {bare:.3f} s")


if __name__ == "__main__":
    main()
