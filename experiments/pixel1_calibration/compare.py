"""Compare ways to share a network's latency out over its Ops: what predicts networks that the fit didn't see?

    python experiments/pixel1_calibration/compare.py [--blocks FILE]

Each row is a set of costs fitted to the 23 published Pixel 1 latencies (`latency.published`). `fit`: mean error on the
networks of the fit. `loo`: each network predicted from the others; `worst` its largest error. `family`: each family
predicted from the others; `rho` its Spearman correlation. `h-swish`: mean error on three networks that no fit saw.
`blocks`: Spearman correlation with measured Pixel 1 blocks, where a file in the ProxylessNAS layout is given.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from scipy.optimize import nnls
from scipy.stats import spearmanr

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


def fit(work: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Fit non-negative prices by least squares of relative errors."""
    relative = work / measured[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1
    return nnls(relative / scale, np.ones(len(measured)))[0] / scale


def left_out(work: np.ndarray, measured: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Predict each group by a fit to the others."""
    predicted = np.empty(len(measured))
    for group in np.unique(groups):
        inside = groups == group
        predicted[inside] = work[inside] @ fit(work[~inside], measured[~inside])
    return predicted


def evaluate(matrix: MatrixWork, costs: Sequence[str], blocks: dict[Op, float]) -> Row:
    """Work out the figures of one set of costs; every set has an overhead beside them."""

    def design(networks: Sequence[Published]) -> tuple[np.ndarray, np.ndarray]:
        rows = [[1.0, *row(lower(network.arch), matrix, costs)] for network in networks]
        return np.array(rows), np.array([network.latency_ms for network in networks])

    networks = pixel1()
    work, measured = design(networks)
    unseen_work, unseen = design(pixel1_hswish())
    prices = fit(work, measured)
    loo = np.abs(left_out(work, measured, np.arange(len(networks))) / measured - 1)
    family = left_out(work, measured, np.array([network.family for network in networks]))
    priced = [row([op], matrix, costs) @ prices[1:] for op in blocks]
    return Row(
        float(np.abs(work @ prices / measured - 1).mean()),
        float(loo.mean()),
        float(loo.max()),
        float(np.abs(family / measured - 1).mean()),
        float(spearmanr(family, measured).statistic),
        float(np.abs(unseen_work @ prices / unseen - 1).mean()),
        float(spearmanr(priced, list(blocks.values())).statistic) if blocks else None,
    )


def read_blocks(path: Path) -> dict[Op, float]:
    """Read the inverted residuals of a ProxylessNAS table, in milliseconds."""
    pattern = re.compile(
        r"expanded_conv-input:(\d+)x\d+x(\d+)-output:\d+x\d+x(\d+)-expand:(\d)-kernel:(\d)-stride:(\d)-idskip:(\d)"
    )
    found = {}
    for key, value in yaml.safe_load(path.read_text()).items():
        if match := pattern.fullmatch(key):
            size, inputs, outputs, ratio, kernel, stride, skip = map(int, match.groups())
            expanded = inputs * ratio
            op = Op("mbconv", size, size, inputs, outputs, kernel, stride, expanded, None, "relu6")
            found[
                Op("mbconv", size, size, inputs, outputs, kernel, stride, expanded, None, "relu6", "identity")
                if skip
                else op
            ] = value["mean"]
    return found


def nested() -> float:
    """Mean family error where the kind of matrix work, too, is chosen without the family, by its own leave-one-out."""
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
            works[best][inside] @ fit(works[best][~inside], measured[~inside]) / measured[inside] - 1
        )
        print(f"without {family}: {best} is chosen")
    return float(errors.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=Path, help="measured Pixel 1 blocks, ProxylessNAS YAML")
    blocks_file = parser.parse_args().blocks
    blocks = read_blocks(blocks_file) if blocks_file else {}
    print("| matrix work | costs beside the overhead | fit | loo | worst | family | rho | h-swish | blocks |")
    print("|---|---|---|---|---|---|---|---|---|")
    for matrix, costs in SETS:
        figures = evaluate(MATRIX[matrix], costs, blocks)
        ranked = "" if figures.blocks is None else f"{figures.blocks:.3f}"
        percents = " | ".join(f"{value:.1%}" for value in figures[:4])
        print(f"| {matrix} | {', '.join(costs)} | {percents} | {figures.rho:.3f} | {figures.hswish:.1%} | {ranked} |")
    print(f"\nfamily error where the matrix work is chosen without the family: {nested():.1%}")


if __name__ == "__main__":
    main()
