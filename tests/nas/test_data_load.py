"""Folders, zips and the digits become one kind of arrays; what can't be used gets one line."""

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import ImageData, load_data
from search_spaces import InputError

CIFAR = Path(__file__).parents[3] / "shared" / "data" / "cifar10" / "cifar10_train.zip"
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAS_CACHE_DIR", str(folder))
    return folder


def save(path, level=0, mode="RGB", size=(12, 10), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(level).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)


def make_folder(root, classes=("cat", "dog"), each=4):
    for label, name in enumerate(classes):
        for number in range(each):
            save(root / name / f"{number}.png", 100 * label + number)
    return root


def make_zip(folder, path, above=""):
    with zipfile.ZipFile(path, "w") as archive:
        # Backwards, so that the order of members is another than the order of names.
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, Path(above) / file.relative_to(folder))
    return path


def same(one: ImageData, other: ImageData) -> bool:
    return one.fingerprint == other.fingerprint and all(
        np.array_equal(getattr(one, field), getattr(other, field))
        for field in ("images", "labels", "train", "validation", "classes")
    )


def message_of(source, resolution=8, **settings):
    with pytest.raises(InputError) as caught:
        load_data(source, resolution, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digits_are_the_1797_real_ones_of_scikit_learn():
    data = load_data("digits", 8)
    assert data.images.shape == (1797, 8, 8, 3)
    # The first image's first row is 0 0 5 13 9 1 0 0 of 16 levels: 5 * 255 / 16 = 79.7, and so 207.2, 143.4, 15.9.
    assert data.images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert np.array_equal(data.images[..., 0], data.images[..., 2])
    assert data.labels[:5].tolist() == [0, 1, 2, 3, 4]
    assert data.classes == tuple("0123456789")
    # A fifth of the classes' 178, 182, 177, 183, 181, 182, 181, 179, 174, 180 images: 36 each, but 35 of 177 and 174
    # and 37 of 183.
    assert np.bincount(data.labels[data.validation]).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]


def test_digits_take_the_resolution_and_cannot_be_written_to():
    data = load_data("digits", 32)
    assert data.resolution == 32
    assert not data.images.flags.writeable


def test_folder_gives_classes_by_name_and_its_pixels(tmp_path):
    for name, colour in (("dog", (1, 2, 3)), ("cat", (4, 5, 6))):
        for number in range(3):
            path = tmp_path / "pets" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 10), colour).save(path)
    data = load_data(tmp_path / "pets", 8)
    assert (data.name, data.classes, data.labels.tolist()) == ("pets", ("cat", "dog"), [0, 0, 0, 1, 1, 1])
    assert data.images[0, 0, 0].tolist() == [4, 5, 6]
    assert data.images[5, 7, 7].tolist() == [1, 2, 3]


def test_zip_gives_what_its_folder_gives(tmp_path):
    folder = make_folder(tmp_path / "pets")
    plain = make_zip(folder, tmp_path / "plain.zip")
    wrapped = make_zip(folder, tmp_path / "wrapped.zip", above="data/train")
    data = load_data(folder, 8)
    assert same(data, load_data(plain, 8))
    assert same(data, load_data(wrapped, 8))


def test_zip_written_with_backslashes_has_the_same_classes(tmp_path):
    folder = make_folder(tmp_path / "pets")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for file in folder.rglob("*.png"):
            archive.writestr("\\".join(file.relative_to(tmp_path).parts), file.read_bytes())
    assert same(load_data(tmp_path / "pets.zip", 8), load_data(folder, 8))


def test_numbers_in_class_names_are_ordered_by_value(tmp_path):
    data = load_data(make_folder(tmp_path / "levels", ["10", "9", "1"]), 8)
    assert data.classes == ("1", "9", "10")


def test_accents_spelled_in_one_character_or_two_are_one_class(tmp_path):
    one = make_folder(tmp_path / "one", ["caf\u00e9", "dog"])
    two = make_folder(tmp_path / "two", ["cafe\u0301", "dog"])
    assert load_data(two, 8).classes == ("caf\u00e9", "dog")
    assert same(load_data(one, 8), load_data(two, 8))


def test_mixed_sizes_and_modes_load_without_warnings(tmp_path):
    for name in ("cat", "dog"):
        folder = tmp_path / "mixed" / name
        save(folder / "grey.png", mode="L", size=(5, 30))
        save(folder / "alpha.png", mode="RGBA", size=(64, 48))
        save(folder / "palette.png", mode="P", transparency=bytes(range(256)))  # Pillow warns of this kind
        save(folder / "cmyk.jpg", mode="CMYK")
        save(folder / "exif.JPG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")  # and of this, which is damaged
        save(folder / "animation.gif", mode="P")
        save(folder / "photo.webp", size=(100, 300))
    assert load_data(tmp_path / "mixed", 16).images.shape == (14, 16, 16, 3)


