"""Multiply-accumulates and parameters of a network, by each of the conventions that published tables use."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from search_spaces.arch import Arch
from search_spaces.op import Conv, Op, lower


@dataclass(frozen=True, slots=True)
class Count:
    """What a network costs, in whole numbers; papers count in two ways what it multiplies, in three what it holds.

    ``macs``: multiply-accumulates of convolutions, squeeze-and-excite and linear layers; no bias, batch norm, pool,
    activation or addition. ``batch_norm_channels``: channels under a batch norm. ``hswish_elements``: numbers that go
    through an h-swish. ``scaled_elements``: numbers that a squeeze-and-excite scales.
    """

    macs: int = 0
    weights: int = 0
    biases: int = 0
    batch_norm_channels: int = 0
    hswish_elements: int = 0
    scaled_elements: int = 0

    @property
    def macs_profiled(self) -> int:
        """Multiply-accumulates as a profiler of the graph sees them: what fits Howard et al. 2019, tables 7 and 8.

        An h-swish is two more products an element, x * relu6(x + 3) * (1/6); squeeze-and-excite's scaling is one.
        """
        return self.macs + 2 * self.hswish_elements + self.scaled_elements

    @property
    def params(self) -> int:
        """Trainable parameters: weights, biases, and a scale and a shift for each batch norm channel."""
        return self.params_no_norm + 2 * self.batch_norm_channels

    @property
    def params_no_norm(self) -> int:
        """Weights and biases alone: what fits MobileNetV2's figures."""
        return self.weights + self.biases

    @property
    def params_folded(self) -> int:
        """Parameters as deployed: each batch norm folded into its convolution, where it leaves a bias a channel."""
        return self.params_no_norm + self.batch_norm_channels

    def __add__(self, other: "Count") -> "Count":
        return Count(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def count_op(op: Op) -> Count:
    """Count one Op."""
    convs = op.convolutions()
    return Count(
        macs=sum(conv.macs for conv in convs),
        weights=sum(conv.weights for conv in convs),
        biases=sum(conv.out_channels for conv in convs if conv.bias),
        batch_norm_channels=sum(conv.out_channels for conv in convs if conv.batch_norm),
        hswish_elements=sum(_elements(conv) for conv in convs if conv.activation == "hswish"),
        scaled_elements=_scaled_elements(op, convs),
    )


def count_ops(ops: Iterable[Op]) -> Count:
    """Count Ops together."""
    return sum((count_op(op) for op in ops), Count())


def count(arch: Arch) -> Count:
    """Count a whole network."""
    return count_ops(lower(arch))


def _elements(conv: Conv) -> int:
    return conv.out_channels * conv.out_height * conv.out_width


def _scaled_elements(op: Op, convs: Iterable[Conv]) -> int:
    """Count the elements of the maps that squeeze-and-excites read, for those are what they scale."""
    scaled, pixels = 0, op.height * op.width
    for conv in convs:
        if conv.role == "excite":
            scaled += conv.out_channels * pixels
        elif conv.role != "squeeze":
            pixels = conv.out_height * conv.out_width
    return scaled
