"""How well the calibrated devices predict networks, and what else was tried; prints results.md.

python experiments/pixel1_calibration/compare.py [--blocks FILE] > experiments/pixel1_calibration/results.md
"""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from blocks import Block, read_blocks
from cost_sets import MATRIX, SETS, evaluate, nested
from few_networks import STIFFNESSES, by_own_costs, by_ridge, by_scale
from scipy.stats import spearmanr

from latency.calibration import Calibration, calibrate, predict_left_out
from latency.features import calibrated_ms
from latency.fit import fit_scale
from latency.published import Published, pixel1, pixel1_hswish, pixel1_readme, pixel2, pixel3
from search_spaces import Op, lower

SOURCES = {
    "tables 9 and 3 (shipped)": [],
    "and the three rows of table 5": [pixel1_hswish],
    "and the 22 of MobileNetV2's README": [pixel1_readme],
    "and both": [pixel1_hswish, pixel1_readme],
}
HEAD = """# What the calibrated devices predict, and what shares a latency out best

`python experiments/pixel1_calibration/compare.py --blocks mobile_trim.yaml > results.md`, {today}. No clock is
involved: any machine gives these figures. `mobile_trim.yaml` is the table of measured Pixel 1 blocks that ProxylessNAS
publishes; without it its figures stay out. Published latencies: `latency/published.py`. Choices: `docs/latency.md`.
"""
SETS_HEAD = """
## Sets of costs for pixel1

Each row is a set of costs fitted to the 23 latencies. fit: mean error on the networks of the fit. loo: each network
predicted from the others; worst: its largest error. family: each family predicted from the others; rho: its Spearman
correlation. h-swish: mean error on table 5's three networks, in no fit. blocks: Spearman correlation with the 69
measured inverted residuals. The shipped set is matrix, depthwise and the moved elements at 8px,+8ch.

| matrix work | costs beside the overhead | fit | loo | worst | family | rho | h-swish | blocks |
|---|---|---|---|---|---|---|---|---|"""


def say_bars(calibration: Calibration, blocks: Sequence[Block]) -> None:
    """Print pixel1's figures beside the bars that they must clear."""
    accuracy = calibration.accuracy
    print("\n## pixel1 and its bars\n\n| on networks that the fit did not see | here | bar | |\n|---|---|---|---|")
    say_bar("each left out in turn: mean error", accuracy.mape, 0.03)
    say_bar("whole families left out: mean error", accuracy.family_mape or 1.0, 0.06)
    say_rank("each left out in turn: Spearman", accuracy.spearman, 0.99)
    say_rank("whole families left out: Spearman", accuracy.family_spearman or 0.0, 0.99)
    searched = [block for block in blocks if block.searched]
    if blocks:  # two measured Pixel 1 tables agree at 0.84
        say_rank(f"{len(searched)} measured inverted residuals: Spearman", rank(searched, calibration), 0.84)
        say_rank(f"all {len(blocks)} measured rows: Spearman", rank(blocks, calibration), 0.84)
        print(f"\nThe other {len(blocks) - len(searched)} rows are no blocks: stem, head convolution and classifier.")
    errors = by_family(pixel1())
    print("\nLeft out as a family: " + "; ".join(f"{name} {error:.1%}" for name, error in errors.items()) + ".")


def say_bar(what: str, error: float, bar: float) -> None:
    """Print an error and whether it is low enough."""
    print(f"| {what} | {error:.2%} | {bar:.0%} | {'met' if error <= bar else 'MISSED'} |")


def say_rank(what: str, correlation: float, bar: float) -> None:
    """Print a correlation and whether it is high enough."""
    print(f"| {what} | {correlation:.3f} | {bar} | {'met' if correlation >= bar else 'MISSED'} |")


def by_family(networks: Sequence[Published]) -> dict[str, float]:
    """Give each family's mean error when it is predicted from the others."""
    predicted = predict_left_out(networks, lambda network: network.family)
    errors: dict[str, list[float]] = {}
    for network, ms in zip(networks, predicted, strict=True):
        errors.setdefault(network.family, []).append(abs(ms / network.latency_ms - 1))
    return {family: float(np.mean(of)) for family, of in errors.items()}


def rank(blocks: Sequence[Block], calibration: Calibration) -> float:
    """Give the Spearman correlation of priced with measured blocks."""
    priced = [price(block.ops, calibration) for block in blocks]
    return float(spearmanr(priced, [block.ms for block in blocks]).statistic)


