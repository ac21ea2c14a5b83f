"""The formats that boxes come in: readers of CSV, COCO JSON and Pascal VOC XML.

What they mean is told in `boxest.annotations`.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from boxest.files import regular

CORNERS = ["x1", "y1", "x2", "y2"]
VOC_CORNERS = ["xmin", "ymin", "xmax", "ymax"]
SIDES = ["width", "height"]
# An annotation of one image is a page of text.
MAX_XML_BYTES = 2**20


class AnnotationError(ValueError):
    """A table of boxes that cannot be used: names the file, the image, the value, what to do."""


class Box(NamedTuple):
    """A box as it is written, and where: ``size`` is that of the image, where it is told."""

    where: str
    image: str
    corners: tuple[float, float, float, float]
    size: tuple[int | None, int | None]
    label: str | None


class _Name(ElementTree.TreeBuilder):
    """Builds a tree of XML, and refuses what could define entities."""

    def doctype(self, *_: str | None) -> None:
        raise AnnotationError("it has a document type (<!DOCTYPE …>), which no annotation needs")


def reader(path: Path) -> Callable[[Path], Iterator[Box]]:
    """Choose the reader by what the path is."""
    if path.is_dir():
        return _read_voc
    readers = {".csv": _read_csv, ".json": _read_coco}
    if path.suffix.lower() not in readers:
        raise AnnotationError(
            f"{path}: annotations are a .csv file, a .json file (COCO) or a folder of .xml files "
            f"(Pascal VOC), not {path.suffix or 'a file without suffix'}."
        )
    return readers[path.suffix.lower()]


def _read_csv(path: Path) -> Iterator[Box]:
    with open(path, encoding="utf-8-sig", newline="", opener=regular) as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        try:
            names = [name.strip() for name in rows.fieldnames or []]
            rows.fieldnames = names
            image = _first(names, "image", "filename")
            corners = next((c for c in (CORNERS, VOC_CORNERS) if set(c) <= set(names)), None)
            if image is None or corners is None or len(set(names)) < len(names):
                raise AnnotationError(
                    f"{path}: the first line must name the columns image (or filename) and x1, y1, "
                    "x2, y2 (pixels from 0) or xmin, ymin, xmax, ymax (as in Pascal VOC), each "
                    f"once; got {', '.join(names) or 'nothing'}."
                )
            for row in rows:
                yield _of_csv(f"{path}, line {rows.line_num}", row, image, corners)
        except (csv.Error, UnicodeDecodeError) as error:
            raise AnnotationError(f"{path} is no CSV file in UTF-8: {error}.") from error


def _of_csv(where: str, row: dict[str, Any], image: str, names: list[str]) -> Box:
    """Return the box of a line."""
    if None in row or None in row.values():
        raise AnnotationError(f"{where} has another number of values than the first line of names.")
    voc = names is VOC_CORNERS
    corners = _corners(where, row[image], {name: row[name] for name in names}, voc=voc)
    size = tuple(_side(where, row[image], name, row.get(name)) for name in SIDES)
    label = row.get(_first(row, "label", "class"))
    return Box(where, row[image].strip(), corners, size, label)


def _read_coco(path: Path) -> Iterator[Box]:
    with open(path, "rb", opener=regular) as file:
        text = file.read()
    try:
        content = json.loads(text)
        images = {image["id"]: image for image in content["images"]}
        categories = {one["id"]: str(one["name"]) for one in content.get("categories", [])}
        annotations = list(content["annotations"])
        if len(images) < len(content["images"]):
            raise AnnotationError(f"{path}: two images have the same id.")
    except KeyError as error:
        raise AnnotationError(
            f"{path} is no COCO file: {error} is missing. It needs the lists images (id, file_name)"
            " and annotations (image_id, bbox)."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(f"{path} is no JSON file: {error}.") from error
    except (TypeError, AttributeError) as error:
        raise AnnotationError(
            f"{path} is no COCO file ({error}): it needs the lists images and annotations."
        ) from error
    for number, annotation in enumerate(annotations):
        where = f"{path}, annotation {number}"
        try:
            if annotation.get("iscrowd"):
                continue
            image = images[annotation["image_id"]]
            name, bbox = image["file_name"], annotation["bbox"]
            label = categories.get(annotation.get("category_id"))
        except (KeyError, TypeError, AttributeError) as error:
            raise AnnotationError(
                f"{where}: it needs an image_id that is the id of an image with a file_name, and a "
                f"bbox; the trouble is {error}."
            ) from error
        yield _of_coco(where, name, bbox, image, label)


def _of_coco(where: str, name: Any, bbox: Any, image: dict, label: str | None) -> Box:
    """Return the box of an annotation."""
    if not isinstance(name, str):
        raise AnnotationError(f"{where}: file_name must be a text; got {name!r}.")
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise AnnotationError(f"{where}: bbox of {name} must be [x, y, width, height]; got {bbox}.")
    names = ("x", "y", "width", "height")
    values = {f"bbox {key}": value for key, value in zip(names, bbox, strict=True)}
    x, y, width, height = _corners(where, name, values, voc=False)
    size = tuple(_side(where, name, key, image.get(key)) for key in SIDES)
    return Box(where, name, (x, y, x + width, y + height), size, label)


def _read_voc(path: Path) -> Iterator[Box]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".xml")
    if not files:
        raise AnnotationError(f"{path} is a folder without .xml files (Pascal VOC).")
    for file in files:
        root = _tree(file)
        image = root.findtext("filename")
        if root.tag != "annotation" or not image:
            raise AnnotationError(
                f"{file} is no annotation of Pascal VOC: it needs <annotation> with <filename>."
            )
        sides = [_side(file, image, name, root.findtext(f"size/{name}")) for name in SIDES]
        for number, item in enumerate(root.findall("object")):
            where = f"{file}, object {number}"
            values = {name: item.findtext(f"bndbox/{name}") for name in VOC_CORNERS}
            corners = _corners(where, image, values, voc=True)
            label = item.findtext("name")
            yield Box(where, image.strip(), corners, tuple(sides), label and label.strip())


def _tree(file: Path) -> ElementTree.Element:
    """Parse a file of XML that may come from a stranger."""
    with open(file, "rb", opener=regular) as stream:
        content = stream.read(MAX_XML_BYTES + 1)
    if len(content) > MAX_XML_BYTES:
        raise AnnotationError(f"{file} is longer than {MAX_XML_BYTES} bytes: no annotation is.")
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_Name()))
    except AnnotationError as error:
        raise AnnotationError(f"{file}: {error}.") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise AnnotationError(f"{file} is no XML: {error}.") from error


def _first(names: Any, *wanted: str) -> str | None:
    """Return the first of the wanted names that is there."""
    return next((name for name in wanted if name in names), None)


def _corners(where: str, image: str, values: dict[str, Any], *, voc: bool) -> tuple:
    """Return four numbers, or say which is none."""
    numbers = []
    for name, value in values.items():
        try:
            if isinstance(value, bool):
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise AnnotationError(f"{where}: {name} of {image} must be a number; got {value!r}.")
        if voc and number < 1:
            raise AnnotationError(
                f"{where}: {name} of {image} is {number:g}, but Pascal VOC counts pixels from 1. If"
                " the boxes are counted from 0, give them as CSV with the columns x1, y1, x2, y2."
            )
        numbers.append(number)
    return (numbers[0] - 1, numbers[1] - 1, *numbers[2:]) if voc else tuple(numbers)


def _side(where: Any, image: str, name: str, value: Any) -> int | None:
    """Return the width or height of an image; None where it is not told."""
    if value is None or value == "":
        return None
    try:
        side = float(value)
    except (TypeError, ValueError, OverflowError):
        side = 0.0
    if not 1 <= side < 2**31 or side != int(side):
        raise AnnotationError(
            f"{where}: the {name} of {image} must be a whole number of pixels; got {value!r}."
        )
    return int(side)
