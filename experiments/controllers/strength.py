"""Howard et al. 2019's observation on w: at a small latency, what -0.15 finds beside what -0.07 finds.

    python experiments/controllers/strength.py --tables DIR [--percentile 10] [--seeds 20] [--trials 300]

Each search ends with the network of the best observed reward, told here with its true accuracy and its latency.
"""

import argparse
import functools
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from scipy.stats import t as student
from tasks import load

from controllers import create

BATCH = 10
STRENGTHS = ("-0.07", "-0.15")


def search(
    tables: Path, table: str, percentile: float, trials: int, noise: float, w: str, seed: int
) -> tuple[float, float]:
    """Search once; give the true accuracy of what was found, and its latency as a share of the target."""
    torch.set_num_threads(1)
    task = load(f"{table}/{percentile:g}/{w}", tables).noisier(noise)
    controller = create("reinforce", task.sizes, seed, known=functools.cache(task.known))
    rewards: dict[tuple[int, ...], float] = {}
    while len(rewards) < trials:
        told = [(proposal, task.told(proposal.tokens, seed)) for proposal in controller.ask(BATCH)]
        controller.tell(told)
        rewards |= {proposal.tokens: reward for proposal, reward in told}
    best = max(rewards, key=lambda tokens: rewards[tokens])
    return task.true_accuracy(best), task.latency(best) / task.target


def interval(values: list[float]) -> str:
    """Give the mean with its 95 % interval."""
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.2f} ± {half:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder with imagenet.npz, of fit_imagenet.py")
    parser.add_argument("--table", default="zcu102")
    parser.add_argument("--percentile", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--noise", type=float, default=1.0, help="times the error of an observed accuracy")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    print("| w | accuracy, % | latency, % of the target | within 2 % of it |\n|---|---|---|---|")
    for w in STRENGTHS:
        one = functools.partial(search, given.tables, given.table, given.percentile, given.trials, given.noise, w)
        with ProcessPoolExecutor(given.processes) as pool:
            found = list(pool.map(one, range(given.seeds)))
        accuracies, shares = [100 * accuracy for accuracy, _ in found], [100 * share for _, share in found]
        near = sum(abs(share - 100) <= 2 for share in shares)
        print(f"| {w} | {interval(accuracies)} | {interval(shares)} | {near} of {given.seeds} |", flush=True)


if __name__ == "__main__":
    main()
