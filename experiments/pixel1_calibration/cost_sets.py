"""Sets of costs for `pixel1`, each beside an overhead: which predicts networks that the fit didn't see?"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from blocks import Block
from scipy.stats import spearmanr

from latency.fit import fit_costs
from latency.published import Published, pixel1, pixel1_hswish
from search_spaces import Conv, Op, lower

Work = dict[str, float]  # an Op's amount of each kind of work
MatrixWork = Callable[[int, int, int], float]  # of a depth, a number of output channels and of pixels

MATRIX: dict[str, MatrixWork] = {
    "plain": lambda depth, channels, pixels: depth * channels * pixels,
    "4px": lambda depth, channels, pixels: depth * channels * up(pixels, 4),
    "8px": lambda depth, channels, pixels: depth * channels * up(pixels, 8),
    "16px": lambda depth, channels, pixels: depth * channels * up(pixels, 16),
    "8px,8in": lambda depth, channels, pixels: up(depth, 8) * channels * up(pixels, 8),
    "8px,16ch": lambda depth, channels, pixels: depth * up(channels, 16) * up(pixels, 8),
    "8px,+4ch": lambda depth, channels, pixels: depth * (channels + 4) * up(pixels, 8),
    "8px,+8ch": lambda depth, channels, pixels: depth * (channels + 8) * up(pixels, 8),
    "8px,+12ch": lambda depth, channels, pixels: depth * (channels + 12) * up(pixels, 8),
}
MOVED = "maps+patches+weights+hswish"
SETS: list[tuple[str, tuple[str, ...]]] = [
    ("plain", ("macs",)),
    ("plain", ("macs", "maps")),
    ("plain", ("matrix", "depthwise", "maps")),
    ("plain", ("matrix", "depthwise", "hswish", "se")),
    ("plain", ("matrix", "depthwise", "maps+patches", "weights", "hswish")),
    ("plain", ("matrix", "depthwise", "maps+patches+weights+hswish", "calls")),
    *((matrix, ("matrix", "depthwise", MOVED)) for matrix in MATRIX),
    ("8px,+8ch", ("matrix", f"depthwise+{MOVED}")),
    ("8px,+8ch", ("matrix", "depthwise", "maps+patches+weights")),
    ("8px,+8ch", ("matrix", "depthwise", "maps+patches+weights", "hswish")),
    ("8px,+8ch", ("matrix", "depthwise", "maps+patches+hswish", "weights")),
    ("8px,+8ch", ("matrix", "depthwise", "maps+patches+all_weights+hswish")),
    ("8px,+8ch", ("matrix", "depthwise3", "depthwise5+depthwise7", MOVED)),
    ("8px,+8ch", ("matrix", "depthwise", MOVED, "calls")),
]


class Row(NamedTuple):
    """The figures of one set of costs; errors are fractions."""

    fit: float
    loo: float
    worst: float
    family: float
    rho: float
    hswish: float
    blocks: float | None


def up(value: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-value // multiple) * multiple


def op_work(op: Op, matrix: MatrixWork) -> Work:
    """Count an Op's work of every kind."""
    work: Work = {}

    def add(name: str, amount: float) -> None:
        work[name] = work.get(name, 0) + amount

    for conv in op.convolutions():
        conv_work(conv, op, matrix, add)
    inner, outer = (
        op.out_height * op.out_width * channels for channels in (op.expanded or op.out_channels, op.out_channels)
    )
    add("se", inner if op.se else 0)
    add("maps", 3 * inner * bool(op.se) + 3 * outer * (op.skip != "none"))
    if op.kind == "pool":
        add("maps", op.height * op.width * op.in_channels + op.out_channels)
    return work