def price(ops: Sequence[Op], calibration: Calibration) -> float:
    """Price Ops without the overhead, in milliseconds."""
    return sum(calibrated_ms(op, calibration.costs_ns) for op in ops)


def say_sources() -> None:
    """Print what more published latencies do to the errors on the paper's networks."""
    print(
        "\n## More sources in the fit of pixel1\n\n"
        "Each source beside tables 9 and 3 has a scale of its own. The errors are those on the 23 networks of these\n"
        "tables; a network or family that is left out is left out of every source.\n\n"
        "| fitted to | loo | worst | family | rho | costs (ns) | scales |\n|---|---|---|---|---|---|---|"
    )
    for name, others in SOURCES.items():
        calibration = calibrate(pixel1() + [network for source in others for network in source()])
        accuracy = calibration.accuracy
        errors = f"{accuracy.mape:.2%} | {accuracy.worst:.1%} | {accuracy.family_mape:.2%}"
        costs = ", ".join(f"{cost:.3f}" for cost in calibration.costs_ns.values())
        scales = ", ".join(f"{scale:.3f}" for scale in calibration.scales.values())
        print(f"| {name} | {errors} | {accuracy.family_spearman:.3f} | {costs} | {scales} |")
    say_check(calibrate(pixel1()))


def say_check(calibration: Calibration) -> None:
    """Print how pixel1, fitted to tables 9 and 3 alone, predicts the other sources at one scale each."""
    for name, networks in (("Table 5's three rows", pixel1_hswish()), ("The README's 22", pixel1_readme())):
        measured = np.array([network.latency_ms for network in networks])
        predicted = np.array([calibration.overhead_ms + price(lower(each.arch), calibration) for each in networks])
        scale = fit_scale(predicted, measured)
        errors = np.abs(scale * predicted / measured - 1)
        print(
            f"\n{name}, in no fit: mean error {errors.mean():.1%}, worst {errors.max():.1%} at their best scale "
            f"({scale:.3f}); as predicted {np.abs(predicted / measured - 1).mean():.1%}; "
            f"Spearman {spearmanr(predicted, measured).statistic:.3f}."
        )


def say_phones() -> None:
    """Print how Pixel 2 and 3, with eight networks each, are predicted in several ways."""
    print(
        "\n## pixel2 and pixel3\n\n"
        "Eight networks each, of table 3. What is left out is left out of pixel1's fit too. `scale`: pixel1's costs\n"
        "times one scale (shipped). `ridge`: costs drawn to that by so much. `own`: an overhead and three costs.\n\n"
        "| device | costs | loo | worst | family |\n|---|---|---|---|---|"
    )
    without = [network for network in pixel3() if network.latency_ms != 40.0]  # Pixel 1 has 39: as printed, but odd
    phones = (("pixel2", pixel2()), ("pixel3", pixel3()), ("pixel3 without V3-Large 0.75", without))
    for name, networks in phones:
        ways = {"scale": by_scale(networks, pixel1())}
        ways |= {f"ridge {stiffness:g}": by_ridge(networks, pixel1(), stiffness) for stiffness in STIFFNESSES}
        ways["own"] = by_own_costs(networks)
        for way, figures in ways.items():
            print(f"| {name} | {way} | " + " | ".join(f"{figure:.1%}" for figure in figures) + " |")


def say_sets(blocks: Sequence[Block]) -> None:
    """Print the figures of every set of costs that was tried."""
    print(SETS_HEAD)
    for matrix, costs in SETS:
        figures = evaluate(MATRIX[matrix], costs, [block for block in blocks if block.searched])
        ranked = "" if figures.blocks is None else f"{figures.blocks:.3f}"
        percents = " | ".join(f"{value:.1%}" for value in figures[:4])
        print(f"| {matrix} | {', '.join(costs)} | {percents} | {figures.rho:.3f} | {figures.hswish:.1%} | {ranked} |")
    error, chosen = nested()
    print(f"\nFamily error where the matrix work is chosen without the family: {error:.1%} ({'; '.join(chosen)}).")


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=Path, help="measured Pixel 1 blocks, ProxylessNAS YAML")
    blocks_file = parser.parse_args().blocks
    blocks = read_blocks(blocks_file) if blocks_file else []
    print(HEAD.format(today=date.today()), end="")
    say_bars(calibrate(pixel1()), blocks)
    say_sources()
    say_phones()
    say_sets(blocks)


if __name__ == "__main__":
    main()
