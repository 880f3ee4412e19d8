"""Networks in torch: `build` turns any `Arch` into a module, by the walk that also counts and times it.

The names in a ``state_dict`` are a file format, for checkpoints and for what cuts channels out of a trained network:

    normalise.{mean,std}                                  the training data's, 0 and 1 until training sets them
    stem.{conv,norm}.*                                    first convolution
    blocks.<i>.{full,expand,depthwise,project}.{conv,norm}.*   the convolutions of block i that exist
    blocks.<i>.{squeeze,excite}.*                         its squeeze-and-excite
    blocks.<i>.<role>.*                                   the layers of a kind of one's own, by their roles
    head.{conv,norm}.*   hidden.*   classifier.*          after the blocks; hidden only in MobileNetV3
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.convolution import Convolution
from search_spaces import Arch, Conv, Op, lower

BATCH_NORM_EPSILON = 1e-3  # Tan et al. 2019, published code
BATCH_NORM_MOMENTUM = 0.01  # Howard et al. 2019, section 6.1.1: a decay of 0.99
OUTPUT = ""  # no layer's role
CLASSIFIER_DEVIATION = 0.01  # as in torchvision's MobileNetV3; fan-out would give ten classes logits in the tens

_ACTIVATIONS: dict[str | None, type[nn.Module]] = {
    None: nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,  # x * relu6(x + 3) / 6
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,  # relu6(x + 3) / 6
}


def build(arch: Arch, *, dropout: float = 0.0, batch_norm_momentum: float = BATCH_NORM_MOMENTUM) -> "Network":
    """Build a network with fresh weights, drawn from torch's global generator.

    It maps float images in [0, 1], (batch, 3, height, width), to logits, (batch, classes). ``dropout`` is the
    share dropped before the classifier while training. Convolutions pad by kernel // 2 on every side, which gives
    TensorFlow's SAME sizes; at stride 2 SAME itself pads one pixel less at the top and left.
    """
    network = Network(arch, dropout)
    initialise(network, batch_norm_momentum)
    if network.hidden is not None:  # no batch norm follows, so by its inputs: a short training has no time to scale it
        nn.init.kaiming_normal_(network.hidden.weight, nonlinearity="relu")
    nn.init.normal_(network.classifier.weight, std=CLASSIFIER_DEVIATION)
    return network


def initialise(network: nn.Module, batch_norm_momentum: float = BATCH_NORM_MOMENTUM) -> None:
    """Draw the weights of all convolutions (He et al. 2015, by fan-out), and set all biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = batch_norm_momentum
        elif isinstance(module, nn.Conv2d):
            # the groups count, or depthwise weights would start near 0
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels / module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class Normalise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each colour."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ConvNorm(nn.Module):
    """A convolution, its batch norm and its activation."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.conv = _convolution(conv)
        self.norm = nn.BatchNorm2d(conv.out_channels, eps=BATCH_NORM_EPSILON)
        self.activation = _ACTIVATIONS[conv.activation]()

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.activation(self.norm(self.conv(x))))


class OpModule(nn.Module):
    """A block: the convolutions of its Op, each under the name of its role, and the skip around them."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op
        self.roles = _roles(op)
        self.appending = {conv.role for conv in op.convolutions() if conv.appends}
        for conv in op.convolutions():
            self.add_module(conv.role, ConvNorm(conv) if conv.batch_norm else _convolution(conv))
        gate = [conv.activation for conv in op.convolutions() if conv.role == "excite"]
        self.gate = _ACTIVATIONS[gate[0] if gate else None]()

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[OUTPUT]

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Give the feature map behind each layer, by its role, and the block's own under ``OUTPUT``."""
        y, made = x, {}
        for role, layer in self.layers():
            if role == "squeeze":  # Hu et al. 2018: one factor a channel, from the channels' means
                y = y * self._gates(y)  # with the excite, which follows
            elif role != "excite":
                new = layer(y)
                y = torch.cat([y, new], dim=1) if role in self.appending else new
            made[role] = y
        made[OUTPUT] = y if self.op.skip == "none" else y + self._skipped(x)
        return made

    def layers(self) -> list[tuple[str, nn.Module]]:
        """List the convolutions, with and without batch norm, in the order in which they run."""
        return [(role, self.get_submodule(role)) for role in self.roles]

    def _gates(self, y: Tensor) -> Tensor:
        squeezed = F.relu(self.get_submodule("squeeze")(F.adaptive_avg_pool2d(y, 1)))
        return cast(Tensor, self.gate(self.get_submodule("excite")(squeezed)))

    def _skipped(self, x: Tensor) -> Tensor:
        if self.op.skip == "identity":
            return x
        return F.avg_pool2d(x, 3, self.op.stride, padding=1, count_include_pad=False)


class Network(nn.Module):
    """A classification network; `build` makes it."""

    def __init__(self, arch: Arch, dropout: float) -> None:
        super().__init__()
        self.ops = ops = lower(arch)
        stem, blocks, tail = ops[0], ops[1 : 1 + len(arch.blocks)], ops[1 + len(arch.blocks) :]
        linears = [op.convolutions()[0] for op in tail if op.kind == "linear"]
        self.normalise = Normalise()
        self.stem = ConvNorm(*stem.convolutions())
        self.blocks = nn.Sequential(*[OpModule(op) for op in blocks])
        self.head = ConvNorm(*tail[0].convolutions())
        self.hidden = nn.Linear(linears[0].in_channels, linears[0].out_channels) if len(linears) == 2 else None
        self.hidden_activation = _ACTIVATIONS[linears[0].activation if len(linears) == 2 else None]()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(linears[-1].in_channels, linears[-1].out_channels)

    def forward(self, images: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(self.normalise(images))))
        features = F.adaptive_avg_pool2d(x, 1).flatten(1)
        if self.hidden is not None:
            features = self.hidden_activation(self.hidden(features))
        return cast(Tensor, self.classifier(self.dropout(features)))

    def layer_names(self) -> list[dict[str, str]]:
        """Name the submodule of each convolution of each of ``ops``."""
        tail = ["head", "", "hidden", "classifier"] if self.hidden is not None else ["head", "", "classifier"]
        blocks = [
            {role: f"blocks.{index}.{role}" for role in _roles(op)} for index, op in enumerate(self.ops[1 : -len(tail)])
        ]
        single = [dict.fromkeys(_roles(op), name) for op, name in zip(self.ops[-len(tail) :], tail, strict=True)]
        return [dict.fromkeys(_roles(self.ops[0]), "stem"), *blocks, *single]


def _convolution(conv: Conv) -> Convolution:
    return Convolution(
        conv.in_channels,
        conv.out_channels,
        conv.kernel,
        conv.stride,
        padding=conv.reach,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=conv.bias,
    )


def _roles(op: Op) -> list[str]:
    return [conv.role for conv in op.convolutions()]
