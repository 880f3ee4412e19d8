"""Fit the models of imagenet.py to accel-NASBench's sample; say how well they and others predict held-out networks.

python experiments/controllers/fit_imagenet.py accel_nasbench_train.csv DIR/imagenet.npz
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from imagenet import BLOCKS, CEILING, GAMMA, Array, Networks, block_codes, encode
from scipy.stats import spearmanr
from sklearn.base import RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

CHOICES = {"e": (1, 4, 6), "k": (3, 5), "l": (1, 2, 3, 4), "se": (0, 1)}
RIDGE = np.logspace(-3, 3, 13)
PENALTY = 0.003  # of the kernel ridge; with GAMMA the best of a grid of factors of three
DEVICES = ("zcu102", "vck190")


def read(path: Path) -> tuple[Networks, dict[str, Array]]:
    """Read the networks that have all measurements, and the measurements."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[f"lat_{device}_ms"] for device in DEVICES)]
    networks = [
        [values.index(int(row[f"block{block}_{part}"])) for block in range(BLOCKS) for part, values in CHOICES.items()]
        for row in rows
    ]
    measured = {f"lat_{device}_ms": np.array([float(row[f"lat_{device}_ms"]) for row in rows]) for device in DEVICES}
    return np.array(networks), measured | {"accuracy": np.array([float(row["val_top1"]) for row in rows]) / 100}


def of_blocks(networks: Networks) -> Array:
    """Return a column for every choice of every block, (networks, blocks * 48)."""
    return np.eye(48)[block_codes(networks)].reshape(len(networks), -1)


def of_pairs(networks: Networks) -> Array:
    """Return the encoded choices and the products of two of them."""
    return PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(encode(networks))


def raised(accuracy: Array) -> Array:
    """Return minus the logarithm of the error: what is near the ceiling is spread out."""
    return -np.log(CEILING - accuracy)


def on_log_error(model: RegressorMixin) -> RegressorMixin:
    """Let a model predict the logarithm of the error."""
    return TransformedTargetRegressor(
        model, func=raised, inverse_func=lambda value: CEILING - np.exp(-value), check_inverse=False
    )


def smooth() -> RegressorMixin:
    """Return the kernel ridge of imagenet.py; its targets are centred, as it has no intercept."""
    model = KernelRidge(alpha=PENALTY, kernel="rbf", gamma=GAMMA)
    return TransformedTargetRegressor(model, transformer=StandardScaler(with_std=False))


def accuracy_models() -> dict[str, tuple[RegressorMixin, Callable[[Networks], Array]]]:
    """Return what was compared: models, and the features that they see."""
    boosted = HistGradientBoostingRegressor(max_iter=600, learning_rate=0.05, max_leaf_nodes=8, random_state=0)
    slowly = GradientBoostingRegressor(n_estimators=500, learning_rate=0.08, max_depth=4, subsample=0.7, random_state=0)
    return {
        "ridge on choices, log error": (on_log_error(RidgeCV(RIDGE)), encode),
        "ridge on pairs": (RidgeCV(RIDGE), of_pairs),
        "ridge on pairs, log error": (on_log_error(RidgeCV(RIDGE)), of_pairs),
        "kernel ridge (RBF)": (smooth(), encode),
        "kernel ridge (RBF), log error": (on_log_error(smooth()), encode),
        "SVR (RBF), log error": (on_log_error(SVR(C=1, gamma=0.01, epsilon=0.01)), encode),
        "gradient boosting, log error": (on_log_error(slowly), encode),
        "histogram gradient boosting, log error": (on_log_error(boosted), encode),
        "random forest, log error": (on_log_error(RandomForestRegressor(100, random_state=0)), encode),
    }


def latency_models() -> dict[str, tuple[RegressorMixin, Callable[[Networks], Array]]]:
    """Return what was compared for latencies."""
    log = {"func": np.log, "inverse_func": np.exp}
    return {
        "ridge on blocks": (RidgeCV(RIDGE), of_blocks),
        "ridge on blocks, log": (TransformedTargetRegressor(RidgeCV(RIDGE), **log), of_blocks),
        "kernel ridge (RBF), log": (TransformedTargetRegressor(smooth(), **log), encode),
    }


def held_out(model: RegressorMixin, features: Array, values: Array, every: int = 1) -> Array:
    """Return each network's value as predicted by models that saw four fifths of the others, or one in so many."""
    folds = KFold(5, shuffle=True, random_state=0).split(features)
    return cross_val_predict(model, features, values, cv=[(train[::every], test) for train, test in folds])


def noise(networks: Networks, accuracy: Array) -> float:
    """Return the standard deviation of what no network of the sample says of a held-out one's accuracy.

    The squared error of the model falls with the sample; what stays, if the rest falls as one over its size, is twice
    that of the sample less that of half of it. An upper bound for the noise of a training, if the rest falls slower.
    """
    squares = [(accuracy - held_out(on_log_error(smooth()), encode(networks), accuracy, n)) ** 2 for n in (1, 2)]
    whole, half = (square.mean() for square in squares)
    return float(max(2 * whole - half, 0) ** 0.5)


def line(name: str, values: Array, predicted: Array, unit: float) -> str:
    """Return how well the values are predicted."""
    left = values - predicted
    explained = 1 - (left**2).sum() / ((values - values.mean()) ** 2).sum()
    rank = spearmanr(values, predicted).statistic
    return f"| {name} | {explained:.4f} | {rank:.4f} | {abs(left).mean() * unit:.3f} | {left.std() * unit:.3f} |"


def heading(what: str) -> None:
    """Print the head of a table."""
    print(
        f"\n| {what} | R2 | Spearman | mean absolute error | standard deviation of the error |\n|---|---|---|---|---|"
    )


def main() -> None:
    """Print the comparison, and write the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", type=Path, help="accel_nasbench_train.csv")
    parser.add_argument("out", type=Path, help="imagenet.npz")
    given = parser.parse_args()
    networks, measured = read(given.sample)
    accuracy = measured["accuracy"]
    heading("accuracy, points")
    for name, (model, features) in accuracy_models().items():
        print(line(name, accuracy, held_out(model, features(networks), accuracy), 100), flush=True)
    heading("latency, log, %")
    for device in DEVICES:
        times = measured[f"lat_{device}_ms"]
        for name, (model, features) in latency_models().items():
            predicted = held_out(model, features(networks), times)
            print(line(f"{device}: {name}", np.log(times), np.log(predicted.clip(0.1)), 100), flush=True)
    write(given.out, networks, measured)


def write(out: Path, networks: Networks, measured: dict[str, Array]) -> None:
    """Fit the best of them to all networks, and write them."""
    values, support = raised(measured["accuracy"]), encode(networks)
    chosen = KernelRidge(alpha=PENALTY, kernel="rbf", gamma=GAMMA).fit(support, values - values.mean())
    spread = noise(networks, measured["accuracy"])
    print(f"\nnoise of one training: {100 * spread:.2f} points")
    arrays = {"support": support, "weights": chosen.dual_coef_, "centre": values.mean(), "noise": spread}
    for device in DEVICES:
        blocks = RidgeCV(RIDGE).fit(of_blocks(networks), measured[f"lat_{device}_ms"])
        arrays[f"{device}_block_ms"] = blocks.coef_.reshape(BLOCKS, -1)
        arrays[f"{device}_overhead_ms"] = blocks.intercept_
    np.savez(out, **arrays)


if __name__ == "__main__":
    main()
