from pathlib import Path

import pytest

from latency.device import load_device, shipped_devices
from search_spaces import FileError


def test_the_pixel_1_has_its_big_cores_at_2_and_3() -> None:
    assert shipped_devices() == ["pixel1"]
    assert int(load_device("pixel1").big_core_mask, 16) == (1 << 2) + (1 << 3)


def test_an_unknown_device_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(FileError, match="unknown device 'pixel9'; give one of pixel1, or a YAML file"):
        load_device("pixel9")


def test_a_profile_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsocc: x\n")
    with pytest.raises(FileError, match="unknown key 'socc' at the top level; did you mean 'soc'"):
        load_device(path)
