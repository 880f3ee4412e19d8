"""Annotations in Pascal VOC's form (Everingham et al. 2010): one XML file an image, with its size and its boxes."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

# Boxes are corner pixels, counted from 1 and both inside the box; some tools count from 0, and mean the same.
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class BadAnnotationError(Exception):
    """A file that is no annotation; the message is the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Object:
    """A box by its corner pixels, what is in it, and whether it counts as too difficult to be missed."""

    label: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """The image's ``filename``, ``width`` and ``height``, each empty or 0 where the file does not say; its objects."""

    filename: str
    width: int
    height: int
    objects: tuple[Object, ...]


def parse_annotation(data: bytes) -> Annotation:
    """Read an annotation; ``BadAnnotationError`` if it is none, or declares entities, which could fill the memory."""
    try:
        root = ET.fromstring(data, ET.XMLParser(target=_NoDoctype()))
    except ET.ParseError as error:
        raise BadAnnotationError(f"not XML: {error}") from error
    if root.tag != "annotation":
        raise BadAnnotationError(f"its root is <{root.tag}>, and must be <annotation>")
    size = {name: int(_number(root, f"size/{name}", 0)) for name in ("width", "height")}
    objects = tuple(_object(element) for element in root.findall("object"))
    return Annotation((root.findtext("filename") or "").strip(), size["width"], size["height"], objects)


def unit_box(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    """Give a box of corner pixels as shares of the image's sides."""
    xmin, ymin, xmax, ymax = box
    return max(xmin - 1, 0) / width, max(ymin - 1, 0) / height, xmax / width, ymax / height


def fault_of(box: tuple[float, float, float, float], width: int, height: int) -> str | None:
    """Say what is wrong with a box in an image of so many pixels, if anything is."""
    xmin, ymin, xmax, ymax = box
    if not (0 <= xmin <= width and 0 <= ymin <= height and xmax <= width and ymax <= height):  # nan is not, either
        return f"outside the image of {width}x{height}"
    if not (xmin < xmax and ymin < ymax):
        return "of no area"
    return None


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise BadAnnotationError("it has a DOCTYPE, which an annotation needs not and a stranger could abuse")


def _object(element: ET.Element) -> Object:
    label = (element.findtext("name") or "").strip()
    if not label:
        raise BadAnnotationError("an <object> has no <name>")
    if element.find("bndbox") is None:
        raise BadAnnotationError(f"the object {label!r} has no <bndbox>")
    xmin, ymin, xmax, ymax = (_number(element, f"bndbox/{name}") for name in _CORNERS)
    return Object(label, (xmin, ymin, xmax, ymax), _number(element, "difficult", 0) != 0)


def _number(element: ET.Element, path: str, missing: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and missing is not None:
        return missing
    try:
        return float(text or "")
    except ValueError:
        raise BadAnnotationError(f"{path} must be a number, got {text!r}") from None
