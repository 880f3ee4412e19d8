"""Build tables: which Ops, and their times from a source."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple

from latency import published
from latency.calibration import calibrate
from latency.device import Device
from latency.features import calibrated_ms
from latency.published import Published
from latency.table import LatencyTable, TableHeader
from latency.timing import Timing
from search_spaces import InputError, Op, load_space, lower, reference, references, shipped_spaces

# Howard et al. 2019, table 9: every width at 224 pixels, every resolution at width 1
_VARIANTS = [(width, 224) for width in (1.0, 1.25, 0.75, 0.5, 0.35)] + [
    (1.0, size) for size in (256, 192, 160, 128, 96)
]
_CLASSES = (1000, 1001)


class _Figures(NamedTuple):
    """A device's published latencies, and how they were shared out over Ops; ``base`` are those of another device."""

    networks: Callable[[], list[Published]]
    how: str
    base: Callable[[], list[Published]] = list


_SCALED = "by pixel1's costs times one fitted scale"  # few networks: their own costs predict worse (docs/latency.md)
_FIGURES = {
    "pixel1": _Figures(published.pixel1, "by a fit of three costs"),
    "pixel2": _Figures(published.pixel2, _SCALED, published.pixel1),
    "pixel3": _Figures(published.pixel3, _SCALED, published.pixel1),
}


def shipped_ops() -> list[Op]:
    """List the Ops of all shipped spaces and of the reference networks at the published widths and resolutions."""
    ops = [op for name in shipped_spaces() for op in load_space(name).ops()]
    for name in references():
        for width, resolution in _VARIANTS:
            for classes in _CLASSES:
                ops += lower(reference(name, width, resolution, classes))
    return list(dict.fromkeys(ops))


def calibrated_devices() -> list[str]:
    """List the devices whose published latencies the package knows."""
    return sorted(_FIGURES)


def calibrated_table(device: Device, ops: Iterable[Op], made_on: date) -> LatencyTable:
    """Price Ops by costs fitted to a device's published latencies; ``InputError`` if there are none for it."""
    if device.name not in _FIGURES:
        raise InputError(
            f"no published latencies to calibrate {device.name!r} on; known are {', '.join(calibrated_devices())}"
        )
    figures = _FIGURES[device.name]
    calibration = calibrate(figures.networks(), figures.base())
    timings = {op: Timing(calibrated_ms(op, calibration.costs_ns)) for op in ops}
    header = TableHeader(
        device=device.name,
        provenance="calibrated",
        runtime=device.runtime,
        runtime_version=device.runtime_version,
        threads=device.threads,
        dtype=device.dtype,
        clock_policy=device.clock_policy,
        date=made_on,
        entries=len(timings),
        overhead_ms=calibration.overhead_ms,
        costs_ns=calibration.costs_ns,
        accuracy=calibration.accuracy,
        notes=(
            f"Calculated, not measured: {calibration.accuracy.networks} published whole-network latencies, shared out "
            f"over Ops {figures.how}. Whole networks are predicted far better than single Ops."
        ),
    )
    return LatencyTable(header, timings)
