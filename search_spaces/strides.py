"""A backbone for dense prediction: its strides, dilated convolutions in their place, a narrower last stage."""

from dataclasses import replace
from fractions import Fraction

from search_spaces.arch import Arch, Block
from search_spaces.rounding import round_channels

LAST_STRIDE = 32  # the last stage begins with the layer whose output is that much smaller than the image


def strides(arch: Arch) -> list[int]:
    """Give for each block how many times smaller its output is than the image."""
    total, result = arch.stem.stride, []
    for block in arch.blocks:
        total *= block.stride
        result.append(total)
    return result


def dilate(arch: Arch, output_stride: int, *, strided_too: bool = False) -> Arch:
    """Drop the strides beyond ``output_stride``, and dilate the layers that follow instead (Chen et al. 2017, 3.1).

    The layer that loses its stride keeps its kernel as it is, as in DeepLab's public code, unless ``strided_too``.
    """
    total, rate, blocks = arch.stem.stride, 1, []
    for block in arch.blocks:
        if total * block.stride <= output_stride:
            total *= block.stride
            blocks.append(replace(block, dilation=block.dilation * rate))
        else:
            after = rate * block.stride
            dilation = block.dilation * (after if strided_too else rate)
            blocks.append(replace(block, stride=1, dilation=dilation))
            rate = after
    return replace(arch, blocks=tuple(blocks))


def reduce_last_stage(arch: Arch) -> Arch:
    """Halve the channels of the last stage (RF2 in Howard et al. 2019, table 7); the head's convolution with them.

    In networks with MobileNetV3's last stage every expansion is halved. In others an expansion keeps its ratio to what
    the block receives, so the first stays as it was: both reproduce the published counts.
    """
    first = strides(arch).index(LAST_STRIDE)
    blocks, received = list(arch.blocks[:first]), arch.blocks[first - 1].out_channels
    for index, (block, channels) in enumerate(arch.with_inputs()):
        if index >= first:
            share = Fraction(1, 2) if arch.head.hidden_channels else Fraction(received, channels)
            blocks.append(_narrowed(block, share))
            received = blocks[-1].out_channels
    head = replace(arch.head, conv_channels=round_channels(Fraction(arch.head.conv_channels, 2)))
    return replace(arch, blocks=tuple(blocks), head=head)


def _narrowed(block: Block, share: Fraction) -> Block:
    """Halve what a block gives, and scale what is inside it."""
    se = block.se
    if se is not None:
        multiple = 8 if se.channels % 8 == 0 else 1
        inside = share if block.expanded else Fraction(1, 2)  # a full convolution's is on its output
        se = replace(se, channels=round_channels(se.channels * inside, multiple))
    return replace(
        block,
        out_channels=round_channels(Fraction(block.out_channels, 2)),
        expanded=round_channels(block.expanded * share) if block.expanded else 0,
        se=se,
    )
