"""Images with masks from folders and zips; what can't be used gets one line."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.segmentation import IGNORED, SegmentationData, load_segmentation
from nas.segmentation.augment import training_view
from search_spaces import InputError

CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid" / "camvid_101.zip"


def save(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def make_set(root: Path, count: int = 4, size: tuple[int, int] = (20, 30), labels: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Write noise with masks in stripes, each as high as the next."""
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 256, (*size, 3))
        save(root / "images" / f"{index}.png", noise)
        stripes = np.array(labels)[np.arange(size[0]) * len(labels) // size[0]]
        save(root / "masks" / f"{index}.png", np.tile(stripes[:, None], (1, size[1])))
    return root


def message_of(path: Path, resolution: int = 20, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_segmentation(path, resolution, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_images_and_masks_are_paired_by_name_and_kept_pixel_by_pixel(tmp_path: Path) -> None:
    data = load_segmentation(make_set(tmp_path), 20)
    assert data.images.shape == (4, 20, 30, 3)
    assert data.classes == ("class 0", "class 1", "class 2")
    assert (data.images[2] == np.random.default_rng(2).integers(0, 256, (20, 30, 3))).all()
    assert data.masks(0)[:, 0].tolist() == [0] * 7 + [1] * 7 + [2] * 6
    assert sorted([*data.train, *data.validation]) == [0, 1, 2, 3]
    assert len(data.validation) == 1


def test_a_zip_with_folders_above_gives_the_same(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png"), reverse=True):
            archive.write(file, Path("deep/er") / file.relative_to(folder))
    one, other = load_segmentation(folder, 10), load_segmentation(tmp_path / "set.zip", 10)
    for name in ("images", "labels", "numbers", "train", "validation"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_the_shorter_side_becomes_the_resolution(tmp_path: Path) -> None:
    data = load_segmentation(make_set(tmp_path, size=(40, 60)), 10)
    assert data.size == (10, 15)
    assert data.masks(0)[:, 0].tolist() == [0] * 3 + [1] * 4 + [2] * 3


def test_an_image_of_another_shape_is_fitted_and_framed_by_ignored_pixels(tmp_path: Path) -> None:
    make_set(tmp_path, count=2)
    save(tmp_path / "images" / "9.png", np.zeros((20, 15, 3)))
    save(tmp_path / "masks" / "9.png", np.ones((20, 15)))
    data = load_segmentation(tmp_path, 20)
    assert (data.masks(2)[:, :15] == 1).all()
    assert (data.masks(2)[:, 15:] == IGNORED).all()
    assert (data.images[2, :, 15:] == 128).all()


def test_the_split_that_the_set_lists_is_taken(tmp_path: Path) -> None:
    make_set(tmp_path)
    (tmp_path / "train.txt").write_text("3.png\nimages/0.png\n")
    (tmp_path / "val.txt").write_text("1\n")
    data = load_segmentation(tmp_path, 20)
    assert (data.train.tolist(), data.validation.tolist()) == ([0, 3], [1])


def test_the_drawn_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    make_set(tmp_path, count=20)
    splits = [load_segmentation(tmp_path, 20, seed=seed).validation.tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert len(splits[0]) == 4


def test_ignored_labels_are_no_classes_and_the_others_are_numbered_without_gaps(tmp_path: Path) -> None:
    data = load_segmentation(make_set(tmp_path, labels=(0, 5, 9)), 20, ignored=[0])
    assert data.classes == ("class 5", "class 9")
    assert data.masks(0)[:, 0].tolist() == [IGNORED] * 7 + [0] * 7 + [1] * 6


def test_named_classes_are_those_of_the_list_without_what_is_void(tmp_path: Path) -> None:
    make_set(tmp_path)
    (tmp_path / "classes.txt").write_text("void\nroad\nsky\nnever seen\n")
    data = load_segmentation(tmp_path, 20)
    assert data.classes == ("road", "sky", "never seen")
    assert np.unique(data.masks(np.arange(4))).tolist() == [0, 1, IGNORED]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    save(tmp_path / "masks" / "2.png", np.zeros((10, 30)))
    assert message_of(tmp_path) == (
        f"1 of 4 images in {tmp_path} cannot be used: 'images/2.png' (it has 30x20 pixels, and its mask 30x10; they "
        "must be of one size); mend or remove them, or go on without them by --skip-bad-images"
    )


def test_a_mask_with_an_unknown_label_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    save(tmp_path / "masks" / "1.png", np.full((20, 30), 7))
    (tmp_path / "classes.txt").write_text("void\nroad\nsky\n")
    assert message_of(tmp_path) == (
        f"mask 'masks/1.png' in {tmp_path} has the unknown label 7; known are 1, 2, and ignored 0, 255: "
        "mend the mask, or ignore the label"
    )


def test_a_label_that_only_validation_masks_have_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    save(tmp_path / "masks" / "1.png", np.full((20, 30), 7))
    (tmp_path / "train.txt").write_text("0\n2\n")
    (tmp_path / "val.txt").write_text("1\n")
    assert "has the unknown label 7; known are 0, 1, 2" in message_of(tmp_path)


def test_images_without_masks_and_masks_without_images_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    (tmp_path / "masks" / "3.png").unlink()
    assert message_of(tmp_path) == (
        f"1 of 4 images in {tmp_path} have no mask: 'images/3.png'; add the mask of the same name, or remove them"
    )
    (tmp_path / "images" / "3.png").unlink()
    (tmp_path / "images" / "2.png").unlink()
    assert "1 of 3 masks" in message_of(tmp_path)


def test_a_mask_in_colours_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    save(tmp_path / "masks" / "0.png", np.zeros((20, 30, 3)))
    assert "'images/0.png' (its mask has pixels of mode RGB; a mask has one label a pixel" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("val.txt", "1\nghost.png\n", "val.txt of .* names 'ghost.png', which is no image there"),
        ("val.txt", "0\n", "'0' is in train.txt and in val.txt"),
        ("val.txt", "", "val.txt of .* is empty"),
        ("classes.txt", "void\nroad\n", "has 1 class"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    make_set(tmp_path)
    (tmp_path / "train.txt").write_text("0\n")
    (tmp_path / "val.txt").write_text("1\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_segmentation(tmp_path, 20)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    make_set(tmp_path)
    whole = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    assert message_of(tmp_path).startswith(
        f"1 of 4 images in {tmp_path} cannot be used: 'images/1.png' (image file is truncated"
    )
    (tmp_path / "images" / "1.png").write_bytes(b"no image")
    (tmp_path / "masks" / "2.png").write_bytes(b"no mask")
    message = message_of(tmp_path)
    assert message.startswith(f"2 of 4 images in {tmp_path} cannot be used: 'images/1.png' (not an image in a known")
    assert "'images/2.png' (its mask: not an image in a known format)" in message


def test_bad_pairs_can_be_left_out_with_a_note_and_the_others_keep_their_masks(tmp_path: Path) -> None:
    make_set(tmp_path)
    whole = load_segmentation(tmp_path, 20)
    (tmp_path / "images" / "0.png").write_bytes(b"no image")  # the first, whose shape the others would get
    (tmp_path / "train.txt").write_text("0\n1\n2\n")
    (tmp_path / "val.txt").write_text("3\n")
    notes: list[str] = []
    data = load_segmentation(tmp_path, 20, skip_bad=True, note=notes.append)
    assert notes == ["left out images/0.png: not an image in a known format"]
    assert (data.train.tolist(), data.validation.tolist()) == ([0, 1], [2])
    assert np.array_equal(data.images, whole.images[1:])
    assert np.array_equal(data.masks(np.arange(3)), whole.masks(np.arange(1, 4)))


def test_images_of_which_none_can_be_decoded_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    for file in (tmp_path / "images").iterdir():
        file.write_bytes(b"no image")
    assert "none of the 4 images in" in message_of(tmp_path)


def test_a_folder_without_the_two_folders_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "cats" / "1.png", np.zeros((4, 4)))
    assert "has no folders images and masks beside each other" in message_of(tmp_path)


def view(size: tuple[int, int], scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Look at an image whose red counts columns by 4 and whose mask is 1 where red is above 100."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :, 0] = np.arange(60) * 4
    mask = (image[:, :, 0] > 100).astype(np.uint8)
    fill = np.array([7, 8, 9], np.uint8)
    return training_view(image, mask, size, (scale, scale), fill, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_an_enlarged_view_keeps_image_and_mask_together(seed: int) -> None:
    image, mask = view((40, 60), 2.0, seed)
    assert (np.abs(np.diff(image[0, 2:-2, 0].astype(int))) <= 3).all()  # 2 levels a pixel now
    sure = np.abs(image[:, :, 0].astype(int) - 102) > 6
    assert ((image[:, :, 0] > 102) == (mask == 1))[sure].all()
    assert set(np.unique(mask)) <= {0, 1}


def test_a_shrunken_image_lies_in_fill_that_is_ignored() -> None:
    image, mask = view((40, 60), 0.5)
    assert (mask != IGNORED).sum() == 20 * 30
    assert (image[mask == IGNORED] == [7, 8, 9]).all()


def test_half_of_the_views_are_mirrored() -> None:
    falling = [view((40, 60), 1.0, seed)[0][0, 0, 0] > 100 for seed in range(100)]
    assert 35 < sum(falling) < 65


@pytest.mark.skipif(not CAMVID.exists(), reason="CamVid's 101 frames are not here")
def test_camvid_has_eleven_classes_beside_what_is_unlabelled() -> None:
    data: SegmentationData = load_segmentation(CAMVID, 90, ignored=[11])
    assert data.size == (90, 120)
    assert len(data.classes) == 11
    assert (len(data.train), len(data.validation)) == (70, 26)