def conv_work(conv: Conv, op: Op, matrix: MatrixWork, add: Callable[[str, float], None]) -> None:
    """Count one convolution's work."""
    pixels = conv.out_height * conv.out_width
    height, width = min(op.height, conv.out_height * conv.stride), min(op.width, conv.out_width * conv.stride)
    add("macs", conv.macs)
    add("calls", 1)
    add("maps", height * width * conv.in_channels + pixels * conv.out_channels)
    add("all_weights", conv.weights)
    if conv.activation == "hswish":
        add("hswish", pixels * conv.out_channels)
    if conv.role == "depthwise":
        add("depthwise", conv.macs)
        add(f"depthwise{conv.kernel}", conv.macs)
    elif conv.role in ("squeeze", "excite", "linear"):
        add("weights", conv.weights)
    else:
        add("matrix", matrix(conv.kernel**2 * conv.in_channels, conv.out_channels, pixels))
        if conv.kernel > 1:
            add("patches", pixels * conv.kernel**2 * conv.in_channels)


def row(ops: Sequence[Op], matrix: MatrixWork, costs: Sequence[str]) -> list[float]:
    """Count the amounts that each cost prices; ``a+b`` is one price for two kinds of work."""
    works = [op_work(op, matrix) for op in ops]
    return [sum(work.get(kind, 0) for work in works for kind in cost.split("+")) for cost in costs]


def _fit(work: np.ndarray, measured: np.ndarray) -> np.ndarray:
    used = work.any(axis=0)  # without a family, some kinds of work may be in no network
    prices = np.zeros(work.shape[1])
    prices[used] = fit_costs(work[:, used], measured)
    return prices


def left_out(work: np.ndarray, measured: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Predict each group by a fit to the others."""
    predicted = np.empty(len(measured))
    for group in np.unique(groups):
        inside = groups == group
        predicted[inside] = work[inside] @ _fit(work[~inside], measured[~inside])
    return predicted


def evaluate(matrix: MatrixWork, costs: Sequence[str], blocks: Sequence[Block]) -> Row:
    """Work out the figures of one set of costs; every set has an overhead beside them."""

    def design(networks: Sequence[Published]) -> tuple[np.ndarray, np.ndarray]:
        rows = [[1.0, *row(lower(network.arch), matrix, costs)] for network in networks]
        return np.array(rows), np.array([network.latency_ms for network in networks])

    networks = pixel1()
    work, measured = design(networks)
    unseen_work, unseen = design(pixel1_hswish())
    prices = _fit(work, measured)
    loo = np.abs(left_out(work, measured, np.arange(len(networks))) / measured - 1)
    family = left_out(work, measured, np.array([network.family for network in networks]))
    priced = [row(block.ops, matrix, costs) @ prices[1:] for block in blocks]
    return Row(
        float(np.abs(work @ prices / measured - 1).mean()),
        float(loo.mean()),
        float(loo.max()),
        float(np.abs(family / measured - 1).mean()),
        float(spearmanr(family, measured).statistic),
        float(np.abs(unseen_work @ prices / unseen - 1).mean()),
        float(spearmanr(priced, [block.ms for block in blocks]).statistic) if blocks else None,
    )


def nested() -> tuple[float, list[str]]:
    """Mean family error where the kind of matrix work, too, is chosen without the family, by its own leave-one-out."""
    chosen = []
    networks = pixel1()
    measured = np.array([network.latency_ms for network in networks])
    families = np.array([network.family for network in networks])
    works = {
        name: np.array(
            [[1.0, *row(lower(network.arch), matrix, ("matrix", "depthwise", MOVED))] for network in networks]
        )
        for name, matrix in MATRIX.items()
    }
    errors = np.empty(len(networks))
    for family in np.unique(families):
        inside = families == family
        others = np.arange((~inside).sum())
        best = min(
            works,
            key=lambda name: np.abs(
                left_out(works[name][~inside], measured[~inside], others) / measured[~inside] - 1
            ).mean(),
        )
        errors[inside] = np.abs(
            works[best][inside] @ _fit(works[best][~inside], measured[~inside]) / measured[inside] - 1
        )
        chosen.append(f"{best} without {family}")
    return float(errors.mean()), chosen