def test_what_systems_leave_behind_is_ignored(tmp_path):
    folder = make_folder(tmp_path / "pets")
    expected = load_data(folder, 8)
    for name in (
        "__MACOSX/cat/._0.png",
        ".hidden/x/1.png",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "cat/labels.txt",
        "README.md",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not an image")
    assert same(load_data(folder, 8), expected)
    assert same(load_data(make_zip(folder, tmp_path / "pets.zip"), 8), expected)


def test_seed_changes_the_split_and_the_fingerprint_only(tmp_path):
    folder = make_folder(tmp_path / "pets", each=20)
    one, other = load_data(folder, 8), load_data(folder, 8, seed=1)
    assert np.array_equal(one.images, other.images)
    assert one.validation.tolist() != other.validation.tolist()
    assert one.fingerprint != other.fingerprint


def test_fingerprint_tells_changed_pixels_but_not_a_moved_folder(tmp_path):
    folder = make_folder(tmp_path / "pets")
    before = load_data(folder, 8).fingerprint
    folder = folder.rename(tmp_path / "moved")
    assert load_data(folder, 8).fingerprint == before
    save(folder / "cat" / "0.png", level=999)
    assert load_data(folder, 8).fingerprint != before


def test_data_pickles_as_plain_arrays(tmp_path):
    data = load_data(make_folder(tmp_path / "pets"), 8)
    again = pickle.loads(pickle.dumps(data))
    assert type(again.images) is np.ndarray
    assert same(data, again)


def test_shipped_name_wins_over_a_path_of_that_name(tmp_path, monkeypatch):
    make_folder(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(load_data("digits", 8).classes) == 10
    assert load_data("./digits", 8).classes == ("cat", "dog")


def test_links_to_class_folders_are_followed(tmp_path):
    folder = make_folder(tmp_path / "pets")
    (tmp_path / "picked").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "picked" / name).symlink_to(folder / name)
    assert same(load_data(tmp_path / "picked", 8), load_data(folder, 8))


def test_links_in_a_circle_are_left_out(tmp_path):
    folder = make_folder(tmp_path / "pets")
    expected = load_data(folder, 8)
    (folder / "all").symlink_to(folder)
    (folder / "cat" / "up").symlink_to(folder)
    assert same(load_data(folder, 8), expected)


def test_link_to_nothing_is_named(tmp_path):
    folder = make_folder(tmp_path / "pets")
    (folder / "cat" / "9.png").symlink_to(tmp_path / "gone.png")
    assert message_of(folder) == f"cannot read '{folder}/cat/9.png': No such file or directory"


# Bad images


def test_truncated_image_is_named_and_nothing_is_loaded(tmp_path):
    folder = make_folder(tmp_path / "pets")
    save(folder / "dog" / "cut.jpg", size=(64, 64))
    os.truncate(folder / "dog" / "cut.jpg", 700)
    for _ in range(2):  # the second time from the cache
        message = message_of(folder)
        assert message.startswith(f"1 of 9 images in {folder} cannot be used: 'dog/cut.jpg' (image file is truncated")
        assert "--skip-bad-images" in message


def test_only_the_first_three_bad_images_are_named(tmp_path):
    folder = make_folder(tmp_path / "pets")
    for number in range(5):
        (folder / "cat" / f"bad{number}.png").write_bytes(b"no")
    message = message_of(folder)
    assert message.startswith("5 of 13 images")
    assert "'cat/bad2.png'" in message
    assert "bad3" not in message


def test_skipping_goes_on_without_bad_images_and_reports_them_each_time(tmp_path):
    folder = make_folder(tmp_path / "pets")
    expected = load_data(folder, 8)
    (folder / "cat" / "2b.png").write_bytes(b"no")
    skipped = []
    for _ in range(2):  # the second time from the cache
        data = load_data(folder, 8, skip_bad_images=True, on_skipped=lambda *item: skipped.append(item))
        assert same(data, expected)
    assert skipped == [("cat/2b.png", "not an image in a known format")] * 2
    assert "'cat/2b.png'" in message_of(folder)  # what was packed when skipping does not pass without it


def test_mended_image_is_packed_anew(tmp_path):
    folder = make_folder(tmp_path / "pets")
    (folder / "cat" / "9.png").write_bytes(b"no")
    message_of(folder)
    save(folder / "cat" / "9.png")
    assert len(load_data(folder, 8).labels) == 9


def test_class_that_skipping_leaves_too_small_is_named(tmp_path):
    folder = make_folder(tmp_path / "pets", each=2)
    (folder / "cat" / "1.png").write_bytes(b"no")
    assert "fewer than 2 usable images ('cat')" in message_of(folder, skip_bad_images=True)


def test_no_usable_image_at_all_is_one_line(tmp_path):
    for name in ("cat/0.png", "dog/0.png"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no")
    assert "fewer than 2 usable images ('cat', 'dog')" in message_of(tmp_path / "pets", skip_bad_images=True)


def test_file_of_unknown_kind_in_a_class_is_not_lost_in_silence(tmp_path):
    folder = make_folder(tmp_path / "pets")
    (folder / "cat" / "4.heic").write_bytes(b"no")
    assert "'cat/4.heic' (not an image in a known format)" in message_of(folder)


def test_damaged_member_of_a_zip_is_a_bad_image(tmp_path):
    path = make_zip(make_folder(tmp_path / "pets"), tmp_path / "pets.zip")
    data = path.read_bytes()
    at = data.index((tmp_path / "pets" / "cat" / "1.png").read_bytes()) + 60  # stored, not deflated
    path.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    assert "'cat/1.png' (damaged in the zip: Bad CRC-32" in message_of(path)


# Sources that can't be used


def test_missing_path_lists_the_shipped_names():
    assert message_of("digts") == ("no data set 'digts': give a shipped one (digits), or the path of a folder or zip")
    assert "no data set ''" in message_of("")


def test_file_that_is_no_zip_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "notes.txt is neither a folder nor a zip file" in message_of(tmp_path / "notes.txt")


def test_cut_zip_is_one_line(tmp_path):
    path = make_zip(make_folder(tmp_path / "pets"), tmp_path / "pets.zip")
    os.truncate(path, path.stat().st_size // 2)
    assert "pets.zip is not a whole zip file; it is damaged or cut short" in message_of(path)


def test_folder_without_images_is_one_line(tmp_path):
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("hello")
    assert message_of(tmp_path / "pets").startswith(f"no images in {tmp_path / 'pets'}; it must hold class/name.jpg")


def test_one_class_is_named(tmp_path):
    assert "holds one class, 'cat'; a classifier needs at least two" in message_of(make_folder(tmp_path / "p", ["cat"]))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_empty_class_is_named(tmp_path, kind):
    source = make_folder(tmp_path / "pets")
    (source / "eel").mkdir()
    (source / "fox").mkdir()
    (source / "fox" / "notes.txt").write_text("none yet")
    if kind == "zip":
        source = make_zip(source, tmp_path / "pets.zip")
    assert "2 of 4 class folders" in message_of(source)
    assert "hold no images: 'eel', 'fox'; fill or remove them" in message_of(source)


def test_class_with_one_image_is_named(tmp_path):
    save(make_folder(tmp_path / "pets") / "eel" / "0.png")
    assert "1 of 3 classes have fewer than 2 usable images ('eel')" in message_of(tmp_path / "pets")


def test_train_and_test_folders_are_both_named(tmp_path):
    make_folder(tmp_path / "pets" / "train")
    make_folder(tmp_path / "pets" / "test", each=2)
    message = message_of(tmp_path / "pets")
    assert "lie in 2 different folders: 'test' (4 images), 'train' (8 images); give the path of the one" in message


def test_images_at_different_depths_are_one_line(tmp_path):
    save(make_folder(tmp_path / "pets") / "cat" / "young" / "0.png")
    assert "lie at different depths, as 'cat/0.png' and 'cat/young/0.png'" in message_of(tmp_path / "pets")


def test_images_outside_class_folders_are_one_line(tmp_path):
    save(make_folder(tmp_path / "pets") / "cover.png")
    assert "1 images in " in message_of(tmp_path / "pets")
    assert "lie in no class folder ('cover.png')" in message_of(tmp_path / "pets")


def test_encrypted_zip_is_one_line(tmp_path):
    path = make_zip(make_folder(tmp_path / "pets"), tmp_path / "pets.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1  # the flag of a password, in the first entry of the directory at the end
    path.write_bytes(data)
    assert "pets.zip is encrypted" in message_of(path)


@pytest.mark.parametrize("resolution", [0, -8])
def test_resolution_below_one_is_one_line(resolution):
    assert message_of("digits", resolution) == f"the resolution must be at least 1 pixel, got {resolution}"


def test_image_data_refuses_images_that_do_not_match_the_labels():
    data = load_data("digits", 8)
    with pytest.raises(
        ValueError, match=r"shape \(1797, resolution, resolution, 3\), got uint8 of shape \(3, 8, 8, 3\)"
    ):
        ImageData(data.images[:3], data.labels, data.train, data.validation, data.classes, "digits", data.fingerprint)


@pytest.mark.skipif(not CIFAR.exists(), reason=f"needs CIFAR-10 as a zip of JPEGs at {CIFAR}")
def test_cifar10_loads_alike_from_its_zip_and_unpacked(tmp_path):
    small = tmp_path / "small.zip"
    with zipfile.ZipFile(CIFAR) as whole, zipfile.ZipFile(small, "w") as part:
        for info in whole.infolist():
            if info.filename.endswith(".jpg") and int(Path(info.filename).stem) < 40:
                part.writestr(info.filename, whole.read(info))
    shutil.unpack_archive(small, tmp_path / "unpacked")
    data = load_data(small, 32)
    assert data.images.shape == (400, 32, 32, 3)
    assert data.classes == CIFAR_CLASSES
    assert np.bincount(data.labels[data.validation]).tolist() == [8] * 10
    assert same(data, load_data(tmp_path / "unpacked", 32))
    assert same(data, load_data(tmp_path / "unpacked" / "train", 32))
