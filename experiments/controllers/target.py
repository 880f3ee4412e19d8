"""How surely one search lands on its target: the absolute reward beside the soft one, on tables of known rewards.

    python experiments/controllers/target.py --tables DIR [--table zcu102] [--noise 1] [--controller reinforce]

A search chooses as nas-search does: the most accurate network, as observed, within the tolerance of the target. With
finalists, so many of the most accurate are trained again, with other seeds, and the mean of all their trainings counts;
these trainings are taken from the trials. A hit is a network within the tolerance; its lag is how many points its true
accuracy lies below the best that we know there, found by ascent or by one of these searches; the lag of the best seen
is that of the search without its choice.
"""

import argparse
import functools
import itertools
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
REPEATS = 3  # trainings of a finalist beside the first


@dataclass(frozen=True, slots=True)
class Landing:
    """What one search chose: its true accuracy, and the best that it could have chosen; None without a hit."""

    accuracy: float | None
    best_seen: float | None
    best_latency_share: float  # over the target, of the network with the best reward


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of search."""

    tables: Path
    task: str
    noise: float
    reward: RewardName
    w: float
    trials: int
    finalists: int
    controller: str


def search(job: Job, seed: int) -> Landing:
    """Search once, and choose."""
    torch.set_num_threads(1)
    task = _task(job.task, job.tables).noisier(job.noise)
    reward, w, controller = job.reward, job.w, job.controller
    trials = job.trials - REPEATS * job.finalists
    score = make_reward(reward, task.target, w)
    known = functools.cache(lambda tokens: affine(score, task.latency(tokens)))
    name, _, told_more = controller.partition("+")
    policy = create(name, task.sizes, seed, **({"known": known} if told_more else {}))
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
    ranked = sorted(hits, key=lambda tokens: seen[tokens][0], reverse=True)
    chosen = ranked[0]
    if job.finalists:
        chosen = max(ranked[: job.finalists], key=lambda tokens: _mean_accuracy(task, tokens, seed))
    return Landing(task.true_accuracy(chosen), max(map(task.true_accuracy, hits)), share)


def _mean_accuracy(task: Task, tokens: Tokens, seed: int) -> float:
    """Train again with other seeds; give the mean of all trainings."""
    return statistics.fmean(task.accuracy(tokens, seed + 1_000_000 * repeat) for repeat in range(REPEATS + 1))


def best_within(task: Task, tables: Path) -> float:
    """Give the highest true accuracy within the tolerance of the target; for macro exact, else the best we find."""
    table = task.name.split("/")[0]
    if table == "macro":
        networks = itertools.product(*map(range, task.sizes))
        return max(task.true_accuracy(t) for t in networks if abs(task.latency(t) / task.target - 1) <= TOLERANCE)
    return task.true_accuracy(best_network(imagenet.read(tables / "imagenet.npz", table), task.target))


def best_network(model: imagenet.Model, target: float) -> Tokens:
    """Give the most accurate network of the MnasNet space that we can find within the tolerance of the target."""

    def score(accuracies: imagenet.Array, latencies: imagenet.Array) -> imagenet.Array:
        away = abs(latencies / target - 1) - TOLERANCE
        return accuracies - 10 * away.clip(0)

    return imagenet.search(model, score, starts=30, ends_kept=12)  # the window leaves many local optima


def row(name: str, landings: list[Landing], best: float) -> str:
    """Put the searches of one reward at one target in a row of markdown."""
    lags = [100 * (best - landing.accuracy) for landing in landings if landing.accuracy is not None]
    seen = [100 * (best - landing.best_seen) for landing in landings if landing.best_seen is not None]
    drift = statistics.fmean(abs(landing.best_latency_share - 1) for landing in landings)
    near = sum(lag <= 0.3 for lag in lags)
    best_hits = sum(abs(landing.best_latency_share - 1) <= TOLERANCE for landing in landings)
    cells = (
        [f"{len(lags)} of {len(landings)}", f"{statistics.fmean(lags):.2f}", f"{max(lags):.2f}", f"{near}"]
        if lags
        else ["0", "", "", ""]
    )
    cells.append(f"{statistics.fmean(seen):.2f}" if seen else "")
    return f"| {name} | {' | '.join(cells)} | {best_hits} | {100 * drift:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder with the tables, as for run.py")
    parser.add_argument("--table", choices=["macro", "vck190", "zcu102"], default="zcu102")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--finalists", type=int, default=0)
    parser.add_argument("--noise", type=float, default=1.0, help="times the error of an observed accuracy")
    parser.add_argument("--percentiles", type=int, nargs="+", default=[10, 30, 50])
    parser.add_argument("--controller", default="reinforce+known", help="without +known it is told rewards alone")
    parser.add_argument("--rewards", nargs="+", default=["absolute/-0.07", "soft/-0.07", "soft/-0.15"])
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    columns = ["percentile, reward", "hits", "mean lag, points", "worst", "within 0.3", "lag of the best seen"]
    print(f"| {' | '.join(columns)} | best reward hits | its distance, % |\n|---|---|---|---|---|---|---|---|")
    for percentile in given.percentiles:
        task = f"{given.table}/{percentile}/0"
        found: dict[str, list[Landing]] = {}
        for spec in given.rewards:
            reward, w = spec.split("/")
            job = Job(
                given.tables, task, given.noise, reward, float(w), given.trials, given.finalists, given.controller
            )
            with ProcessPoolExecutor(given.processes) as pool:
                landings = list(pool.map(functools.partial(search, job), range(given.seeds)))
            found[f"{percentile}, {reward} {w}"] = landings
        seen = [landing.best_seen for landing in itertools.chain(*found.values()) if landing.best_seen is not None]
        best = max(best_within(load(task, given.tables), given.tables), *seen)  # a search may know a better one
        for name, landings in found.items():
            print(row(name, landings, best), flush=True)


@functools.cache
def _task(name: str, tables: Path) -> Task:
    return load(name, tables)


if __name__ == "__main__":
    main()
