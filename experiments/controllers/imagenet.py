"""The MnasNet space on ImageNet, modelled on accel-NASBench's 4,100 networks: what fit_imagenet.py wrote, evaluated.

28 decisions, block by block: expansion, kernel, layers, squeeze-and-excitation of each of seven blocks. Accuracy is a
kernel ridge on the logarithm of the error, latency a sum over blocks.
"""

import functools
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tasks import Task, Tokens, drawn_error, percentile_of

BLOCKS = 7
SIZES = (3, 2, 3, 2) * 5 + (3, 2, 4, 2) + (3, 2, 3, 2)
CEILING = 0.75  # accuracy has log(CEILING - accuracy) modelled; 0.70 to 0.80 fit alike
GAMMA = 0.003  # of the kernel exp(-GAMMA * squared distance)
Array = NDArray[np.float64]
Networks = NDArray[np.int64]  # (networks, decisions)
Score = Callable[[Array, Array], Array]  # of accuracies and latencies


@functools.cache
def contrasts(size: int) -> Array:
    """Return orthogonal polynomials of the index of a choice, without the constant one, each of variance 1."""
    powers = np.vander(np.arange(size), size, increasing=True).astype(float)
    return np.linalg.qr(powers)[0][:, 1:] * size**0.5


def encode(networks: Networks) -> Array:
    """Return the choices as numbers, (networks, 43): the contrasts of each decision."""
    return np.concatenate([contrasts(size)[networks[:, index]] for index, size in enumerate(SIZES)], axis=1)


def block_codes(networks: Networks) -> Networks:
    """Return one number for all choices of a block, (networks, blocks)."""
    return networks.reshape(-1, BLOCKS, 4) @ np.array([16, 8, 2, 1])


def kernel(a: Array, b: Array) -> Array:
    """Return the likeness of encoded networks, (of a, of b)."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.exp(-GAMMA * squares)


@dataclass(frozen=True, slots=True)
class Model:
    """Accuracy and latency of every network of the space."""

    support: Array  # encoded networks of the sample
    weights: Array  # of the support
    centre: float  # of -log(CEILING - accuracy)
    block_ms: Array  # (blocks, codes)
    overhead_ms: float
    noise: float  # standard deviation of the accuracy of one training

    def accuracy(self, networks: Networks) -> Array:
        """Return accuracies."""
        parts = np.array_split(encode(networks), 1 + len(networks) // 2000)
        raised = np.concatenate([kernel(part, self.support) @ self.weights for part in parts])
        return CEILING - np.exp(-(self.centre + raised))

    def latency_ms(self, networks: Networks) -> Array:
        """Return latencies."""
        return self.overhead_ms + self.block_ms[np.arange(BLOCKS), block_codes(networks)].sum(1)


def read(path: Path, device: str) -> Model:
    """Read the model of a device."""
    with np.load(path) as file:
        return Model(
            file["support"],
            file["weights"],
            float(file["centre"]),
            file[f"{device}_block_ms"],
            float(file[f"{device}_overhead_ms"]),
            float(file["noise"]),
        )


def drawn(count: int, seed: int = 0) -> Networks:
    """Draw networks uniformly."""
    return np.random.default_rng(seed).integers(0, SIZES, (count, len(SIZES)))


def task(name: str, path: Path, device: str, percentile: float, w: float) -> Task:
    """Make a task: the target is a percentile of 20,000 uniform networks' latencies."""
    model = read(path, device)
    target = percentile_of(sorted(model.latency_ms(drawn(20_000)).tolist()), percentile)

    @functools.cache
    def accuracy(tokens: Tokens) -> float:
        return float(model.accuracy(np.array([tokens]))[0])

    @functools.cache
    def latency(tokens: Tokens) -> float:
        return float(model.latency_ms(np.array([tokens]))[0])

    made = Task(name, SIZES, accuracy, lambda t, seed: drawn_error(t, seed, model.noise), latency, target, w)
    best = _remembered(
        path.with_suffix(".best.json"), name, lambda: search(model, lambda a, ms: a * (ms / target) ** w)
    )
    return replace(made, best=made.true(best))


def search(model: Model, score: Score, starts: int = 100, ends_kept: int = 3) -> Tokens:
    """Return the best network that we can find: blocks changed one at a time from many starts.

    Of where that ends, the best so many are improved with two blocks changed at a time.
    """
    values = _Scores(model, score)
    ends = {_ascend(tuple(row), values, 1) for row in drawn(starts, seed=1).tolist()}
    best = sorted(ends, key=values.of_one)[-ends_kept:]
    return max((_ascend(tokens, values, 2) for tokens in best), key=values.of_one)


@dataclass(frozen=True, slots=True)
class _Scores:
    model: Model
    score: Score

    def of(self, networks: Networks) -> Array:
        return self.score(self.model.accuracy(networks), self.model.latency_ms(networks))

    def of_one(self, tokens: Tokens) -> float:
        return float(self.of(np.array([tokens]))[0])


def _ascend(tokens: Tokens, values: _Scores, together: int) -> Tokens:
    """Give blocks their best choices, so many at a time, in random order, until none of them can be improved."""
    groups = list(itertools.combinations(range(BLOCKS), together))
    order = random.Random(str(tokens))
    best, idle = values.of_one(tokens), 0
    while idle < len(groups):
        order.shuffle(groups)
        idle = 0
        for group in groups:
            tried = _all_choices(tokens, group)
            scores = values.of(tried)
            if scores.max() > best + 1e-12:
                best, tokens, idle = float(scores.max()), tuple(tried[scores.argmax()].tolist()), 0
            else:
                idle += 1
    return tokens


def _all_choices(tokens: Tokens, blocks: tuple[int, ...]) -> Networks:
    """Return the network with all choices of these blocks."""
    decisions = [4 * block + part for block in blocks for part in range(4)]
    choices = np.array(list(itertools.product(*(range(SIZES[decision]) for decision in decisions))))
    networks = np.tile(np.array(tokens), (len(choices), 1))
    networks[:, decisions] = choices
    return networks


def _remembered(path: Path, name: str, find: Callable[[], Tokens]) -> Tokens:
    """Return what the file has under a name, or find it and write it there."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if name not in known:
        known[name] = find()
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return tuple(known[name])
