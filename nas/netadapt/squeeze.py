"""How wide a network's squeeze-and-excites are, as a rule that a narrowed network can follow."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Literal

from search_spaces import Arch, Block
from search_spaces.rounding import round_channels

Rule = Callable[[Arch], Arch]
_Base = Literal["expansion", "input"]
_QUARTERS: tuple[tuple[_Base, int], ...] = (("expansion", 8), ("expansion", 1), ("input", 1), ("input", 8))


def squeeze_rule(seed: Arch) -> Rule:
    """Find the rule that the seed's squeezes keep to: it gives a network of the seed's blocks its squeezes.

    A quarter of the expansion (Howard et al. 2019, section 5.3) or of the block's input (Tan et al. 2019, published
    code), rounded to 8 or cut off; where no such rule makes the seed, each squeeze keeps its share of its block.
    """
    quarters = [partial(_quarter, base, multiple) for base, multiple in _QUARTERS]
    return next((rule for rule in quarters if rule(seed) == seed), partial(_in_proportion, seed))


def _quarter(base: _Base, multiple: int, arch: Arch) -> Arch:
    widths = [channels if base == "input" else _scaled_width(block) for block, channels in arch.with_inputs()]
    return _with_squeezes(arch, [round_channels(Fraction(width, 4), multiple) for width in widths])


def _in_proportion(seed: Arch, arch: Arch) -> Arch:
    squeezes = []
    for before, now in zip(seed.blocks, arch.blocks, strict=True):
        squeeze = before.se.channels if before.se else 0
        share = Fraction(squeeze, _scaled_width(before))
        squeezes.append(round_channels(_scaled_width(now) * share, 1 if squeeze % 8 else 8))
    return _with_squeezes(arch, squeezes)


def _scaled_width(block: Block) -> int:
    """Give the width of the map that the squeeze-and-excite scales, in the built-in kinds of block."""
    return block.expanded or block.out_channels


def _with_squeezes(arch: Arch, squeezes: list[int]) -> Arch:
    blocks = [
        block if block.se is None else replace(block, se=replace(block.se, channels=channels))
        for block, channels in zip(arch.blocks, squeezes, strict=True)
    ]
    return replace(arch, blocks=tuple(blocks))
