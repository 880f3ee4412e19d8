"""How surely one search lands on its target: the absolute reward beside the soft one, on the MnasNet space's model.

    python experiments/controllers/target.py --tables DIR [--seeds 20] [--trials 300]

A search chooses as nas-search does: the most accurate network, as observed, within the tolerance of the target. A hit
is such a network; its lag is how many points its true accuracy lies below the best that we know within the tolerance.
"""

import argparse
import functools
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imagenet
import torch
from tasks import Task, Tokens, load

from controllers import create
from nas.rewards import RewardName, affine, make_reward

TOLERANCE, BATCH = 0.02, 10
PERCENTILES = (10, 30, 50)


@dataclass(frozen=True, slots=True)
class Landing:
    """What one search chose: latency over target, true accuracy; both None where nothing hit the target."""

    latency_share: float | None
    accuracy: float | None
    best_latency_share: float  # of the network with the best reward


def search(task: Task, reward: RewardName, w: float, trials: int, seed: int, controller: str) -> Landing:
    """Search once, and choose."""
    torch.set_num_threads(1)
    score = make_reward(reward, task.target, w)
    known = functools.cache(lambda tokens: affine(score, task.latency(tokens)))
    policy = create(controller, task.sizes, seed, known=known)
    seen: dict[Tokens, tuple[float, float]] = {}  # accuracy and reward, as observed
    while len(seen) < trials:
        told = []
        for proposal in policy.ask(BATCH):
            accuracy = task.accuracy(proposal.tokens, seed)
            seen[proposal.tokens] = accuracy, score(accuracy, task.latency(proposal.tokens))
            told.append((proposal, seen[proposal.tokens][1]))
        policy.tell(told)
    best = max(seen, key=lambda tokens: seen[tokens][1])
    hits = [tokens for tokens in seen if abs(task.latency(tokens) / task.target - 1) <= TOLERANCE]
    share = task.latency(best) / task.target
    if not hits:
        return Landing(None, None, share)
    chosen = max(hits, key=lambda tokens: seen[tokens][0])
    return Landing(task.latency(chosen) / task.target, task.true_accuracy(chosen), share)


def best_within(task: Task, tables: Path) -> float:
    """Give the highest true accuracy that we can find within the tolerance of the target."""
    model = imagenet.read(tables / "imagenet.npz", task.name.split("/")[0])

    def score(accuracies: imagenet.Array, latencies: imagenet.Array) -> imagenet.Array:
        away = abs(latencies / task.target - 1) - TOLERANCE
        return accuracies - 10 * away.clip(0)

    return task.true_accuracy(imagenet.search(model, score, starts=30))


def row(name: str, landings: list[Landing], best: float) -> str:
    """Put the searches of one reward at one target in a row of markdown."""
    found = [landing for landing in landings if landing.accuracy is not None]
    lags = [100 * (best - (landing.accuracy or 0.0)) for landing in found]
    drift = statistics.fmean(abs(landing.best_latency_share - 1) for landing in landings)
    near = sum(lag <= 0.3 for lag in lags)
    best_hits = sum(abs(landing.best_latency_share - 1) <= TOLERANCE for landing in landings)
    cells = (
        [f"{len(found)} of {len(landings)}", f"{statistics.fmean(lags):.2f}", f"{max(lags):.2f}"]
        if lags
        else ["0", "", ""]
    )
    return f"| {name} | {' | '.join(cells)} | {near} | {best_hits} | {100 * drift:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder with imagenet.npz, of fit_imagenet.py")
    parser.add_argument("--device", default="zcu102")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--controller", default="reinforce")
    parser.add_argument("--rewards", nargs="+", default=["absolute/-0.07", "soft/-0.07", "soft/-0.15"])
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    print("| percentile, reward | hits | mean lag, points | worst | within 0.3 | best reward hits | its distance, % |")
    print("|---|---|---|---|---|---|---|")
    for percentile in PERCENTILES:
        task = f"{given.device}/{percentile}/0"
        best = best_within(load(task, given.tables), given.tables)
        for spec in given.rewards:
            reward, w = spec.split("/")
            with ProcessPoolExecutor(given.processes) as pool:
                one = functools.partial(run, task, given.tables, reward, float(w), given.trials, given.controller)
                landings = list(pool.map(one, range(given.seeds)))
            print(row(f"{percentile}, {reward} {w}", landings, best), flush=True)


def run(task: str, tables: Path, reward: RewardName, w: float, trials: int, controller: str, seed: int) -> Landing:
    """Search in a process of its own, which loads its task."""
    return search(_task(task, tables), reward, w, trials, seed, controller)


@functools.cache
def _task(name: str, tables: Path) -> Task:
    return load(name, tables)


if __name__ == "__main__":
    main()
