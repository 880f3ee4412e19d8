"""A network as frozen data: resolved integers only, nothing left to decide."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from pydantic import ConfigDict

from search_spaces.errors import InputError
from search_spaces.kinds import block_kind

Activation = Literal["relu", "relu6", "hswish"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Skip = Literal["none", "identity", "pool"]

INPUT_CHANNELS = 3
STRICT = ConfigDict(extra="forbid")  # for files: a key that no field takes is an error


class ArchError(InputError):
    """The numbers do not describe a network that can be built."""


def _check_positive(where: str, **values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArchError(f"{where}: {name} must be a whole number of at least 1, got {value!r}")


def _check_choice(where: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ArchError(f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}")


def _check_kernel(where: str, kernel: int) -> None:
    if kernel % 2 == 0:
        raise ArchError(f"{where}: kernel must be odd, got {kernel}")


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """Squeeze-and-excite (Hu et al. 2018): global pool, two 1x1 convolutions with biases, a gate.

    ``channels`` is the width of the squeeze; the activation between the two convolutions is always ReLU.
    """

    __pydantic_config__ = STRICT

    channels: int
    gate: Gate

    def __post_init__(self) -> None:
        _check_positive("squeeze-and-excite", channels=self.channels)
        _check_choice("squeeze-and-excite", "gate", self.gate, get_args(Gate))


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution: kernel x kernel, batch norm, activation."""

    __pydantic_config__ = STRICT

    channels: int
    kernel: int = 3
    stride: int = 2
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_positive("stem", channels=self.channels, kernel=self.kernel, stride=self.stride)
        _check_kernel("stem", self.kernel)
        _check_choice("stem", "activation", self.activation, get_args(Activation))


@dataclass(frozen=True, slots=True)
class Block:
    """One searchable layer: a full convolution, an inverted residual, or a kind of one's own (`search_spaces.kinds`).

    ``conv``: kernel x kernel convolution, batch norm, activation, squeeze-and-excite. ``expanded`` is 0.
    ``mbconv``: 1x1 expansion to ``expanded`` channels (left out where ``expanded`` equals the input's channels),
    depthwise convolution, squeeze-and-excite after its activation, linear 1x1 projection (Howard et al. 2019, 4).

    ``skip`` adds the input (``identity``: stride 1, equal channels) or its 3x3 average pool of the same stride
    (``pool``: equal channels) to the output. ``dilation`` is the distance between the taps of the kernel, in pixels
    (atrous convolution, Chen et al. 2017, section 3.1); 1x1 convolutions have none.
    """

    __pydantic_config__ = STRICT

    kind: str
    out_channels: int
    kernel: int
    stride: int
    expanded: int = 0
    se: SqueezeExcite | None = None
    activation: Activation = "relu"
    skip: Skip = "none"
    dilation: int = 1

    def __post_init__(self) -> None:
        kind = block_kind(self.kind)
        _check_positive("block", out_channels=self.out_channels, kernel=self.kernel, stride=self.stride)
        _check_positive("block", dilation=self.dilation)
        _check_kernel("block", self.kernel)
        _check_choice("block", "activation", self.activation, get_args(Activation))
        _check_choice("block", "skip", self.skip, get_args(Skip))
        if kind.expands:
            _check_positive("block", expanded=self.expanded)
        elif self.expanded != 0:
            raise ArchError(f"block: a {kind.name} block has no expansion, so expanded must be 0, got {self.expanded}")


@dataclass(frozen=True, slots=True)
class Head:
    """What follows the blocks: 1x1 convolution, global average pool, optional hidden layer, classifier.

    ``hidden_channels`` is the width of MobileNetV3's 1x1 layer after the pool (bias, no batch norm); 0 leaves it out.
    """

    __pydantic_config__ = STRICT

    conv_channels: int
    hidden_channels: int = 0
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_positive("head", conv_channels=self.conv_channels)
        _check_choice("head", "activation", self.activation, get_args(Activation))
        if self.hidden_channels < 0:
            raise ArchError(f"head: hidden_channels must be 0 (none) or more, got {self.hidden_channels}")


@dataclass(frozen=True, slots=True)
class Arch:
    """A classification network, from a square RGB image of ``resolution`` pixels to ``classes`` logits."""

    __pydantic_config__ = STRICT

    name: str
    resolution: int
    classes: int
    stem: Stem
    blocks: tuple[Block, ...]
    head: Head

    def __post_init__(self) -> None:
        _check_positive(f"network {self.name!r}", resolution=self.resolution, classes=self.classes)
        if not self.blocks:
            raise ArchError(f"network {self.name!r} has no blocks; at least one is needed")
        for index, (block, channels) in enumerate(self.with_inputs()):
            where = f"network {self.name!r}, block {index}"
            if block.skip != "none" and block.out_channels != channels:
                raise ArchError(
                    f"{where}: skip {block.skip!r} needs equal channels, got {channels} in and {block.out_channels} out"
                )
            if block.skip == "identity" and block.stride != 1:
                raise ArchError(f"{where}: skip 'identity' needs stride 1, got {block.stride}")

    def with_inputs(self) -> Iterator[tuple[Block, int]]:
        """Yield each block with the number of channels that it receives."""
        channels = self.stem.channels
        for block in self.blocks:
            yield block, channels
            channels = block.out_channels

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this network's structure, whatever its ``name``."""
        structure = {field: value for field, value in asdict(self).items() if field != "name"}
        for block in structure["blocks"]:
            if block["dilation"] == 1:  # as in the keys of runs that were made before there was a choice
                del block["dilation"]
        text = json.dumps(structure, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
