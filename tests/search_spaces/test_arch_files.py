"""Architectures in files: round trips, and errors that name the file and the place."""

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import (
    FileError,
    arch_from_dict,
    arch_to_dict,
    load_arch,
    load_space,
    reference,
    references,
    save_arch,
    shipped_spaces,
)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", references())
def test_published_networks_survive_a_file(tmp_path: Path, name: str, suffix: str) -> None:
    arch = reference(name)
    save_arch(arch, tmp_path / f"arch.{suffix}")
    assert load_arch(tmp_path / f"arch.{suffix}") == arch


@given(st.sampled_from(shipped_spaces()), st.integers(0, 2**32))
def test_networks_of_spaces_survive_yaml(name: str, seed: int) -> None:
    space = load_space(name)
    arch = space.decode(space.sample(random.Random(seed)))
    assert arch_from_dict(yaml.safe_load(yaml.safe_dump(arch_to_dict(arch)))) == arch


def test_the_arch_entry_of_a_seed_file_is_read(tmp_path: Path) -> None:
    arch = reference("mobilenet_v3_small")
    path = tmp_path / "seed.yaml"
    path.write_text(yaml.safe_dump({"trial": 3, "arch": arch_to_dict(arch)}), encoding="utf-8")
    assert load_arch(path) == arch


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    data = arch_to_dict(reference("mobilenet_v3_small"))
    data["stem"]["channels"] = 0
    data["blocks"][2]["kernal"] = 3
    del data["classes"]
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load_arch(tmp_path / "bad.yaml")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'bad.yaml'}: ")
    assert "stem: channels must be a whole number of at least 1, got 0" in message
    assert "unknown key 'kernal' at blocks[2]; did you mean 'kernel'?" in message
    assert "classes is missing" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "must hold a mapping of keys to values, got list"),
        ("a: [", "is not YAML: "),
        ("arch: 3", "arch must be a mapping, got int"),
    ],
)
def test_a_file_that_holds_no_network_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load_arch(tmp_path / "bad.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(FileError, match="is not a text file"):
        load_arch(tmp_path / "bad.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot read .*none\.yaml: No such file or directory"):
        load_arch(tmp_path / "none.yaml")
