"""Where nas-build-lut's times come from: the source for what the command line says."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from latency.protocol import Protocol
from latency.source import SourceError
from search_spaces import InputError

if TYPE_CHECKING:
    from latency.device import Device
    from latency.source import LatencySource


class Via(StrEnum):
    """Where times come from."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    TFLITE = "tflite"
    SSH = "ssh"
    ADB = "adb"
    CALIBRATED = "calibrated"


@dataclass(frozen=True, slots=True)
class Wire:
    """How to reach a device: the options that belong to one way each."""

    threads: int = 1
    host: str | None = None
    ssh_options: tuple[str, ...] = ()
    python: str = "python3"
    benchmark_model: Path | None = None
    serial: str | None = None
    xnnpack: bool = False


def protocol(via: Via) -> Protocol:
    """Give how often chains run: over adb a round is a process of its own, so that there are few and long ones."""
    if via is Via.ADB:
        return Protocol(batch_ops=64, sweeps=1, rounds=3, calls=30, extra_rounds=0, references=4)
    return Protocol()


def check_protocol(via: Via) -> Protocol:
    """Give the protocol for the networks that a table is checked on: they are few, and what they tell must be true."""
    usual = protocol(via)
    return usual if via is Via.ADB else replace(usual, sweeps=2 * usual.sweeps)


def best_way(profile: "Device", wire: Wire) -> tuple[Via, str]:
    """Choose for ``--via auto``: a phone that is attached, else published latencies; and say why."""
    from latency.build_table import calibrated_devices

    if profile.name == "host":
        return Via.ONNXRUNTIME, "this host"
    if profile.models:
        attached, reason = _attached(profile, wire)
        if attached:
            return Via.ADB, reason
    else:
        reason = f"the profile of {profile.name} names no phone model"
    if profile.name in calibrated_devices():
        return Via.CALIBRATED, f"{reason}; published latencies of {profile.name} are known"
    raise InputError(
        f"{reason}, and no published latencies of {profile.name} are known; say how to measure it: --via adb, --via ssh"
    )


def _attached(profile: "Device", wire: Wire) -> tuple[bool, str]:
    from latency.adb import Adb
    from latency.phone import check_model, connect

    try:
        check_model(connect(Adb(), wire.serial), profile)
    except SourceError as error:
        return False, f"no {profile.name} is ready to be measured ({error})"
    if wire.benchmark_model is None:
        return False, f"a {profile.name} is attached, but measuring on it needs --benchmark-model FILE"
    return True, f"a {profile.name} is attached"


def open_source(via: Via, profile: "Device", wire: Wire) -> "LatencySource":
    """Open the source of a way that measures; ``InputError`` if an option that it needs is missing."""
    match via:
        case Via.ONNXRUNTIME:
            from latency.onnxruntime_source import onnxruntime_source

            return onnxruntime_source(wire.threads)
        case Via.TFLITE:
            from latency.litert_source import litert_source

            return litert_source(wire.threads)
        case Via.SSH:
            from latency.ssh_source import ssh_source

            if wire.host is None:
                raise InputError("--via ssh needs the board: --host user@board")
            return ssh_source(
                wire.host, threads=wire.threads, options=wire.ssh_options, python=wire.python, device=profile.name
            )
        case Via.ADB:
            from latency.adb_source import AdbSource
            from latency.benchmark_tool import ToolOptions
            from latency.litert_source import tflite_bytes

            if wire.benchmark_model is None:
                raise InputError(
                    "--via adb needs TensorFlow Lite's benchmark tool for the phone: --benchmark-model FILE"
                )
            options = ToolOptions(use_xnnpack=wire.xnnpack)
            return AdbSource(profile, wire.benchmark_model, wire.serial, tflite_bytes, options=options)
        case _:
            raise ValueError(f"{via} measures nothing")
