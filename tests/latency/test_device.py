from pathlib import Path

import pytest

from latency.device import Device, load_device, shipped_devices
from search_spaces import FileError

MINE = Path(__file__).resolve().parents[2] / "docs" / "my_device.yaml"


def test_three_phones_and_the_host_are_shipped() -> None:
    assert shipped_devices() == ["host", "pixel1", "pixel2", "pixel3"]
    assert [load_device(name).name for name in shipped_devices()] == shipped_devices()


def test_the_pixel_1_has_its_big_cores_at_2_and_3() -> None:
    assert int(load_device("pixel1").big_core_mask, 16) == (1 << 2) + (1 << 3)


@pytest.mark.parametrize("name", ["pixel2", "pixel3"])
def test_later_pixels_have_their_big_cores_at_4_to_7(name: str) -> None:
    assert int(load_device(name).big_core_mask, 16) == (1 << 4) + (1 << 5) + (1 << 6) + (1 << 7)


def test_phones_know_the_names_by_which_they_call_themselves() -> None:
    assert load_device("pixel2").models == ("Pixel 2", "Pixel 2 XL")
    assert load_device("pixel3").models == ("Pixel 3", "Pixel 3 XL")


def test_the_template_of_the_docs_is_a_profile_with_every_field() -> None:
    mine = load_device(MINE)
    assert mine.model_fields_set == set(Device.model_fields)
    assert int(mine.big_core_mask, 16) == 1 << 7


def test_an_unknown_device_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(FileError, match="unknown device 'pixel9'; give one of host, pixel1, pixel2, pixel3, or a YAML"):
        load_device("pixel9")


def test_a_profile_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsocc: x\n")
    with pytest.raises(FileError, match="unknown key 'socc' at the top level; did you mean 'soc'"):
        load_device(path)
