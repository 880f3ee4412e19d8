"""The improvements that made MobileNetV3 of what its search gave, each as a function from any `Arch` to another.

Howard et al. 2019, sections 5.1 to 5.3. They take what a search emits as well as published networks, and leave the
name as it is.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from search_spaces.arch import Activation, Arch, Block, Skip, SqueezeExcite
from search_spaces.errors import InputError
from search_spaces.rounding import round_channels

Squeeze = Literal["expansion", "input", "none"]

LAST_WIDENING = 2  # the original last stage's block gives 320 channels of 160: Sandler et al. 2018, table 2
_PLACEMENT = re.compile(r"hswish@(\d+)")


def efficient_last_stage(arch: Arch) -> Arch:
    """Move the widest features behind the pool (Howard et al. 2019, section 5.1, figure 5).

    The last block's depthwise convolution and projection go; its expansion becomes the last convolution, and what was
    the last convolution works on the pooled features. ``InputError`` unless the network ends in the original stage.
    """
    if arch.head.hidden_channels:
        raise InputError(f"network {arch.name!r} has a layer behind the pool already: its last stage is efficient")
    last, channels = list(arch.with_inputs())[-1]
    if last.kind != "mbconv" or last.expanded == channels or last.stride != 1 or len(arch.blocks) == 1:
        found = f"ends in {last.kind} of {last.expanded} channels for {channels}, at stride {last.stride}"
        raise InputError(
            f"the efficient last stage takes the place of an inverted residual that expands, at stride 1, behind other "
            f"blocks; network {arch.name!r} {'has no other block' if len(arch.blocks) == 1 else found}"
        )
    head = replace(arch.head, conv_channels=last.expanded, hidden_channels=arch.head.conv_channels)
    return replace(arch, blocks=arch.blocks[:-1], head=head)


def original_last_stage(arch: Arch, kernel: int = 3) -> Arch:
    """Undo `efficient_last_stage` (Howard et al. 2019, figure 5): 160 to 960, depthwise, 320, 1280, then the pool.

    The block that comes back gives twice the channels that it receives. ``InputError`` where no layer is behind the
    pool.
    """
    if not arch.head.hidden_channels:
        raise InputError(f"network {arch.name!r} has no layer behind the pool: its last stage is the original one")
    out = LAST_WIDENING * arch.blocks[-1].out_channels
    last = Block("mbconv", out, kernel, 1, arch.head.conv_channels, activation=arch.head.activation)
    head = replace(arch.head, conv_channels=arch.head.hidden_channels, hidden_channels=0)
    return replace(arch, blocks=(*arch.blocks, last), head=head)


def with_stem(arch: Arch, channels: int) -> Arch:
    """Give the stem so many filters: 16 in MobileNetV3, 32 before (Howard et al. 2019, section 5.1).

    A first block that expands nothing follows in width; its input is added to its output where the shapes allow it.
    """
    first = arch.blocks[0]
    same_shape = first.stride == 1 and first.out_channels == channels
    skip: Skip = first.skip
    if channels != arch.stem.channels:  # else it is as was chosen
        skip = "identity" if same_shape else "none"
    expanded = channels if first.expanded == arch.stem.channels else first.expanded
    stem = replace(arch.stem, channels=channels)
    return replace(arch, stem=stem, blocks=(replace(first, expanded=expanded, skip=skip), *arch.blocks[1:]))


def with_squeeze(arch: Arch, of: Squeeze) -> Arch:
    """Make each squeeze a quarter of its block's ``expansion`` or of its ``input``, or take it out with ``none``.

    A quarter of the expansion, rounded to 8, is MobileNetV3's (Howard et al. 2019, section 5.3); a quarter of the
    input, cut off, is MnasNet's (Tan et al. 2019, published code). Blocks without a squeeze stay without.
    """
    squeezes: dict[str, Callable[[Block, int], int]] = {
        "expansion": lambda block, channels: round_channels((block.expanded or block.out_channels) / 4),
        "input": lambda block, channels: round_channels(channels / 4, multiple=1),
    }
    if of not in get_args(Squeeze):
        raise InputError(f"a squeeze is of the expansion, input or none, got {of!r}")

    def squeezed(block: Block, channels: int) -> SqueezeExcite | None:
        if block.se is None or of == "none":
            return None
        return replace(block.se, channels=squeezes[of](block, channels))

    return replace(arch, blocks=tuple(replace(block, se=squeezed(block, wide)) for block, wide in arch.with_inputs()))


def place_activation(arch: Arch, placement: str) -> Arch:
    """Use ReLU everywhere (``relu``), or h-swish in blocks that give at least N channels (``hswish@N``).

    Howard et al. 2019, table 5: MobileNetV3-Large is ``hswish@80``. With any h-swish, stem and head have it too; where
    ReLU is everywhere they have ReLU (the paper doesn't say).
    """
    match = _PLACEMENT.fullmatch(placement)
    if placement != "relu" and match is None:
        raise InputError(f"placement must be relu or hswish@N, N a number of channels (hswish@80), got {placement!r}")
    least = int(match[1]) if match else None

    def chosen(channels: int) -> Activation:
        return "relu" if least is None or channels < least else "hswish"

    ends: Activation = "hswish" if match else "relu"
    blocks = tuple(replace(block, activation=chosen(block.out_channels)) for block in arch.blocks)
    stem, head = replace(arch.stem, activation=ends), replace(arch.head, activation=ends)
    return replace(arch, stem=stem, blocks=blocks, head=head)
