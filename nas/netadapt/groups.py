"""Which widths of a network can be changed by themselves, and which only together.

Layers share their channels where one filters another's map by channel, scales it, or is added to it. Everything is read
off the walk over the network, so that kinds of block of one's own are followed as the built-in ones are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.cluster.hierarchy import DisjointSet

from nas.network import Network
from search_spaces import Arch, Conv, InputError, Op
from search_spaces.kinds import block_kind

IMAGE = ""  # what the stem reads


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, its name in a ``state_dict``, and the name of the layer whose channels it reads."""

    name: str
    conv: Conv
    source: str

    @property
    def chooses(self) -> bool:
        """Whether it makes channels of its own, rather than one from or for each that is there."""
        return not self.conv.depthwise and self.conv.role != "excite"


@dataclass(frozen=True, slots=True)
class WidthGroup:
    """Layers that have the same channels, and so one width.

    ``makers`` are those whose filters make the channels; the others go along. The rest says where an `Arch` holds the
    width: in the stem, in ``out_channels`` of the blocks ``outputs``, in ``expanded`` of the blocks ``expansions``.
    """

    layers: tuple[str, ...]
    makers: tuple[str, ...]
    stem: bool
    outputs: tuple[int, ...]
    expansions: tuple[int, ...]

    @property
    def is_target(self) -> bool:
        """Whether NetAdapt may propose to narrow it: expansions and bottlenecks (Howard et al. 2019, section 4.2)."""
        return bool(self.outputs or (self.expansions and not self.stem))

    @property
    def name(self) -> str:
        """Name it for people; blocks count from 0, as in the architecture's file."""
        if not self.outputs:
            return f"expansion of block {self.expansions[0]}" if self.expansions else self.layers[0]
        blocks = ", ".join(map(str, self.outputs))
        stem = "stem and " if self.stem else ""
        return f"bottleneck of {stem}block{'s' if len(self.outputs) > 1 else ''} {blocks}"

    def width(self, arch: Arch) -> int:
        """Give the width that a network has here."""
        if self.outputs:
            return arch.blocks[self.outputs[0]].out_channels
        return arch.stem.channels if self.stem else arch.blocks[self.expansions[0]].expanded

    def resized(self, arch: Arch, width: int) -> Arch:
        """Give a network another width here; squeeze-and-excites stay as they are."""
        blocks = list(arch.blocks)
        for index in self.outputs:
            blocks[index] = replace(blocks[index], out_channels=width)
        for index in self.expansions:
            blocks[index] = replace(blocks[index], expanded=width)
        stem = replace(arch.stem, channels=width) if self.stem else arch.stem
        return replace(arch, stem=stem, blocks=tuple(blocks))


def targets(arch: Arch) -> list[WidthGroup]:
    """List what NetAdapt may narrow, from the image on; the stem alone, the head and the classifier are left as is."""
    return [group for group in width_groups(arch) if group.is_target]


def width_groups(arch: Arch) -> list[WidthGroup]:
    """Part all layers but the classifier into groups, ordered by their first layer; ``InputError`` if it cannot be."""
    walk = _Walk.of(arch)
    sets = DisjointSet(layer.name for layer in walk.layers)
    for one, other in walk.joined:
        sets.merge(one, other)
    # in the order of the walk: a DisjointSet has none
    groups = {sets[layer.name]: sets.subset(layer.name) for layer in walk.layers[:-1]}
    return [_group(members, walk) for members in groups.values()]


def layers(arch: Arch) -> list[Layer]:
    """List all convolutions and linear layers in the order in which they run."""
    return _Walk.of(arch).layers


@dataclass(frozen=True, slots=True)
class _Walk:
    """All layers; the pairs that share their channels; each block's last map, and the one that its last maker reads."""

    layers: list[Layer]
    joined: list[tuple[str, str]]
    outputs: list[str]
    inner: list[str]

    @classmethod
    def of(cls, arch: Arch) -> "_Walk":
        with torch.device("meta"):  # its names are wanted, not its weights
            network = Network(arch, dropout=0.0)
        walk, feature = cls([], [], [], []), IMAGE
        for index, (op, names) in enumerate(zip(network.ops, network.layer_names(), strict=True)):
            first, start = len(walk.layers), feature
            for conv in op.convolutions():
                feature = walk._add(conv, names[conv.role], feature)
            if op.skip != "none":
                walk.joined.append((feature, start))
            if 1 <= index <= len(arch.blocks):
                _check(op, index - 1)
                makers = [layer for layer in walk.layers[first:] if layer.chooses and layer.conv.role != "squeeze"]
                walk.outputs.append(feature)
                walk.inner.append(makers[-1].source if makers and block_kind(op.kind).expands else IMAGE)
        return walk

    def _add(self, conv: Conv, name: str, feature: str) -> str:
        """Note a layer that meets the map of ``feature``; give the name of the one that made the map behind it."""
        if conv.role == "excite":
            self.layers.append(Layer(name, conv, self.layers[-1].name))  # the squeeze
        else:
            self.layers.append(Layer(name, conv, feature))
        if not self.layers[-1].chooses:
            self.joined.append((name, feature))
        return feature if conv.role in ("squeeze", "excite") else name


def _check(op: Op, block: int) -> None:
    for conv in op.convolutions():
        if conv.appends or (conv.groups > 1 and not conv.depthwise):
            what = "puts its channels behind others" if conv.appends else "is grouped"
            raise InputError(
                f"block {block} is of kind {op.kind!r}, whose layer {conv.role!r} {what}; NetAdapt can cut channels "
                "of full, 1x1 and depthwise convolutions only"
            )


def _group(members: "set[str]", walk: _Walk) -> WidthGroup:
    def where(names: Sequence[str]) -> tuple[int, ...]:
        return tuple(index for index, name in enumerate(names) if name in members)

    inside = [layer for layer in walk.layers if layer.name in members]
    return WidthGroup(
        layers=tuple(layer.name for layer in inside),
        makers=tuple(layer.name for layer in inside if layer.chooses),
        stem=walk.layers[0].name in members,
        outputs=where(walk.outputs),
        expansions=where(walk.inner),
    )
