"""The rows of block latency tables that others publish, as Ops: what their names say, and what they leave out.

The layout is that of the ProxylessNAS and Once-for-All authors (Cai et al. 2019; Cai et al. 2020):

    expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:3-stride:2-idskip:0

What such a name does not say is as in these authors' networks:

- ``expand`` is a ratio where a row ends at ``idskip`` (ProxylessNAS), and the expanded channels where ``se`` and ``hs``
  follow (Once-for-All).
- ``idskip:1`` adds the block's input to its output: skip ``identity``.
- ``se:1`` squeezes to a quarter of the expanded channels, rounded to a multiple of 8, with a hard sigmoid as gate.
- ``hs:1`` is h-swish and ``hs:0`` ReLU. A table without them has ReLU6 everywhere, or what the caller says.
- ``Conv`` is the 3x3 stem, ``Conv_1`` the 1x1 convolution before the pool, ``Conv_2`` the hidden layer after it. In a
  table with ``hs`` they have h-swish. Their hidden layer has no bias and ours has one: the time is taken for the same.
- ``Logits`` is the classifier and, where its input is still a map, the global pool too: one time for two Ops.
"""

import re

from search_spaces import Block, Op, SqueezeExcite
from search_spaces.arch import INPUT_CHANNELS, Activation, Skip
from search_spaces.op import block_op
from search_spaces.rounding import round_channels

EXAMPLE = "expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:3-stride:1-idskip:1"

_IN = r"input:(?P<height>\d+)x(?P<width>\d+)x(?P<channels>\d+)"
_OUT = r"output:(?P<out_height>\d+)x(?P<out_width>\d+)x(?P<out>\d+)"
_BLOCK = re.compile(
    rf"expanded_conv-{_IN}-{_OUT}-expand:(?P<expand>\d+)-kernel:(?P<kernel>\d+)-stride:(?P<stride>\d+)"
    r"-idskip:(?P<idskip>[01])(?:-se:(?P<se>[01])-hs:(?P<hs>[01]))?"
)
_LAYER = re.compile(rf"(?P<kind>Conv|Conv_1|Conv_2|AvgPool2D)-{_IN}-{_OUT}")
_LOGITS = re.compile(rf"Logits-{_IN}-output:(?P<out>\d+)")


def row_ops(name: str, activation: Activation, ends: Activation) -> list[Op]:
    """Give the Op that a row times, or the two; ``ValueError`` says why there is none.

    ``activation`` is that of blocks without ``hs``, ``ends`` that of the layers before and after the blocks.
    """
    match = _BLOCK.fullmatch(name) or _LAYER.fullmatch(name) or _LOGITS.fullmatch(name)
    if match is None:
        raise ValueError(f"a name of another layout; one of this is {EXAMPLE}")
    told = {part: int(text) for part, text in match.groupdict().items() if part != "kind" and text is not None}
    if min(told[part] for part in ("height", "width", "channels", "out")) < 1:
        raise ValueError("a size of 0")
    if match.re is _LOGITS:
        return _logits(told)
    op = _block(told, activation) if match.re is _BLOCK else _layer(match["kind"], told, ends)
    if (op.out_height, op.out_width) != (told["out_height"], told["out_width"]):
        raise ValueError(f"its output would be {op.out_height}x{op.out_width}, padded as all our convolutions are")
    return [op]


def _block(told: dict[str, int], activation: Activation) -> Op:
    expanded = told["expand"]
    if "hs" in told:
        activation = "hswish" if told["hs"] else "relu"
    else:
        expanded *= told["channels"]
    if told["idskip"] and (told["stride"] != 1 or told["channels"] != told["out"]):
        raise ValueError("idskip:1 needs stride 1 and as many channels out as in")
    se = SqueezeExcite(round_channels(expanded // 4), "hard_sigmoid") if told.get("se") else None
    skip: Skip = "identity" if told["idskip"] else "none"
    block = Block("mbconv", told["out"], told["kernel"], told["stride"], expanded, se, activation, skip)
    return block_op(block, told["height"], told["width"], told["channels"])


def _layer(kind: str, told: dict[str, int], activation: Activation) -> Op:
    height, width, channels, out = (told[part] for part in ("height", "width", "channels", "out"))
    if kind == "Conv":
        if channels != INPUT_CHANNELS:
            raise ValueError(f"Conv is the stem, whose input has {INPUT_CHANNELS} channels")
        stride = (
            1 if told["out_height"] == height else 2
        )  # the name does not say; any other fails the check of its output
        return Op("conv", height, width, channels, out, 3, stride, activation=activation)
    if kind == "Conv_1":
        return Op("conv", height, width, channels, out, activation=activation)
    if kind == "Conv_2":
        if (height, width) != (1, 1):
            raise ValueError("Conv_2 comes after the pool, where a map is 1x1")
        return Op("linear", 1, 1, channels, out, activation=activation)
    if channels != out:
        raise ValueError("a pool has as many channels out as in")
    return Op("pool", height, width, channels, out)


def _logits(told: dict[str, int]) -> list[Op]:
    height, width, channels = told["height"], told["width"], told["channels"]
    classifier = Op("linear", 1, 1, channels, told["out"])
    return [classifier] if (height, width) == (1, 1) else [Op("pool", height, width, channels, channels), classifier]
