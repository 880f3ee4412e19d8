"""What the shipped latency tables of the Pixel phones say of networks."""

import functools
from collections.abc import Sequence

from latency import LatencyTable, extend_table, load_table
from latency.calibration import predict_left_out
from latency.published import Published, pixel1, pixel2, pixel3
from search_spaces import Arch, Op, lower

_PUBLISHED = {"pixel1": (pixel1, None), "pixel2": (pixel2, pixel1), "pixel3": (pixel3, pixel1)}


@functools.cache
def table(device: str) -> LatencyTable:
    """Load a shipped table."""
    return load_table(device)


def estimate_ms(device: str, ops: Sequence[Op]) -> float:
    """Predict what a network of these Ops takes; Ops that the table lacks are priced by its own costs."""
    extended = extend_table(table(device), ops)
    return extended.header.overhead_ms + sum(extended.op_ms(op) for op in ops)


def estimate_arch_ms(device: str, arch: Arch) -> float:
    """Predict what a classification network takes."""
    return estimate_ms(device, lower(arch))


def left_out_ms(device: str, arch: Arch) -> float:
    """Predict a network by a fit that never saw its latency: the shipped one, or one without it."""
    left_out = _left_out(device).get(arch.key)
    return estimate_arch_ms(device, arch) if left_out is None else left_out


@functools.cache
def _left_out(device: str) -> dict[str, float]:
    networks, base = _PUBLISHED[device]
    published: list[Published] = networks()
    predicted = predict_left_out(published, lambda network: network.arch.key, base() if base else ())
    return {network.arch.key: ms for network, ms in zip(published, predicted, strict=True)}
