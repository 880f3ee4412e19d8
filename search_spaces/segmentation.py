"""Segmentation networks: R-ASPP and LR-ASPP (Howard et al. 2019, section 6.4) behind any backbone.

A `Segmenter` is a backbone and the choices of tables 7 and 8; `segmentation_ops` walks it, and what counts, times and
builds it all goes by that walk.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from search_spaces.arch import Arch
from search_spaces.count import Count, count_ops
from search_spaces.errors import InputError
from search_spaces.op import Op, lower
from search_spaces.strides import LAST_STRIDE, dilate, reduce_last_stage, strides

HeadKind = Literal["lraspp", "raspp"]
Variant = Literal["paper", "torchvision"]

LOW_STRIDE = 8  # of the map that LR-ASPP takes details from
OUTPUT_STRIDES = (16, 32)
_POOL = {16: (49, (16, 20)), 32: (25, (8, 10))}  # LR-ASPP's pool: 769 pixels of training crop; and its strides


class SegmenterError(InputError):
    """The backbone, the head and the image's size do not fit together."""


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A segmentation network, from an RGB image of ``height`` x ``width`` pixels to ``classes`` logits a pixel.

    ``filters``: F of table 7. ``output_stride``: what the last feature map is smaller by; layers behind a stride that
    this forbids are dilated. ``reduced``: RF2, half the channels in the last stage. ``variant`` ``torchvision`` is that
    library's LR-ASPP: low-level features after the projection, a global pool, a gate without bias.
    """

    backbone: Arch
    classes: int
    height: int
    width: int
    head: HeadKind = "lraspp"
    filters: int = 128
    output_stride: int = 16
    reduced: bool = True
    variant: Variant = "paper"

    def __post_init__(self) -> None:
        _check_choice("head", self.head, get_args(HeadKind))
        _check_choice("variant", self.variant, get_args(Variant))
        if self.output_stride not in OUTPUT_STRIDES:
            raise SegmenterError(f"the output stride must be 16 or 32, got {self.output_stride}")
        if self.classes < 2 or self.filters < 1:
            raise SegmenterError(f"at least 2 classes and 1 filter are needed, got {self.classes} and {self.filters}")
        if self.variant == "torchvision" and self.head != "lraspp":
            raise SegmenterError("the torchvision variant is of the head lraspp only")
        _check_strides(self)
        if min(self.height, self.width) < 2 * self.output_stride:
            raise SegmenterError(
                f"images of {self.height}x{self.width} pixels leave less than 2x2 at output stride "
                f"{self.output_stride}; both sides must be at least {2 * self.output_stride}"
            )

    @property
    def adapted(self) -> Arch:
        """The backbone as it runs here: its last stage reduced if asked for, and dilated where no stride is left."""
        arch = reduce_last_stage(self.backbone) if self.reduced else self.backbone
        return dilate(arch, self.output_stride, strided_too=self.variant == "torchvision")

    @property
    def ends_in_head(self) -> bool:
        """Whether the last features are those of the head's convolution, as in MobileNetV3.

        Networks whose classifier has no layer between it and the pool (MobileNetV2, MnasNet) widen there for the
        classifier's sake; they end in their last block.
        """
        return self.variant == "torchvision" or self.backbone.head.hidden_channels > 0

    @property
    def low_block(self) -> int:
        """The block that gives the low-level features: the last at stride 8; in torchvision the first."""
        at = [index for index, stride in enumerate(strides(self.backbone)) if stride == LOW_STRIDE]
        return at[0] if self.variant == "torchvision" else at[-1]


@dataclass(frozen=True, slots=True)
class Walk:
    """The Ops of a segmentation network by their place.

    ``last``: the head's convolution, where the backbone ends in it. ``features``: 1x1 to F. ``gate``: the 1x1 behind
    LR-ASPP's pool. ``context``: the 1x1 behind R-ASPP's. ``fuse``: the 1x1 on R-ASPP's two maps.
    ``high``: the classifier of features. ``low``: of low-level features.
    """

    stem: Op
    blocks: tuple[Op, ...]
    last: Op | None
    features: Op
    high: Op
    gate: Op | None = None
    low: Op | None = None
    context: Op | None = None
    fuse: Op | None = None

    def ops(self) -> list[Op]:
        """List the Ops in the order in which they run."""
        behind = (self.last, self.features, self.gate, self.context, self.fuse, self.high, self.low)
        return [self.stem, *self.blocks, *(op for op in behind if op is not None)]


def segmentation_ops(segmenter: Segmenter) -> list[Op]:
    """List the Ops of a segmentation network; pools, resizes and the gate's product are in none of them."""
    return segmentation_walk(segmenter).ops()


