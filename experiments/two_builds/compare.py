"""How far two tables of the same device agree, Op by Op and on random networks.

python experiments/two_builds/compare.py FIRST.lut SECOND.lut [SPACE]
"""

import random
import sys

import numpy as np
from scipy.stats import spearmanr

from latency import load_table
from search_spaces import load_space

NETWORKS = 1000


def main() -> None:
    first, second = (load_table(path) for path in sys.argv[1:3])
    space = load_space(sys.argv[3] if len(sys.argv) > 3 else "mnasnet")
    shared = [op for op in first.timings if op in second.timings]
    ratios = np.array([second.op_ms(op) / first.op_ms(op) for op in shared])
    weights = np.array([first.op_ms(op) for op in shared])
    off = np.abs(ratios - 1)
    print(f"{first.header.device}, {first.header.runtime}: {first.header.date} and {second.header.date}")
    half, most = np.quantile(off, [0.5, 0.9])
    print(f"{len(shared)} Ops in both: half differ by less than {half:.1%}, nine tenths by less than {most:.1%}")
    print(f"weighted by their time: {np.average(off, weights=weights):.1%}; median ratio {np.median(ratios):.3f}")
    if first.header.reference_ms and second.header.reference_ms:
        speed = second.header.reference_ms / first.header.reference_ms
        rest = np.median(np.abs(ratios / speed - 1))
        print(
            f"the reference network took {speed:.3f} times as long; with that taken out, half by less than {rest:.1%}"
        )
    rng = random.Random(0)
    archs = [space.decode(space.sample(rng)) for _ in range(NETWORKS)]
    one, two = (np.array([table.estimate_ms(arch) for arch in archs]) for table in (first, second))
    print(
        f"{NETWORKS:,} random networks of {space.name}: mean difference {np.mean(np.abs(two / one - 1)):.1%}, "
        f"Spearman {spearmanr(one, two).statistic:.4f}"
    )


if __name__ == "__main__":
    main()
