"""How near to the best network of a target anyone can choose under the noise of one training.

    python experiments/controllers/limit.py --tables DIR [--table zcu102] [--seeds 20] [--trials 300]

No search: all trials are networks within a few tenths of the best one and within the tolerance of the target, as if
their neighbourhood had been known from the start. Of them one is chosen by its accuracy as observed, by our reward
model, and by the very form that the truth has (kernel ridge on the logarithm of the error, its scale by marginal
likelihood). By what these miss, noise hides the best; a search has to find the neighbourhood first.
"""

import argparse
import statistics
from pathlib import Path

import imagenet
import numpy as np
from imagenet import Array, Model, Networks
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from target import TOLERANCE, best_network
from tasks import load

from controllers.functions import Encoding
from controllers.reward_model import RewardModel

DRAWS, CHANGES = 400_000, 8  # of the best network: what the neighbourhood is made of


def near(model: Model, best: Networks, lag: float, target: float) -> Networks:
    """Give the networks at most so many points below the best, within the tolerance, by up to 8 changes of it."""
    rng = np.random.default_rng(0)
    sizes = np.array(imagenet.SIZES)
    networks, changes = np.tile(best, (DRAWS, 1)), rng.integers(1, CHANGES + 1, DRAWS)
    for change in range(CHANGES):
        rows = np.flatnonzero(changes > change)
        decisions = rng.integers(0, len(sizes), len(rows))
        networks[rows, decisions] = rng.integers(0, sizes[decisions])
    networks = np.unique(networks, axis=0)
    networks = networks[abs(model.latency_ms(networks) / target - 1) <= TOLERANCE]
    kept: Networks = networks[100 * (model.accuracy(best[None])[0] - model.accuracy(networks)) <= lag]
    return kept


def by_reward_model(networks: Networks, observed: Array) -> Array:
    """Give the mean accuracies of our reward model."""
    model = RewardModel(Encoding(imagenet.SIZES))
    model.add(networks)
    return model.fit(observed)[0].mean()(networks)


def by_true_form(networks: Networks, observed: Array, noise: float) -> Array:
    """Give the mean of a Gaussian process with the truth's own kernel, on the logarithm of the error."""
    raised = -np.log(imagenet.CEILING - observed)
    spread = noise / float(imagenet.CEILING - observed.mean())  # of that logarithm
    kernel = ConstantKernel() * RBF((2 * imagenet.GAMMA) ** -0.5, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=spread**2)
    encoded = imagenet.encode(networks)
    return process.fit(encoded, raised - raised.mean()).predict(encoded)


def choices(model: Model, pool: Networks, trials: int, seed: int) -> dict[str, float]:
    """Give the true accuracy of what each way chooses among so many networks of the pool."""
    rng = np.random.default_rng(seed)
    networks = pool[rng.choice(len(pool), trials, replace=False)]
    true = model.accuracy(networks)
    observed = true + rng.normal(0, model.noise, len(true))
    ways = {
        "as observed": observed,
        "our reward model": by_reward_model(networks, observed),
        "the truth's form": by_true_form(networks, observed, model.noise),
        "the truth": true,
    }
    return {way: float(true[values.argmax()]) for way, values in ways.items()}


def row(name: str, lags: list[float]) -> str:
    """Put the lags of one way to choose in a row of markdown."""
    return f"| {name} | {statistics.fmean(lags):.2f} | {max(lags):.2f} | {sum(lag <= 0.3 for lag in lags)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder with imagenet.npz, of fit_imagenet.py")
    parser.add_argument("--table", choices=["vck190", "zcu102"], default="zcu102")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--percentiles", type=int, nargs="+", default=[10, 30, 50])
    parser.add_argument("--within", type=float, nargs="+", default=[0.8, 1.2], help="points below the best")
    given = parser.parse_args()
    model = imagenet.read(given.tables / "imagenet.npz", given.table)
    print("| percentile, networks within points of the best, chosen by | mean lag, points | worst | within 0.3 |")
    print("|---|---|---|---|")
    for percentile in given.percentiles:
        task = load(f"{given.table}/{percentile}/0", given.tables)
        best = np.array(best_network(model, task.target))
        top = float(model.accuracy(best[None])[0])
        for within in given.within:
            pool = near(model, best, within, task.target)
            lags: dict[str, list[float]] = {}
            for seed in range(given.seeds):
                for way, chosen in choices(model, pool, given.trials, seed).items():
                    lags.setdefault(way, []).append(100 * (top - chosen))
            for way, found in lags.items():
                print(row(f"{percentile}, {within:g}, {way}", found), flush=True)


if __name__ == "__main__":
    main()
