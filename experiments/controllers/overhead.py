"""What a controller itself costs: seconds of one core and memory, as trials go on, at MnasNet's 42 decisions.

OMP_NUM_THREADS=1 python experiments/controllers/overhead.py [--trials 1000] [--batch 5]
"""

import argparse
import random
import resource
import time

import torch

from controllers import create

SIZES = (4, 2, 2, 3, 3, 3) * 7
STEPS = 4  # rows for each controller


def row(name: str, screen: int, trials: int, batch: int) -> None:
    """Run a controller on rewards that add up over choices, and print its cost in each part of the run."""
    draw = random.Random(0)
    effects = [[draw.gauss(0, 1) for _ in range(size)] for size in SIZES]
    controller = create(name, SIZES, 0, {"screen": screen})
    for step in range(STEPS):
        start = time.process_time()
        for _ in range(trials // STEPS // batch):
            asked = [controller.ask(1)[0] for _ in range(batch)]  # as a search does
            controller.tell([(p, sum(e[t] for e, t in zip(effects, p.tokens, strict=True))) for p in asked])
        spent = 1000 * (time.process_time() - start) / (trials // STEPS)
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {name} | {screen} | {(step + 1) * trials // STEPS} | {spent:.1f} | {resident:.0f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| controller | screen | trials | ms a trial | most memory so far, MiB |\n|---|---|---|---|---|")
    for name, screen in (("reinforce", 0), ("reinforce", 64)):
        row(name, screen, given.trials, given.batch)


if __name__ == "__main__":
    main()
