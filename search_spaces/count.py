"""Multiply-accumulates and parameters of a network."""

from dataclasses import dataclass

from search_spaces.arch import Arch
from search_spaces.op import Op, lower


@dataclass(frozen=True, slots=True)
class Count:
    """What a network costs, in whole numbers.

    ``macs``: multiply-accumulates of convolutions, squeeze-and-excite and linear layers; no bias, batch norm, pool,
    activation or addition. ``batch_norm_channels``: channels under a batch norm.
    """

    macs: int
    weights: int
    biases: int
    batch_norm_channels: int

    @property
    def params(self) -> int:
        """Trainable parameters: weights, biases, and a scale and a shift for each batch norm channel."""
        return self.weights + self.biases + 2 * self.batch_norm_channels

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.macs + other.macs,
            self.weights + other.weights,
            self.biases + other.biases,
            self.batch_norm_channels + other.batch_norm_channels,
        )


def count_op(op: Op) -> Count:
    """Count one Op."""
    convs = op.convolutions()
    return Count(
        macs=sum(conv.macs for conv in convs),
        weights=sum(conv.weights for conv in convs),
        biases=sum(conv.out_channels for conv in convs if conv.bias),
        batch_norm_channels=sum(conv.out_channels for conv in convs if conv.batch_norm),
    )


def count(arch: Arch) -> Count:
    """Count a whole network."""
    return sum((count_op(op) for op in lower(arch)), Count(0, 0, 0, 0))
