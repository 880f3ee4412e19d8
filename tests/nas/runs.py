"""Run folders for tests of pages: a small space, a configuration, lines of trials."""

from typing import Any

SPACE = """
name: tiny
resolution: 32
classes: 10
stem: {channels: 8}
stages:
  - {channels: 16, stride: 2, op: [dconv, mbconv3], kernel: [3, 5]}
head: {conv_channels: 32}
"""
CONFIG = {"target_ms": 15.0, "reward": "soft", "device": "no-such-device", "space": "tiny", "data": "digits"}


def trial(number: int, tokens: list[int], latency_ms: float, accuracy: float | None, **more: Any) -> dict[str, Any]:
    """Make a trial's line; its reward is its accuracy."""
    row = {"trial": number, "tokens": tokens, "key": f"{tokens[0]}{tokens[1]}", "latency_ms": latency_ms}
    row |= {"accuracy": accuracy, "reward": accuracy or 0.0, "seconds": 30.0, "state": "finished", "error": None}
    return row | more
