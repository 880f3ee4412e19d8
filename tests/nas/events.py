"""What a TensorBoard log holds."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped, unused-ignore]


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """Name, step and value of all that was written in a run's folder, sorted; values are of single precision."""
    events = [event for file in (folder / "tensorboard").iterdir() for event in _records(file.read_bytes())]
    return sorted((value.tag, event.step, value.simple_value) for event in events for value in event.summary.value)


def _records(data: bytes) -> Iterator[Event]:
    """TensorFlow's record format: length (8 bytes), its checksum (4), the event, its checksum (4)."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
