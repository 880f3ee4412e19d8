"""Detection networks: SSDLite (Sandler et al. 2018, section 6.2; Howard et al. 2019, section 6.3) behind any backbone.

A `Detector` is a backbone and the choices of table 6; `detection_walk` walks it, and what counts, times and builds it
all goes by that walk.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from search_spaces.arch import STRICT, Arch, Block
from search_spaces.count import Count, count_op
from search_spaces.errors import InputError
from search_spaces.kinds import BlockKind, register_kind
from search_spaces.op import Conv, Op, lower
from search_spaces.reference import reference
from search_spaces.rounding import round_channels
from search_spaces.strides import LAST_STRIDE, strides

TAP_STRIDE = 16  # of C4, the first of the maps that are looked at
BOX_CODES = 4  # numbers that say where a box is
EXTRA_CHANNELS = (512, 256, 256, 128)  # Liu et al. 2016, figure 2
FIRST_ANCHORS, OTHER_ANCHORS = 3, 6  # a place on the first map has fewer; published configuration of table 6
_LEAST_EXTRA = 8  # channels; it fits table 6's narrow MobileNetV2, 16 doesn't


class DetectorError(InputError):
    """The backbone and the detection head do not fit together."""


@dataclass(frozen=True, slots=True)
class Detector:
    """An object detector, from a square RGB image of the backbone's resolution to boxes of ``classes`` classes.

    It looks at C4, the last map of stride 16, in front of the stride inside block ``tap``; at C5, the output of the
    backbone's last convolution; and at the output of each extra layer, each half as large as the one before, of
    ``extras`` channels. ``min_scale`` and ``max_scale``: the anchors' sizes on C4 and on the last map, as shares of the
    image's side.
    """

    __pydantic_config__ = STRICT

    backbone: Arch
    classes: int
    tap: int
    extras: tuple[int, ...] = EXTRA_CHANNELS
    min_scale: float = 0.2
    max_scale: float = 0.95

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise DetectorError(f"a detector needs at least 1 class, got {self.classes}")
        if not 0 < self.min_scale < self.max_scale <= 1:
            raise DetectorError(
                f"the anchors' scales must rise and lie above 0 and up to 1, got {self.min_scale:g} to "
                f"{self.max_scale:g}"
            )
        if any(channels < 2 for channels in self.extras):
            raise DetectorError(f"extra layers need at least 2 channels each, got {list(self.extras)}")
        _check_tap(self.backbone, self.tap)
        _check_resolution(self.backbone)

    @property
    def class_slots(self) -> int:
        """The logits of an anchor: one a class, and one for the background, always trained to no (published code)."""
        return self.classes + 1

    @property
    def anchors(self) -> tuple[int, ...]:
        """The anchors at each place of each map."""
        return (FIRST_ANCHORS, *[OTHER_ANCHORS] * (1 + len(self.extras)))


@dataclass(frozen=True, slots=True)
class DetectionWalk:
    """The Ops of a detector by their place.

    ``last``: the head's convolution, whose output is C5. ``extras``: the two Ops of each extra layer. ``boxes`` and
    ``scores``: the predictors of each map, C4 first.
    """

    stem: Op
    blocks: tuple[Op, ...]
    last: Op
    extras: tuple[tuple[Op, Op], ...]
    boxes: tuple[Op, ...]
    scores: tuple[Op, ...]

    def ops(self) -> list[Op]:
        """List the Ops in the order in which they run."""
        extras = [op for pair in self.extras for op in pair]
        return [self.stem, *self.blocks, self.last, *extras, *self.boxes, *self.scores]


def ssdlite(
    backbone: Arch, classes: int, *, reduced: bool = False, tap: int | None = None, width: float = 1.0
) -> Detector:
    """Put an SSDLite head behind a network; its own classifier is left out.

    ``tap`` is the block whose stride ends C4, by default the one that goes from stride 16 to 32. ``reduced`` halves
    the channels behind C4 (the dagger of Howard et al. 2019, table 6). ``width`` scales the extra layers.
    """
    if tap is None:
        tap = _last_stage(backbone)
    extras = tuple(max(_LEAST_EXTRA, int(channels * Fraction(str(width)))) for channels in EXTRA_CHANNELS)
    return Detector(reduce_behind(backbone, tap) if reduced else backbone, classes, tap, extras)


def reference_detector(
    name: str, width: float = 1.0, resolution: int = 320, classes: int = 90, *, reduced: bool = False
) -> Detector:
    """Give a detector on a published network as in Howard et al. 2019, table 6, which are for COCO's 90 labels.

    The width multiplier goes for the extra layers too, and for the last convolution of the networks whose classifiers
    keep it as it is (MobileNetV2 below 1, MnasNet): published code.
    """
    backbone = reference(name, width, resolution, classes)
    if backbone.head.hidden_channels == 0:
        last = round_channels(reference(name).head.conv_channels * Fraction(str(width)))
        backbone = replace(backbone, head=replace(backbone.head, conv_channels=last))
    return ssdlite(backbone, classes, reduced=reduced, width=width)


def reduce_behind(arch: Arch, tap: int) -> Arch:
    """Halve the outputs of the blocks from ``tap`` on and of the head's convolution (Howard et al. 2019, section 6.3).

    Expansions keep their ratio to what a block receives, so the one of ``tap``, C4, stays as it was, and squeezes
    theirs to the expansion.
    """
    blocks, received = list(arch.blocks[:tap]), 0
    for index, (block, channels) in enumerate(arch.with_inputs()):
        if index >= tap:
            blocks.append(_halved(block, Fraction(1) if index == tap else Fraction(received, channels)))
            received = blocks[-1].out_channels
    head = replace(arch.head, conv_channels=round_channels(Fraction(arch.head.conv_channels, 2)))
    return replace(arch, blocks=tuple(blocks), head=head)


def detection_walk(detector: Detector) -> DetectionWalk:
    """Walk a detector from image to box codes and class logits."""
    arch = detector.backbone
    chain = lower(arch)
    stem, blocks, last = chain[0], tuple(chain[1 : 1 + len(arch.blocks)]), chain[1 + len(arch.blocks)]
    extras: list[tuple[Op, Op]] = []
    before = last
    for channels in detector.extras:
        extras.append(_extra_layer(before, channels))
        before = extras[-1][1]
    tap = blocks[detector.tap]
    maps = [(tap.height, tap.width, strided_conv(tap).in_channels)]
    maps += [(op.out_height, op.out_width, op.out_channels) for op in (last, *(pair[1] for pair in extras))]
    boxes, scores = (
        tuple(
            Op("predictor", *size, anchors * outputs, kernel=3, activation="relu6")
            for size, anchors in zip(maps, detector.anchors, strict=True)
        )
        for outputs in (BOX_CODES, detector.class_slots)
    )
    return DetectionWalk(stem, blocks, last, tuple(extras), boxes, scores)


def detection_ops(detector: Detector) -> list[Op]:
    """List the Ops of a detector; what makes boxes of its outputs is in none of them."""
    return detection_walk(detector).ops()


def count_detector(detector: Detector) -> Count:
    """Count a detector."""
    return sum((count_op(op) for op in detection_ops(detector)), Count(0, 0, 0, 0))


def strided_conv(op: Op) -> Conv:
    """Give the convolution inside an Op that makes its map smaller; `DetectorError` if none does."""
    for conv in op.convolutions():
        if conv.stride > 1:
            return conv
    raise DetectorError(f"{op.key} has no stride, and C4 ends at one")


def _extra_layer(before: Op, channels: int) -> tuple[Op, Op]:
    """Halve a map by a 1x1 convolution and a depthwise separable one (Liu et al. 2016; Sandler et al. 2018)."""
    size = before.out_height, before.out_width
    narrow = Op("conv", *size, before.out_channels, channels // 2, activation="relu6")
    return narrow, Op("separable", *size, channels // 2, channels, 3, 2, activation="relu6")


def _halved(block: Block, share: Fraction) -> Block:
    """Halve what a block gives, and scale what is inside it to a share of what it was."""
    se = block.se
    if se is not None and block.expanded:
        multiple = 8 if se.channels % 8 == 0 else 1
        se = replace(se, channels=round_channels(se.channels * share, multiple))
    return replace(
        block,
        out_channels=round_channels(Fraction(block.out_channels, 2)),
        expanded=round_channels(block.expanded * share) if block.expanded else 0,
        se=se,
    )


def _last_stage(arch: Arch) -> int:
    found = strides(arch)
    for index, (stride, block) in enumerate(zip(found, arch.blocks, strict=True)):
        if block.stride > 1 and stride == LAST_STRIDE and stride // block.stride == TAP_STRIDE:
            return index
    raise DetectorError(
        f"network {arch.name!r} has no block that goes from stride {TAP_STRIDE} to {LAST_STRIDE}, which SSDLite needs; "
        f"its blocks have {', '.join(str(stride) for stride in sorted(set(found)))}"
    )


def _check_tap(arch: Arch, tap: int) -> None:
    if not 0 <= tap < len(arch.blocks):
        raise DetectorError(f"tap must be one of {arch.name!r}'s blocks, 0 to {len(arch.blocks) - 1}, got {tap}")
    if arch.blocks[tap].stride == 1:
        steps = [str(index) for index, block in enumerate(arch.blocks) if block.stride > 1]
        raise DetectorError(
            f"tap must be a block with a stride, for C4 ends there; {arch.name!r} has {', '.join(steps) or 'none'}, "
            f"got {tap}"
        )


def _check_resolution(arch: Arch) -> None:
    """Ask for more than one pixel on C5: on one the box predictors would have nothing to tell places by."""
    least = 2 * strides(arch)[-1]
    if arch.resolution < least:
        raise DetectorError(
            f"images of {arch.resolution} pixels a side are too small for network {arch.name!r}, whose last map is "
            f"{strides(arch)[-1]} times smaller; give at least {least}"
        )


def _separable(op: Op) -> list[Conv]:
    """Convolve each channel, then all of them at each pixel (Howard et al. 2017, section 3.1)."""
    size = op.out_height, op.out_width
    wide = op.in_channels
    depthwise = Conv(
        "depthwise", wide, wide, op.kernel, op.stride, wide, *size, activation=op.activation, dilation=op.dilation
    )
    return [
        depthwise,
        *op.squeeze_excite(wide),
        Conv("project", wide, op.out_channels, 1, 1, 1, *size, activation=op.activation),
    ]


def _predictor(op: Op) -> list[Conv]:
    """Predict at each pixel from its neighbours: a separable convolution whose second half has a bias, and no more."""
    depthwise = _separable(op)[0]
    size = op.out_height, op.out_width
    return [depthwise, Conv("predict", op.in_channels, op.out_channels, 1, 1, 1, *size, batch_norm=False)]


register_kind(BlockKind("predictor", _predictor, expands=False, in_spaces=False))
register_kind(BlockKind("separable", _separable, expands=False, in_spaces=False))
