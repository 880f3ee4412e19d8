"""Published networks as `Arch`s, at any width multiplier and resolution."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, get_args

from search_spaces.arch import Activation, Arch, Block, Head, Skip, SqueezeExcite, Stem
from search_spaces.errors import InputError
from search_spaces.rounding import round_channels

Rule = Literal["paper", "torchvision"]

# kernel, expanded, out, squeeze-and-excite, activation, stride: Howard et al. 2019, tables 1 and 2
_V3Row = tuple[int, int, int, bool, Activation, int]
_V3_LARGE: list[_V3Row] = [
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hswish", 2),
    (3, 200, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 480, 112, True, "hswish", 1),
    (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2),
    (5, 960, 160, True, "hswish", 1),
    (5, 960, 160, True, "hswish", 1),
]
_V3_SMALL: list[_V3Row] = [
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hswish", 2),
    (5, 240, 40, True, "hswish", 1),
    (5, 240, 40, True, "hswish", 1),
    (5, 120, 48, True, "hswish", 1),
    (5, 144, 48, True, "hswish", 1),
    (5, 288, 96, True, "hswish", 2),
    (5, 576, 96, True, "hswish", 1),
    (5, 576, 96, True, "hswish", 1),
]

# repeats, kernel, stride, expansion ratio, out, squeeze-and-excite
_Stage = tuple[int, int, int, int, int, bool]
_V2: list[_Stage] = [  # Sandler et al. 2018, table 2
    (1, 3, 1, 1, 16, False),
    (2, 3, 2, 6, 24, False),
    (3, 3, 2, 6, 32, False),
    (4, 3, 2, 6, 64, False),
    (3, 3, 1, 6, 96, False),
    (3, 3, 2, 6, 160, False),
    (1, 3, 1, 6, 320, False),
]
_MNASNET_A1: list[_Stage] = [  # Tan et al. 2019, figure 7
    (1, 3, 1, 1, 16, False),
    (2, 3, 2, 6, 24, False),
    (3, 5, 2, 3, 40, True),
    (4, 3, 2, 6, 80, False),
    (2, 3, 1, 6, 112, True),
    (3, 5, 2, 6, 160, True),
    (1, 3, 1, 6, 320, False),
]
_MNASNET_B1: list[_Stage] = [  # Tan et al. 2019, the search without squeeze-and-excite; published code
    (1, 3, 1, 1, 16, False),
    (3, 3, 2, 3, 24, False),
    (3, 5, 2, 3, 40, False),
    (3, 5, 2, 6, 80, False),
    (2, 3, 1, 6, 96, False),
    (4, 5, 2, 6, 192, False),
    (1, 3, 1, 6, 320, False),
]
_MNASNET_SMALL: list[_Stage] = [  # Tan et al. 2019, table 4; published code
    (1, 3, 1, 1, 8, False),
    (1, 3, 2, 3, 16, False),
    (2, 3, 2, 6, 16, False),
    (4, 5, 2, 6, 32, True),
    (3, 3, 1, 6, 32, True),
    (3, 5, 2, 6, 88, True),
    (1, 3, 1, 6, 144, False),
]
_PROXYLESS_MOBILE: list[_Stage] = [  # Cai et al. 2019, figure 4 (mobile)
    (1, 3, 1, 1, 16, False),
    (1, 5, 2, 3, 32, False),
    (1, 3, 1, 3, 32, False),
    (1, 7, 2, 3, 40, False),
    (1, 3, 1, 3, 40, False),
    (2, 5, 1, 3, 40, False),
    (1, 7, 2, 6, 80, False),
    (3, 5, 1, 3, 80, False),
    (1, 5, 1, 6, 96, False),
    (3, 5, 1, 3, 96, False),
    (1, 7, 2, 6, 192, False),
    (1, 7, 1, 6, 192, False),
    (2, 7, 1, 3, 192, False),
    (1, 7, 1, 6, 320, False),
]


_Make = Callable[[str, Fraction, int, int], Arch]


def _v3(rows: Sequence[_V3Row], last: int, hidden: int, rule: Rule) -> _Make:
    def make(name: str, width: Fraction, resolution: int, classes: int) -> Arch:
        stem = Stem(round_channels(16 * width), activation="hswish")
        blocks: list[Block] = []
        published, channels = 16, stem.channels
        for kernel, expanded, out, has_se, activation, stride in rows:
            # relative to the already rounded input: the rule that reproduces table 9
            wide = round_channels(channels * Fraction(expanded, published) if rule == "paper" else expanded * width)
            se = SqueezeExcite(round_channels(Fraction(wide, 4)), "hard_sigmoid") if has_se else None
            blocks.append(_mbconv(channels, wide, round_channels(out * width), kernel, stride, activation, se))
            published, channels = out, blocks[-1].out_channels
        if rule == "paper":
            # the layer after the pool is not scaled; Small at 1.25 alone needs 1280 for its published 3.6 M parameters
            ends = round_channels(last * width), min(1280, round_channels(hidden * max(width, Fraction(1))))
        else:
            ends = 6 * channels, round_channels(hidden * width)
        return Arch(name, resolution, classes, stem, tuple(blocks), Head(*ends, "hswish"))

    return make


def _staged(
    stages: Sequence[_Stage], stem_channels: int, activation: Activation, multiple: int, scale_head: bool
) -> _Make:
    def make(name: str, width: Fraction, resolution: int, classes: int) -> Arch:
        stem = Stem(round_channels(stem_channels * width), activation=activation)
        blocks: list[Block] = []
        channels = stem.channels
        for repeats, kernel, first_stride, ratio, out, has_se in stages:
            for stride in [first_stride] + [1] * (repeats - 1):
                wide = channels if ratio == 1 else round_channels(channels * ratio, multiple)
                se = SqueezeExcite(round_channels(channels * 0.25, 1), "sigmoid") if has_se else None
                blocks.append(_mbconv(channels, wide, round_channels(out * width), kernel, stride, activation, se))
                channels = blocks[-1].out_channels
        head = Head(round_channels(1280 * max(width, Fraction(1))) if scale_head else 1280, activation=activation)
        return Arch(name, resolution, classes, stem, tuple(blocks), head)

    return make


def _mbconv(
    channels: int, wide: int, out: int, kernel: int, stride: int, activation: Activation, se: SqueezeExcite | None
) -> Block:
    skip: Skip = "identity" if stride == 1 and channels == out else "none"
    return Block("mbconv", out, kernel, stride, wide, se, activation, skip)


_NETWORKS: dict[str, _Make] = {
    "mobilenet_v3_large": _v3(_V3_LARGE, 960, 1280, "paper"),
    "mobilenet_v3_small": _v3(_V3_SMALL, 576, 1024, "paper"),
    "mobilenet_v2": _staged(_V2, 32, "relu6", multiple=8, scale_head=True),
    "mnasnet_a1": _staged(_MNASNET_A1, 32, "relu", multiple=1, scale_head=False),
    "mnasnet_b1": _staged(_MNASNET_B1, 32, "relu", multiple=1, scale_head=False),
    "mnasnet_small": _staged(_MNASNET_SMALL, 8, "relu", multiple=1, scale_head=False),
    "proxyless_mobile": _staged(_PROXYLESS_MOBILE, 32, "relu6", multiple=1, scale_head=True),
}


_TORCHVISION: dict[str, _Make] = {  # torchvision 0.24
    "mobilenet_v3_large": _v3(_V3_LARGE, 960, 1280, "torchvision"),
    "mobilenet_v3_small": _v3(_V3_SMALL, 576, 1024, "torchvision"),
    "mobilenet_v2": _NETWORKS["mobilenet_v2"],  # the same at every width
    "mnasnet_b1": _NETWORKS["mnasnet_b1"],
}
_RULES: dict[Rule, dict[str, _Make]] = {"paper": _NETWORKS, "torchvision": _TORCHVISION}


def references() -> list[str]:
    """List the names that `reference` knows."""
    return sorted(_NETWORKS)


def reference(name: str, width: float = 1.0, resolution: int = 224, classes: int = 1000, rule: Rule = "paper") -> Arch:
    """Give a published network, its widths multiplied by ``width``; ``InputError`` says what is allowed.

    By the ``paper``'s rule expansions are relative to the rounded input, and the layer after MobileNetV3's pool is not
    scaled, as in the published tables (Howard et al. 2019, table 9). ``torchvision`` scales and rounds each width by
    itself, and has four of the networks. At width 1 the two are one.
    """
    if name not in _NETWORKS:
        raise InputError(f"unknown network {name!r}; known are {', '.join(references())}")
    if rule not in _RULES:
        raise InputError(f"rule must be {' or '.join(get_args(Rule))}, got {rule!r}")
    if name not in _RULES[rule]:
        raise InputError(f"torchvision has no {name}; rule 'torchvision' is for {', '.join(sorted(_TORCHVISION))}")
    _check_width(name, width)
    arch = _RULES[rule][name](name, Fraction(str(width)), resolution, classes)
    check_resolution(arch)
    return arch


def check_resolution(arch: Arch) -> None:
    """Raise ``InputError`` if a stride would get a single pixel, and so have nothing left to make smaller."""
    strides = [stride for stride in (arch.stem.stride, *(block.stride for block in arch.blocks)) if stride > 1]
    least = 1
    for stride in reversed(strides):
        least = max(2, stride * (least - 1) + 1)  # outputs are ceil(input / stride)
    if arch.resolution < least:
        raise InputError(
            f"a resolution of {arch.resolution} is too small for {arch.name!r}: its {len(strides)} strides leave "
            f"single pixels before the last of them; give {least} or more, or drop strides with proxy_arch"
        )


def _check_width(name: str, width: float) -> None:
    if not 0 < width <= 16:
        raise InputError(f"width must be above 0 and at most 16, got {width}")
    arch = _NETWORKS[name](name, Fraction(1), 224, 1)
    narrowest = min(arch.stem.channels, *(block.out_channels for block in arch.blocks))
    if narrowest * width < 1:
        raise InputError(
            f"width {width:g} leaves nothing of {name}'s layers of {narrowest} channels; "
            f"give at least {1 / narrowest:g}"
        )
