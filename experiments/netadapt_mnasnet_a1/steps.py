"""NetAdapt from MnasNet-A1 at 224 px on the pixel1 table, with a stand-in for the accuracy: no image is seen.

    python experiments/netadapt_mnasnet_a1/steps.py

The stand-in says that what counts is the logarithm of each Op's weights, all Ops alike:

    accuracy = 0.752 + 0.02 * mean over the Ops with weights of ln(weights / weights of the seed's Op)

0.752 is MnasNet-A1's published top-1 accuracy (Tan et al. 2019, table 1); 0.02 is made up, and scales all merits alike,
so that it decides nothing. A real accuracy knows which layers matter; this one only knows that a layer of which half
is left costs more than one that lost a tenth. What it can show is where the table's milliseconds are cheap.
"""

import argparse
import math
from dataclasses import replace
from itertools import pairwise

from latency import load_table
from nas.loop import run_in_process
from nas.netadapt.adapt import Adaptation, Goal, Kept, seed_step
from nas.netadapt.display import describe_step
from nas.netadapt.prices import Prices
from nas.netadapt.proposals import Proposer
from nas.search import Outcome
from search_spaces import Arch, count_op, lower, reference

PUBLISHED_ACCURACY, SCALE = 0.752, 0.02


def stand_in(arch: Arch, seed: Arch) -> float:
    """Give the made-up accuracy of a network that was narrowed from the seed."""
    pairs = [(count_op(op).params, count_op(old).params) for op, old in zip(lower(arch), lower(seed), strict=True)]
    logs = [math.log(params / before) for params, before in pairs if before]
    return PUBLISHED_ACCURACY + SCALE * sum(logs) / len(logs)


def with_published_widths(seed: Arch, published: Arch) -> Arch:
    """Give the seed's blocks the expansions of the published network, which has the same ones but the last."""
    pairs = zip(seed.blocks, published.blocks, strict=False)
    blocks = [
        block if block.expanded == channels else replace(block, expanded=other.expanded)
        for (block, other), (_, channels) in zip(pairs, seed.with_inputs(), strict=False)
    ]
    return replace(seed, blocks=(*blocks, *seed.blocks[len(blocks) :]))


def adapted(seed: Arch, prices: Prices, target_ms: float, delta: float) -> list[Kept]:
    """Narrow the seed down to the target."""
    seed_ms = prices.exactly(seed)
    first = seed_step(seed, seed_ms, stand_in(seed, seed))
    adaptation = Adaptation([first], Goal(target_ms), Proposer.of(seed, prices, delta * seed_ms))
    run_in_process(adaptation, lambda candidate: Outcome(stand_in(candidate.arch, seed), 0.0))
    return adaptation.steps


def print_widths(seed: Arch, result: Arch, published: Arch) -> None:
    """Print the widths of all blocks side by side."""
    print("\n| block | kernel | MnasNet-A1 | adapted here | MobileNetV3-Large, published |")
    print("|---|---|---|---|---|")
    print(f"| stem | 3 | {seed.stem.channels} | {result.stem.channels} | {published.stem.channels} |")
    rows = [*published.blocks, *[None] * (len(seed.blocks) - len(published.blocks))]
    for index, (before, after, other) in enumerate(zip(seed.blocks, result.blocks, rows, strict=True)):
        widths = [f"{one.expanded} → {one.out_channels}" if one else "–" for one in (before, after, other)]
        marked = f"**{widths[1]}**" if widths[1] != widths[0] else widths[1]
        print(f"| {index} | {before.kernel} | {widths[0]} | {marked} | {widths[2]} |")


def main() -> None:
    """Print the step log and the widths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target-ms", type=float, help="else: of MnasNet-A1 with MobileNetV3-Large's expansions")
    parser.add_argument("--delta", type=float, default=0.01, help="share of the seed's latency that a step must save")
    given = parser.parse_args()
    seed, published = reference("mnasnet_a1"), reference("mobilenet_v3_large")
    prices = Prices(load_table("pixel1"))
    narrowed_ms = prices.exactly(with_published_widths(seed, published))
    target_ms = given.target_ms or narrowed_ms
    print(f"MnasNet-A1: {prices.exactly(seed):.2f} ms; with MobileNetV3-Large's expansions: {narrowed_ms:.2f} ms")
    print(f"target: {target_ms:.2f} ms; MobileNetV3-Large itself: {prices.exactly(published):.2f} ms\n")
    steps = adapted(seed, prices, target_ms, given.delta)
    for before, after in pairwise(steps):
        print(describe_step(before, after))
    print_widths(seed, steps[-1].arch, published)


if __name__ == "__main__":
    main()
