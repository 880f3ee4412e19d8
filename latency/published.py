"""Whole-network latencies that others publish, as the networks that were measured."""

from dataclasses import dataclass
from typing import NamedTuple

from search_spaces import Arch, reference
from search_spaces.transforms import place_activation


@dataclass(frozen=True, slots=True)
class Published:
    """A network, the family of near kin that it belongs to, and its published latency.

    ``source`` is where it stands: other sources may have timed the same device with another runtime.
    """

    arch: Arch
    family: str
    latency_ms: float
    source: str


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
# Howard et al. 2019, table 3, column P-1: its other networks (the architecture of its MnasNet-small row is unpublished)
_TABLE_3 = (
    _Row("mobilenet_v2", 1.0, 224, 64.0),
    _Row("mobilenet_v2", 0.35, 224, 16.6),
    _Row("mnasnet_a1", 1.0, 224, 71.0),
    _Row("proxyless_mobile", 1.0, 224, 72.0),
)
# The same table, columns P-2 and P-3: network, width, milliseconds on Pixel 2 and on Pixel 3
_TABLE_3_PIXEL_2_AND_3 = (
    ("mobilenet_v3_large", 1.0, 61.0, 44.0),
    ("mobilenet_v3_large", 0.75, 46.0, 40.0),  # 40 on Pixel 3, and 39 on the slower Pixel 1: as printed
    ("mnasnet_a1", 1.0, 86.0, 61.0),
    ("proxyless_mobile", 1.0, 84.0, 60.0),
    ("mobilenet_v2", 1.0, 76.0, 56.0),
    ("mobilenet_v3_small", 1.0, 19.4, 14.4),
    ("mobilenet_v3_small", 0.75, 15.6, 11.7),
    ("mobilenet_v2", 0.35, 19.6, 13.9),
)
# README of MobileNetV2 in the repository tensorflow/models (research/slim/nets/mobilenet), "Mobile CPU" of a Pixel 1:
# milliseconds at 224, 192, 160, 128 and 96 pixels for each width; the widest two at 224 only
_README_SIZES = (224, 192, 160, 128, 96)
_README = {
    1.4: (138.0,),
    1.3: (123.0,),
    1.0: (73.8, 55.1, 40.2, 27.6, 17.6),
    0.75: (55.8, 41.6, 30.4, 21.9, 14.2),
    0.5: (28.7, 21.1, 14.9, 9.9, 6.4),
    0.35: (19.7, 14.6, 10.5, 6.9, 4.5),
}
# Howard et al. 2019, table 5, optimised h-swish: MobileNetV3-Large with h-swish only in layers at least so wide
_TABLE_5 = (("relu", 50.5), ("hswish@112", 51.0), ("hswish@16", 53.5))

_FAMILIES = {"mnasnet_a1": "mnasnet and proxyless", "proxyless_mobile": "mnasnet and proxyless"}
_CLASSES = 1001  # ImageNet's and a background class, as in the authors' code


def pixel1() -> list[Published]:
    """List the Pixel 1 latencies of Howard et al. 2019, tables 9 and 3, on which `pixel1` is calibrated."""
    return [_published(row, "Howard et al. 2019, tables 9 and 3") for row in _TABLE_9 + _TABLE_3]


def pixel1_hswish() -> list[Published]:
    """List the Pixel 1 latencies of Howard et al. 2019, table 5: the same network, its h-swishes elsewhere.

    No calibration sees them, so that they can check what an h-swish costs. Where ReLU is everywhere, the stem has it
    too (the paper doesn't say).
    """
    large = reference("mobilenet_v3_large", 1.0, 224, _CLASSES)
    return [
        Published(place_activation(large, placement), large.name, ms, "Howard et al. 2019, table 5")
        for placement, ms in _TABLE_5
    ]


def pixel1_readme() -> list[Published]:
    """List 22 Pixel 1 latencies of MobileNetV2 by another TFLite, from the README of its code (2018).

    No calibration sees them: 73.8 ms here is 64 in Howard et al. 2019, and at a scale of their own, too, they make the
    predictions of the paper's networks worse.
    """
    return [
        _published(_Row("mobilenet_v2", width, size, ms), "tensorflow/models, README of MobileNetV2")
        for width, times in _README.items()
        for size, ms in zip(_README_SIZES, times, strict=False)
    ]


def pixel2() -> list[Published]:
    """List the Pixel 2 latencies of Howard et al. 2019, table 3."""
    return [
        _published(_Row(network, width, 224, ms), "Howard et al. 2019, table 3")
        for network, width, ms, _ in _TABLE_3_PIXEL_2_AND_3
    ]


def pixel3() -> list[Published]:
    """List the Pixel 3 latencies of Howard et al. 2019, table 3."""
    return [
        _published(_Row(network, width, 224, ms), "Howard et al. 2019, table 3")
        for network, width, _, ms in _TABLE_3_PIXEL_2_AND_3
    ]


def _published(row: _Row, source: str) -> Published:
    arch = reference(row.network, row.width, row.resolution, _CLASSES)
    return Published(arch, _FAMILIES.get(row.network, row.network), row.latency_ms, source)
