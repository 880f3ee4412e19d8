"""A data set is decoded once, whole or not at all, and shared."""

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from filelock import FileLock, Timeout
from PIL import Image

from nas.data import cache_folder, load_data
from search_spaces import InputError


@pytest.fixture
def pets(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(100):
            Image.new("L", (8, 8), 100 * label + number).save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


def load(source, cache, resolution=8, **settings):
    """Load, and give how far each call of on_progress was."""
    steps = []
    data = load_data(source, resolution, cache_dir=cache, on_progress=lambda *step: steps.append(step), **settings)
    return data, steps


def entries(cache):
    return [path for path in (cache / "images").iterdir() if path.suffix != ".lock"]


def test_second_load_decodes_nothing_and_maps_the_file(pets, tmp_path):
    first, steps = load(pets, tmp_path / "cache")
    assert steps == [(64, 200), (128, 200), (192, 200), (200, 200)]
    second, steps = load(pets, tmp_path / "cache", seed=5, train_images=10)
    assert steps == []
    assert np.array_equal(first.images, second.images)
    assert isinstance(second.images.base, np.memmap)
    assert not second.images.flags.writeable


def test_pixels_follow_the_order_of_numbers_in_names(pets, tmp_path):
    data, _ = load(pets, tmp_path / "cache")
    assert data.images[:, 0, 0, 0].tolist() == list(range(200))  # 2.png before 10.png


def test_each_resolution_has_a_pack_of_its_own(pets, tmp_path):
    load(pets, tmp_path / "cache")
    data, steps = load(pets, tmp_path / "cache", resolution=4)
    assert (data.resolution, len(steps), len(entries(tmp_path / "cache"))) == (4, 4, 2)


def test_changed_file_is_seen(pets, tmp_path):
    load(pets, tmp_path / "cache")
    Image.new("L", (9, 9), 255).save(pets / "cat" / "7.png")
    data, steps = load(pets, tmp_path / "cache")
    assert len(steps) == 4
    assert data.images[7, 0, 0, 0] == 255


def test_removed_file_is_seen(pets, tmp_path):
    load(pets, tmp_path / "cache")
    (pets / "dog" / "99.png").unlink()
    assert len(load(pets, tmp_path / "cache")[0].labels) == 199


@pytest.mark.parametrize("damage", ["cut", "no notes", "left by a killed packer"])
def test_unfinished_pack_is_made_again(pets, tmp_path, damage):
    expected, _ = load(pets, tmp_path / "cache")
    (entry,) = entries(tmp_path / "cache")
    if damage == "cut":
        (entry / "images.npy").write_bytes((entry / "images.npy").read_bytes()[:1000])
    elif damage == "no notes":
        (entry / "pack.json").unlink()
    else:
        (entry / "pack.json").unlink()
        entry.rename(f"{entry}.partial")
    again, steps = load(pets, tmp_path / "cache")
    assert len(steps) == (0 if damage == "left by a killed packer" else 4)  # its journal was whole
    assert again.fingerprint == expected.fingerprint
    assert entries(tmp_path / "cache") == [entry]


def interrupted(pets, cache, at):
    """Pack until so many files are done; give the folder that is left."""

    def interrupt(done, total):
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_data(pets, 8, cache_dir=cache, on_progress=interrupt)
    (partial,) = entries(cache)
    assert partial.suffix == ".partial"
    return partial


def test_interrupted_packing_goes_on_where_it_was(pets, tmp_path):
    (pets / "cat" / "3.png").write_bytes(b"no")
    expected, _ = load(pets, tmp_path / "whole", skip_bad_images=True)
    interrupted(pets, tmp_path / "cache", 128)
    again, steps = load(pets, tmp_path / "cache", skip_bad_images=True)
    assert steps == [(192, 200), (200, 200)]
    assert np.array_equal(again.images, expected.images)
    assert again.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    ("damage", "kept"),
    [("pixels cut", 1), ("pixels changed", 1), ("journal cut", 1), ("journal lost", 0), ("more pixels", 2)],
)
def test_what_a_killed_packer_left_damaged_is_made_again(pets, tmp_path, damage, kept):
    expected, _ = load(pets, tmp_path / "whole")
    partial = interrupted(pets, tmp_path / "cache", 128)
    pixels, journal = (partial / "images.npy").read_bytes(), (partial / "journal.jsonl").read_bytes()
    if damage == "pixels cut":
        (partial / "images.npy").write_bytes(pixels[:-10])
    elif damage == "pixels changed":
        (partial / "images.npy").write_bytes(pixels[:-10] + b"x" + pixels[-9:])
    elif damage == "more pixels":
        (partial / "images.npy").write_bytes(pixels + bytes(len(pixels)))
    else:
        (partial / "journal.jsonl").write_bytes(journal[:-10] if damage == "journal cut" else b"")
    again, steps = load(pets, tmp_path / "cache")
    assert len(steps) == 4 - kept
    sizes = [
        (entry / "images.npy").stat().st_size for entry in (*entries(tmp_path / "cache"), *entries(tmp_path / "whole"))
    ]
    assert sizes[0] == sizes[1]
    assert np.array_equal(again.images, expected.images)
    assert again.fingerprint == expected.fingerprint


def test_lock_is_held_from_the_first_block_to_the_last(pets, tmp_path):
    refused = []

    def try_lock(done, total):
        (lock,) = (tmp_path / "cache" / "images").glob("*.lock")
        try:
            FileLock(lock).acquire(timeout=0)
        except Timeout:
            refused.append(done)

    load_data(pets, 8, cache_dir=tmp_path / "cache", on_progress=try_lock)
    assert refused == [64, 128, 192, 200]


def test_two_processes_pack_once(pets, tmp_path):
    code = (
        "import json, sys; from pathlib import Path; from nas.data import load_data; steps = [];"
        "data = load_data(sys.argv[1], 8, cache_dir=Path(sys.argv[2]), on_progress=lambda *step: steps.append(step));"
        "print(json.dumps([len(steps), data.fingerprint]))"
    )
    command = [sys.executable, "-c", code, str(pets), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = [json.loads(process.communicate()[0]) for process in both]
    assert sorted(steps for steps, _ in results) == [0, 4]
    assert results[0][1] == results[1][1]


def test_full_disk_is_one_line_and_packing_goes_on_when_there_is_room(pets, tmp_path):
    expected, _ = load(pets, tmp_path / "whole", resolution=32)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # 200 images of 32 * 32 * 3 bytes are 614,400; the system lets no file grow past half of that.
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(InputError, match=r"^cannot write packed images to .*: File too large; free some space"):
            load(pets, tmp_path / "cache", resolution=32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again, steps = load(pets, tmp_path / "cache", resolution=32)
    assert steps == [(128, 200), (192, 200), (200, 200)]  # 64 images are 196,608 bytes
    assert again.fingerprint == expected.fingerprint


def test_pack_larger_than_the_free_space_is_refused_before_decoding(pets, tmp_path):
    # 200 images of 3 * 10^12 bytes each.
    with pytest.raises(InputError, match=r"^200 images packed at 1000000 px take 600000\.00 GB more, and .* GB free"):
        load(pets, tmp_path / "cache", resolution=1_000_000)


def test_cache_that_cannot_be_made_is_one_line(pets, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"^cannot write packed images to .*: Not a directory; .*NAS_CACHE_DIR"):
        load(pets, tmp_path / "file")


def test_cache_folder_is_the_one_given_else_the_variable_else_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("NAS_CACHE_DIR", raising=False)
    assert cache_folder().name == "nas-mobile"
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
