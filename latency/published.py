"""Whole-network latencies that papers publish, as the networks that were measured."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from search_spaces import Arch, reference
from search_spaces.arch import Activation


@dataclass(frozen=True, slots=True)
class Published:
    """A network, the family of near kin that it belongs to, and its published latency."""

    arch: Arch
    family: str
    latency_ms: float


class _Row(NamedTuple):
    network: str
    width: float
    resolution: int
    latency_ms: float


# Howard et al. 2019, table 9: Pixel 1, floating point, TFLite, a single large core
_TABLE_9 = (
    _Row("mobilenet_v3_large", 1.25, 224, 77.0),
    _Row("mobilenet_v3_large", 1.0, 224, 51.2),
    _Row("mobilenet_v3_large", 0.75, 224, 39.8),
    _Row("mobilenet_v3_large", 0.5, 224, 21.7),
    _Row("mobilenet_v3_large", 0.35, 224, 15.1),
    _Row("mobilenet_v3_large", 1.0, 256, 65.6),
    _Row("mobilenet_v3_large", 1.0, 192, 38.0),
    _Row("mobilenet_v3_large", 1.0, 160, 27.8),
    _Row("mobilenet_v3_large", 1.0, 128, 17.8),
    _Row("mobilenet_v3_large", 1.0, 96, 12.5),
    _Row("mobilenet_v3_small", 1.25, 224, 23.6),
    _Row("mobilenet_v3_small", 1.0, 224, 15.8),
    _Row("mobilenet_v3_small", 0.75, 224, 12.8),
    _Row("mobilenet_v3_small", 0.5, 224, 7.7),
    _Row("mobilenet_v3_small", 0.35, 224, 5.7),
    _Row("mobilenet_v3_small", 1.0, 256, 20.0),
    _Row("mobilenet_v3_small", 1.0, 160, 8.6),
    _Row("mobilenet_v3_small", 1.0, 128, 5.8),
    _Row("mobilenet_v3_small", 1.0, 96, 4.4),
)
# Howard et al. 2019, table 3: its other networks (the architecture of its MnasNet-small row is unpublished)
_TABLE_3 = (
    _Row("mobilenet_v2", 1.0, 224, 64.0),
    _Row("mobilenet_v2", 0.35, 224, 16.6),
    _Row("mnasnet_a1", 1.0, 224, 71.0),
    _Row("proxyless_mobile", 1.0, 224, 72.0),
)
_FAMILIES = {"mnasnet_a1": "mnasnet and proxyless", "proxyless_mobile": "mnasnet and proxyless"}
_CLASSES = 1001  # ImageNet's and a background class, as in the authors' code

# Howard et al. 2019, table 5, optimised h-swish: MobileNetV3-Large with h-swish only in layers at least so wide
_TABLE_5: tuple[tuple[int | None, float], ...] = ((None, 50.5), (112, 51.0), (16, 53.5))


def pixel1() -> list[Published]:
    """List the Pixel 1 latencies of Howard et al. 2019, tables 9 and 3, on which `pixel1` is calibrated."""
    return [
        Published(
            reference(row.network, row.width, row.resolution, _CLASSES),
            _FAMILIES.get(row.network, row.network),
            row.latency_ms,
        )
        for row in _TABLE_9 + _TABLE_3
    ]


def pixel1_hswish() -> list[Published]:
    """List the Pixel 1 latencies of Howard et al. 2019, table 5: the same network, its h-swishes elsewhere.

    No calibration sees them, so that they can check what an h-swish costs. Where ReLU is everywhere, the stem has it
    too (the paper doesn't say).
    """
    return [Published(_hswish_from(width), "mobilenet_v3_large", ms) for width, ms in _TABLE_5]


def _hswish_from(width: int | None) -> Arch:
    arch = reference("mobilenet_v3_large", 1.0, 224, _CLASSES)
    ends: Activation = "relu" if width is None else "hswish"
    blocks = tuple(
        replace(block, activation="relu" if width is None or block.out_channels < width else "hswish")
        for block in arch.blocks
    )
    stem, head = replace(arch.stem, activation=ends), replace(arch.head, activation=ends)
    return replace(arch, stem=stem, blocks=blocks, head=head)
