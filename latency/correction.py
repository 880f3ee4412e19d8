"""From what was timed of single Ops to their times inside a network, by a regression on networks timed whole.

An Op alone in a loop finds its weights and its input in the cache and pays for layout changes at both ends; inside a
large network the caches are cold. How much that matters in the networks of a space is learned: a network's time is a
weighted sum of its Ops' times alone, of their times inside other networks where the runtime tells them, and of the
memory that they write and read. More terms (a kind's own weights, the number of Ops) predict no better, and make two
tables of one device disagree about single Ops. The weights start from "as timed" and move as far as the networks say
(ridge regression towards that prior).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latency.source import Chain
from search_spaces import Op

Array = npt.NDArray[np.float64]
_FLOOR = 0.2  # of an Op's time alone: less is no Op's time, whatever a line through other Ops says
_PRIOR_NETWORKS = 0.1  # the prior counts as so many networks; a number chosen anew for each table repeats worse
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What was timed of an Op, in milliseconds: by itself and, where the runtime tells, inside networks.

    The call's own cost is taken off.
    """

    alone_ms: float
    inside_ms: float | None = None


def terms(op: Op, known: Known) -> dict[str, float]:
    """Give what an Op's time inside a network is made of."""
    timed = {"warm": known.alone_ms}
    if known.inside_ms is not None:
        timed = {"alone": known.alone_ms, "inside": known.inside_ms}
    return timed | {
        "output": op.out_height * op.out_width * op.out_channels / 1e6,
        "weights": sum(conv.weights for conv in op.convolutions()) / 1e6,
    }


@dataclass(frozen=True, slots=True)
class Correction:
    """The fitted weights of `terms`."""

    weights: dict[str, float]

    def op_ms(self, op: Op, known: Known) -> float:
        """Give an Op's time inside a network."""
        fitted = sum(self.weights.get(name, _prior(name)) * amount for name, amount in terms(op, known).items())
        return max(fitted, _FLOOR * known.alone_ms)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A network that teaches: its time in milliseconds, the call's own cost taken off, and what is known of its Ops.

    Nothing that it was itself a part of may be among that: it would teach too much trust in it.
    """

    chain: Chain
    measured_ms: float
    known: Mapping[Op, Known]


def fit(lessons: Sequence[Lesson]) -> Correction:
    """Fit to networks and their times."""
    design = _Design.of(lessons)
    weights = _ridge(design, np.arange(len(lessons)))
    return Correction({name: float(f"{weight:.6g}") for name, weight in zip(design.names, weights, strict=True)})


def predict(lesson: Lesson, correction: Correction) -> float:
    """Give a network's time by the sum of its Ops', in milliseconds."""
    return sum(correction.op_ms(op, lesson.known[op]) for op in lesson.chain)


def left_out(lessons: Sequence[Lesson]) -> list[float]:
    """Predict each network by a fit to those of the other folds, in milliseconds."""
    design, fold_of = _Design.of(lessons), np.arange(len(lessons)) % FOLDS
    predicted = np.zeros(len(lessons))
    for fold in range(FOLDS):
        weights = _ridge(design, np.flatnonzero(fold_of != fold))
        predicted[fold_of == fold] = design.predicted(weights)[fold_of == fold]
    return [float(ms) for ms in predicted]


@dataclass(frozen=True, slots=True)
class _Design:
    """Lessons as arrays: their ``sums`` of terms, (lessons, names); of each Op its lesson, terms and least time."""

    names: tuple[str, ...]
    measured: Array
    sums: Array
    lesson: npt.NDArray[np.int64]
    terms: Array
    floor: Array

    @classmethod
    def of(cls, lessons: Sequence[Lesson]) -> "_Design":
        of_ops = [(number, op, lesson.known[op]) for number, lesson in enumerate(lessons) for op in lesson.chain]
        found = [terms(op, known) for _, op, known in of_ops]
        names = tuple(sorted({name for one in found for name in one}))
        numbers = np.array([number for number, _, _ in of_ops])
        all_terms = np.array([[one.get(name, 0.0) for name in names] for one in found])
        sums = np.zeros((len(lessons), len(names)))
        np.add.at(sums, numbers, all_terms)
        return cls(
            names,
            np.array([lesson.measured_ms for lesson in lessons]),
            sums,
            numbers,
            all_terms,
            _FLOOR * np.array([known.alone_ms for _, _, known in of_ops]),
        )

    def predicted(self, weights: Array) -> Array:
        """Give all lessons' times by these weights."""
        times = np.maximum(self.terms @ weights, self.floor)
        return np.bincount(self.lesson, times, len(self.measured)).astype(np.float64)


def _ridge(design: _Design, chosen: npt.NDArray[np.int64]) -> Array:
    """Weigh the terms so that networks' times come out, pulled towards the prior; each network counts alike."""
    work = design.sums[chosen] / design.measured[chosen, None]  # each row aims at 1
    prior = np.array([_prior(name) for name in design.names])
    scale = np.sqrt(np.mean(work**2, axis=0)) + 1e-12  # so that the penalty is on shares of the time
    scaled = work / scale
    gram = scaled.T @ scaled + _PRIOR_NETWORKS * np.eye(len(prior))
    found: Array = np.linalg.solve(gram, scaled.T @ (1 - work @ prior)) / scale + prior
    return found


def _prior(name: str) -> float:
    return {"warm": 1.0, "alone": 0.5, "inside": 0.5}.get(name, 0.0)