def segmentation_walk(segmenter: Segmenter) -> Walk:
    """Walk a segmentation network from image to logits."""
    arch = segmenter.adapted
    chain = lower(arch, (segmenter.height, segmenter.width))
    stem, blocks, head = chain[0], chain[1 : 1 + len(arch.blocks)], chain[1 + len(arch.blocks)]
    last = head if segmenter.ends_in_head else None
    end = last or blocks[-1]
    size, channels = (end.out_height, end.out_width), end.out_channels
    features = Op("conv", *size, channels, segmenter.filters, activation="relu")
    make = _light_head if segmenter.head == "lraspp" else _aspp_head
    return make(segmenter, Walk(stem, tuple(blocks), last, features, high=features))


def _light_head(segmenter: Segmenter, walk: Walk) -> Walk:
    """Complete LR-ASPP (Howard et al. 2019, figure 10): a gate on coarse means, details from stride 8."""
    low = _low_features(segmenter, walk)
    channels = walk.features.in_channels
    grid = pool_grid(segmenter, walk.features.height, walk.features.width)
    free_of_bias = segmenter.variant == "torchvision"
    gate = Op("matmul" if free_of_bias else "linear", *grid, channels, segmenter.filters)
    high = Op("linear", low.height, low.width, segmenter.filters, segmenter.classes)
    return replace(walk, gate=gate, high=high, low=low)


def _low_features(segmenter: Segmenter, walk: Walk) -> Op:
    block = walk.blocks[segmenter.low_block]
    channels = block.out_channels
    if segmenter.variant == "paper":
        depthwise = [conv.out_channels for conv in block.convolutions() if conv.role == "depthwise"]
        channels = depthwise[0] if depthwise else channels
    return Op("linear", block.out_height, block.out_width, channels, segmenter.classes)


def _aspp_head(segmenter: Segmenter, walk: Walk) -> Walk:
    """Complete R-ASPP (Sandler et al. 2018, section 6.3): a 1x1 convolution and the image's mean, fused."""
    size, filters = (walk.features.height, walk.features.width), segmenter.filters
    context = Op("conv", 1, 1, walk.features.in_channels, filters, activation="relu")
    fuse = Op("conv", *size, 2 * filters, filters, activation="relu")
    return replace(walk, context=context, fuse=fuse, high=Op("linear", *size, filters, segmenter.classes))


def pool_window(segmenter: Segmenter, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give window and stride of LR-ASPP's average pool on a map: 49x49 by (16, 20) at output stride 16."""
    if segmenter.variant == "torchvision":
        return (height, width), (1, 1)
    side, stride = _POOL[segmenter.output_stride]
    return (min(side, height), min(side, width)), stride


def pool_grid(segmenter: Segmenter, height: int, width: int) -> tuple[int, int]:
    """Give the size of what LR-ASPP's pool makes of a map."""
    window, stride = pool_window(segmenter, height, width)
    return (height - window[0]) // stride[0] + 1, (width - window[1]) // stride[1] + 1


def count_segmenter(segmenter: Segmenter) -> Count:
    """Count a segmentation network."""
    return count_ops(segmentation_ops(segmenter))


def profiled_macs(segmenter: Segmenter) -> int:
    """Count multiply-adds as in the published tables 7 and 8, which fits a profiler's way.

    To `Count.macs_profiled` the last resize adds one for each class and pixel.
    """
    return count_segmenter(segmenter).macs_profiled + segmenter.height * segmenter.width * segmenter.classes


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SegmenterError(f"the {name} must be one of {', '.join(allowed)}, got {value!r}")


def _check_strides(segmenter: Segmenter) -> None:
    arch = segmenter.backbone
    needed = [LOW_STRIDE] if segmenter.head == "lraspp" else []
    needed += [LAST_STRIDE] if segmenter.reduced or segmenter.output_stride == LAST_STRIDE else [16]
    found = strides(arch)
    missing = [stride for stride in needed if stride not in found]
    if missing:
        raise SegmenterError(
            f"network {arch.name!r} has no block of stride {missing[0]}, which this head needs; its blocks have "
            f"{', '.join(str(stride) for stride in sorted(set(found)))}"
        )
