"""Whether a phone is fit to be timed: the right model, charged, cool, its clock policy."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from latency.adb import Adb, choose
from latency.device import Device
from latency.source import SourceError

_FULL_OR_CHARGING = (2, 5)  # android.os.BatteryManager: BATTERY_STATUS_CHARGING, BATTERY_STATUS_FULL


def say_on_stderr(line: str) -> None:
    """Tell whoever waits why."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a phone is fit, and how long to wait for it: for cooling down, and for its cable."""

    battery: float = 0.2
    celsius: float = 40.0
    cool_seconds: float = 900.0
    poll_seconds: float = 5.0
    reconnect_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Battery:
    """``level`` is a fraction; ``celsius`` the battery's temperature, which follows the phone's."""

    level: float
    charging: bool
    celsius: float


def parse_battery(text: str) -> Battery:
    """Read the output of ``dumpsys battery``; ``ValueError`` if it lacks something."""
    fields = dict(re.findall(r"^\s*(level|scale|status|temperature): (-?\d+)\s*$", text, re.MULTILINE))
    try:
        return Battery(
            level=int(fields["level"]) / int(fields["scale"]),
            charging=int(fields["status"]) in _FULL_OR_CHARGING,
            celsius=int(fields["temperature"]) / 10,  # printed in tenths of a degree
        )
    except (KeyError, ZeroDivisionError) as error:
        raise ValueError(f"no battery: {text[:200]!r}") from error


def first_core(mask: str) -> int:
    """Give the lowest CPU of a hexadecimal mask."""
    bits = int(mask, 16)
    return (bits & -bits).bit_length() - 1


def connect(adb: Adb, serial: str | None) -> Adb:
    """Choose the phone: the one named, or the only one; `SourceError` unless it is ready."""
    return replace(adb, serial=choose(adb.devices(), serial))


def check_model(adb: Adb, profile: Device) -> None:
    """Raise `SourceError` unless the phone is of a model that the profile names; one that names none takes all."""
    model, code_name = (adb.shell(f"getprop ro.product.{name}").text.strip() for name in ("model", "device"))
    if profile.models and model not in profile.models:
        raise SourceError(
            f"phone {adb.serial} is a {model!r} ({code_name}), but device {profile.name!r} is {profile.soc}, of models "
            f"{', '.join(profile.models)}; attach one of these, or give a device profile of this phone"
        )


def governor(adb: Adb, core: int) -> str:
    """Name the clock governor of a core; ``unreadable`` where the phone keeps it to itself."""
    answer = adb.shell(f"cat /sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")
    return answer.text.strip() if answer.code == 0 else "unreadable"


def wait_until_fit(adb: Adb, limits: Limits, sleep: Callable[[float], None], say: Callable[[str], None]) -> None:
    """Raise `SourceError` if the battery is low; wait while the phone is hot, and raise if it stays so."""
    waited = 0.0
    while (battery := _battery(adb)).celsius > limits.celsius:
        if waited == 0:
            say(f"phone {adb.serial} has {battery.celsius:.1f} C; waiting until it has {limits.celsius:g} C or less")
        if waited >= limits.cool_seconds:
            raise SourceError(
                f"phone {adb.serial} still has {battery.celsius:.1f} C after {waited:g} s, too hot to be timed; "
                f"nothing measured so far is lost: cool it to {limits.celsius:g} C and run the same command again"
            )
        sleep(limits.poll_seconds)
        waited += limits.poll_seconds
    if battery.level < limits.battery and not battery.charging:
        raise SourceError(
            f"phone {adb.serial} has {battery.level:.0%} of its battery left and does not charge; at least "
            f"{limits.battery:.0%} are needed: charge it and run the same command again"
        )


def _battery(adb: Adb) -> Battery:
    text = adb.shell("dumpsys battery").text
    try:
        return parse_battery(text)
    except ValueError as error:
        raise SourceError(f"phone {adb.serial} does not tell the state of its battery; {error}") from error
