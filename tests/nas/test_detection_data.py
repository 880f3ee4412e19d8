"""Data sets in Pascal VOC's layout: what is read from them, and every way in which they can be wrong."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.detection import load_detection
from search_spaces import InputError

CELL = ("cell", (11, 5, 40, 20))
PLATE = ("plate", (1, 1, 10, 10))


def picture(width: int = 40, height: int = 20, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def annotation(name: str, objects: Sequence[tuple[str, Sequence[float]]], size: tuple[int, int] = (40, 20)) -> str:
    boxes = "".join(
        f"<object><name>{label}</name><difficult>{int(label == 'plate')}</difficult><bndbox><xmin>{xmin}</xmin>"
        f"<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
        for label, (xmin, ymin, xmax, ymax) in objects
    )
    width, height = size
    return (
        f"<annotation><filename>{name}.png</filename><size><width>{width}</width><height>{height}</height></size>"
        f"{boxes}</annotation>"
    )


def files(**changed: str | bytes | None) -> dict[str, str | bytes]:
    """Four images with a cell each, the last one with a plate too; ``changed`` by file, None to leave one out."""
    made: dict[str, str | bytes | None] = {}
    for name in "abcd":
        made[f"JPEGImages/{name}.png"] = picture()
        made[f"Annotations/{name}.xml"] = annotation(name, [CELL, PLATE] if name == "d" else [CELL])
    made |= changed
    return {name: content for name, content in made.items() if content is not None}


def write(root: Path, contents: dict[str, str | bytes]) -> Path:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def zipped(path: Path, contents: dict[str, str | bytes], above: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(above + name, content)
    return path


def refusal(root: Path, contents: dict[str, str | bytes], **settings: object) -> str:
    with pytest.raises(InputError) as error:
        load_detection(write(root, contents), 16, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(root), "VOC")


def test_boxes_become_shares_of_the_image_and_images_squares(tmp_path: Path) -> None:
    data = load_detection(write(tmp_path, files()), 16)
    assert data.images.shape == (4, 16, 16, 3)
    assert data.images[0, 8, 8].tolist() == [255, 0, 0]
    assert data.classes == ("cell", "plate")
    # pixels 11 to 40 of 40 and 5 to 20 of 20, counted from 1
    assert data.boxes[3].tolist() == [pytest.approx([0.25, 0.2, 1.0, 1.0]), pytest.approx([0.0, 0.0, 0.25, 0.5])]
    assert data.labels[3].tolist() == [0, 1]
    assert data.difficult[3].tolist() == [False, True]


def test_a_zip_gives_what_its_folder_gives_wherever_in_it_the_data_lie(tmp_path: Path) -> None:
    folder = load_detection(write(tmp_path / "voc", files()), 16)
    packed = load_detection(zipped(tmp_path / "voc.zip", files(), "VOCdevkit/VOC2012/"), 16)
    assert np.array_equal(folder.images, packed.images)
    assert [boxes.tolist() for boxes in folder.boxes] == [boxes.tolist() for boxes in packed.boxes]
    assert folder.name == packed.name == "voc"


def test_the_split_is_by_seed_and_every_image_is_on_one_side(tmp_path: Path) -> None:
    root = write(tmp_path, files())
    data = load_detection(root, 16, validation_share=0.5)
    assert sorted([*data.train, *data.validation]) == [0, 1, 2, 3]
    assert len(data.validation) == 2
    again = load_detection(root, 16, validation_share=0.5)
    assert again.validation.tolist() == data.validation.tolist()
    others = [load_detection(root, 16, validation_share=0.5, seed=seed).validation.tolist() for seed in range(1, 6)]
    assert any(other != data.validation.tolist() for other in others)


def test_the_data_sets_own_split_counts_and_images_in_neither_list_are_left_out(tmp_path: Path) -> None:
    lists = {"ImageSets/Main/train.txt": "a\nc 1\n", "ImageSets/Main/val.txt": "d\n"}
    data = load_detection(write(tmp_path, files(**lists)), 16)
    assert (data.train.tolist(), data.validation.tolist()) == ([0, 1], [2])
    assert data.labels[2].tolist() == [0, 1]


def test_the_order_of_the_labels_can_be_given_in_a_file(tmp_path: Path) -> None:
    data = load_detection(write(tmp_path, files(**{"labels.txt": "plate\ncell\nnever\n"})), 16)
    assert data.classes == ("plate", "cell", "never")
    assert data.labels[3].tolist() == [1, 0]


def test_boxes_may_be_counted_from_0(tmp_path: Path) -> None:
    data = load_detection(
        write(tmp_path, files(**{"Annotations/a.xml": annotation("a", [("cell", (0, 0, 20, 10))])})), 16
    )
    assert data.boxes[0].tolist() == [[0, 0, 0.5, 0.5]]


def test_an_image_of_another_name_is_found_by_what_the_annotation_says(tmp_path: Path) -> None:
    contents = files(**{"JPEGImages/a.png": None, "JPEGImages/Photo 1.png": picture()})
    contents["Annotations/a.xml"] = annotation("Photo 1", [CELL])
    assert len(load_detection(write(tmp_path, contents), 16).images) == 4


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((504, 5, 510, 10), "(504, 5, 510, 10) is outside the image of 40x20"),
        ((-3, 5, 20, 10), "(-3, 5, 20, 10) is outside the image of 40x20"),
        ((1, 5, 41, 10), "(1, 5, 41, 10) is outside the image of 40x20"),
        ((1, 5, 20, 20.5), "(1, 5, 20, 20.5) is outside the image of 40x20"),
        ((float("nan"), 5, 20, 10), "(nan, 5, 20, 10) is outside the image of 40x20"),
        ((10, 5, 10, 10), "(10, 5, 10, 10) is of no area"),
        ((20, 5, 10, 10), "(20, 5, 10, 10) is of no area"),
        ((1, 10, 20, 9), "(1, 10, 20, 9) is of no area"),
    ],
)
def test_boxes_outside_the_image_or_of_no_area_are_refused(
    tmp_path: Path, box: tuple[float, float, float, float], fault: str
) -> None:
    assert refusal(tmp_path, files(**{"Annotations/b.xml": annotation("b", [CELL, ("cell", box)])})) == (
        f"1 boxes or images in VOC cannot be used: Annotations/b.xml: the cell box {fault}; mend them, or leave them "
        "out by --skip-bad-images (skip_bad=True)"
    )


def test_bad_boxes_and_images_can_be_left_out_with_a_note(tmp_path: Path) -> None:
    notes: list[str] = []
    contents = files(
        **{
            "Annotations/b.xml": annotation("b", [CELL, ("cell", (9, 9, 9, 9))]),
            "JPEGImages/c.png": picture()[:60],
        }
    )
    data = load_detection(write(tmp_path, contents), 16, skip_bad=True, note=notes.append)
    assert [len(boxes) for boxes in data.boxes] == [1, 1, 2]
    assert notes[0].startswith("left out c.png: ")
    assert notes[1] == "left out Annotations/b.xml: the cell box (9, 9, 9, 9) is of no area"


def with_doctype(text: str) -> str:
    return f'<!DOCTYPE annotation [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>{text}'


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"JPEGImages/b.png": None},
            "1 annotations in VOC are without their image: b.xml; put it into JPEGImages under the same name, or "
            "remove the annotation",
        ),
        (
            {"labels.txt": "plate\n"},
            "unknown label 'cell' in Annotations/a.xml of VOC; known are plate: mend it, or add it to labels.txt",
        ),
        (
            {"ImageSets/Main/train.txt": "a\nx\n", "ImageSets/Main/val.txt": "b\n"},
            "1 images in the lists of VOC have no annotation: x; mend ImageSets/Main/train.txt and val.txt, or remove "
            "them for a split by seed",
        ),
        (
            {"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": ""},
            "VOC needs images to train with and to validate with, got 1 and 0",
        ),
        (
            {"JPEGImages/b.png": picture(20, 40)},
            "1 boxes or images in VOC cannot be used: b.png: it has 20x40 pixels, and its annotation says 40x20; mend "
            "them, or leave them out by --skip-bad-images (skip_bad=True)",
        ),
        (
            {"JPEGImages/b.png": b"no image"},
            "1 boxes or images in VOC cannot be used: b.png: not an image in a known format; mend them, or leave them "
            "out by --skip-bad-images (skip_bad=True)",
        ),
        (
            {"Annotations/b.xml": "<annotation>"},
            "cannot use 'Annotations/b.xml' in VOC: not XML: no element found: line 1, column 12",
        ),
        (
            {"Annotations/b.xml": "<html/>"},
            "cannot use 'Annotations/b.xml' in VOC: its root is <html>, and must be <annotation>",
        ),
        (
            {"Annotations/b.xml": with_doctype(annotation("b", [CELL]))},
            "cannot use 'Annotations/b.xml' in VOC: it has a DOCTYPE, which an annotation needs not and a stranger "
            "could abuse",
        ),
        (
            {"Annotations/b.xml": "<annotation><object><name>cell</name></object></annotation>"},
            "cannot use 'Annotations/b.xml' in VOC: the object 'cell' has no <bndbox>",
        ),
        (
            {"Annotations/b.xml": annotation("b", [CELL]).replace("<xmin>11<", "<xmin>left<")},
            "cannot use 'Annotations/b.xml' in VOC: bndbox/xmin must be a number, got 'left'",
        ),
        (
            {"Annotations/b.xml": annotation("b", [("", CELL[1])])},
            "cannot use 'Annotations/b.xml' in VOC: an <object> has no <name>",
        ),
        (
            {"more/Annotations/b.xml": annotation("b", [CELL])},
            "VOC holds 2 data sets (., more); give the path of the one to take",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, changed: dict[str, str | bytes | None], message: str
) -> None:
    assert refusal(tmp_path, files(**changed)) == message


def test_data_without_annotations_or_objects_are_refused(tmp_path: Path) -> None:
    images = {name: content for name, content in files().items() if name.startswith("JPEG")}
    assert refusal(tmp_path / "images", images) == (
        "no annotations in VOC; it must hold Annotations/NAME.xml and JPEGImages/NAME.jpg"
    )
    empty = files(**{f"Annotations/{name}.xml": annotation(name, []) for name in "abcd"})
    assert refusal(tmp_path / "empty", empty) == ("the annotations in VOC hold no object; there is nothing to learn")


def test_a_single_image_cannot_be_split(tmp_path: Path) -> None:
    single = {name: content for name, content in files().items() if "/a." in name}
    assert refusal(tmp_path, single) == "VOC needs images to train with and to validate with, got 1 and 0"
