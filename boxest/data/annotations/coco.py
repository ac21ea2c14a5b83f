"""COCO: one JSON file with the lists images, annotations and categories."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxest.data.annotations.fields import (
    SIDES,
    TURNED,
    AnnotationError,
    Box,
    Notes,
    edges,
    is_turned,
    number,
    say,
    side,
    text,
)
from boxest.system.files import regular

_NEEDED = "It needs the lists images (id, file_name) and annotations (image_id, bbox)"
_READ_AS = {
    "auto": "x, y, width, height in pixels, from 0, as COCO has them",
    "edges": "x1, y1, x2, y2: edges in pixels, from 0",
    "fractions": "x, y, width, height: fractions of width and height of the image",
}
# pandas writes NaN for a missing value, and 0.0 in a column with one.
_FLAGS = {"0": False, "1": True, "false": False, "true": True, "": False, "none": False}
_FLAGS |= {"0.0": False, "1.0": True, "nan": False}
# An area is written with about two digits.
_TOLERANCE = 0.51


def read(path: Path, coordinates: str, notes: Notes) -> Iterator[Box]:
    """Yield the objects; crowds and turned boxes have no corners."""
    if coordinates not in _READ_AS:
        raise AnnotationError(
            f"{path}: coordinates={coordinates!r} does not apply to COCO. Use 'auto' or "
            "'fractions' for x, y, width and height, or 'edges' for x1, y1, x2, y2."
        )
    notes.read_as, notes.fractions = _READ_AS[coordinates], coordinates == "fractions"
    content = _content(path)
    images = _by_id(path, "images", content["images"])
    categories = _by_id(path, "categories", content.get("categories") or [])
    bboxes = _Bboxes(path, coordinates)
    for count, annotation in enumerate(content["annotations"]):
        where = f"{path}, annotation {count}"
        if not isinstance(annotation, dict):
            raise AnnotationError(f"{where}: it must be a table with image_id and bbox.")
        image = images.get(_key(annotation.get("image_id")))
        if image is None:
            raise AnnotationError(
                f"{where}: image_id is {annotation.get('image_id')!r}, but no image in the list "
                f"images ({len(images)} of them) has this id."
            )
        name, size = _image(where, image)
        category = categories.get(_key(annotation.get("category_id")))
        label = None if category is None else text(category.get("name"))
        if _flag(where, annotation.get("iscrowd")):
            yield Box.skipped(where, name, path, "crowds (iscrowd)")
            continue
        more = annotation.get("attributes")  # CVAT has the angle there.
        if is_turned((annotation | (more if isinstance(more, dict) else {})).get("rotation")):
            yield Box.skipped(where, name, path, TURNED)
            continue
        yield Box(where, name, bboxes.corners(where, name, annotation, size), size, label, path)
    bboxes.check(notes)


def _content(path: Path) -> dict[str, Any]:
    """Return the lists of a file."""
    with open(path, "rb", opener=regular) as file:
        content = file.read()
    try:
        content = json.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(f"{path} is not a JSON file: {error}.") from error
    if other := _other_tool(content):
        raise AnnotationError(f"{path} is not a COCO file, but {other}.")
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or (name != "categories" and name not in content):
            raise AnnotationError(f"{path} is not a COCO file: {name!r} is missing. {_NEEDED}.")
        if not isinstance(content.get(name) or [], list):
            raise AnnotationError(
                f"{path} is not a COCO file: {name} is a {type(content[name]).__name__}. {_NEEDED}."
            )
    return content | {name: content[name] or [] for name in ("images", "annotations")}


def _other_tool(content: Any) -> str:
    """Return which other tool wrote the file and what to do; empty if that is unknown."""
    first = content[0] if isinstance(content, list) and content else {}
    if isinstance(first, dict) and {"image", "annotations"} <= first.keys():
        return "boxes of Create ML, which is not read: export them as COCO"
    if isinstance(first, dict) and {"data", "annotations"} & first.keys():
        return "tasks of Label Studio: export them there as COCO, YOLO or Pascal VOC"
    names = content if isinstance(content, dict) else {}
    if "shapes" in names:
        return "one photograph of LabelMe: name the folder of all of them"
    if "_via_img_metadata" in names:
        return "a project of VIA, which is not read: export it there as COCO"
    return ""


def _by_id(path: Path, what: str, items: list) -> dict[str, dict]:
    """Return the entries of a list by their id."""
    found = {}
    for item in items:
        if not isinstance(item, dict) or "id" not in item:
            raise AnnotationError(
                f"{path} is not a COCO file: 'id' is missing in {what}. {_NEEDED}."
            )
        if found.setdefault(_key(item["id"]), item) is not item:
            raise AnnotationError(f"{path}: two {what} have the same id, {item['id']!r}.")
    return found


def _key(value: Any) -> str:
    """Return an id as text, because some tools write 7 in one place, and "7" or 7.0 in another."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _image(where: str, image: dict) -> tuple[str, tuple[int | None, int | None]]:
    """Return name and size of an image."""
    name = image.get("file_name")
    if not isinstance(name, str):
        raise AnnotationError(f"{where}: file_name must be a text; got {name!r}.")
    return name, tuple(side(where, name, key, image.get(key)) for key in SIDES)


def _flag(where: str, value: Any) -> bool:
    """Return whether iscrowd is set; some tools write it as text."""
    known = str(value).strip().lower()
    if known not in _FLAGS:
        raise AnnotationError(f"{where}: iscrowd must be 0 or 1; got {value!r}.")
    return _FLAGS[known]


class _Bboxes:
    """The lists of four numbers, checked for their meaning."""

    def __init__(self, path: Path, coordinates: str):
        self.path, self.coordinates = path, coordinates
        self.n, self.also_corners, self.n_areas = 0, 0, 0
        self.area_of_sizes, self.area_of_corners, self.too_large = 0, 0, 0

    def corners(self, where: str, name: str, annotation: dict, size: tuple) -> tuple:
        """Return the corners of an annotation."""
        bbox = annotation.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4:
            more = " (outlines and masks are not read)" if "segmentation" in annotation else ""
            raise AnnotationError(
                f"{where}: bbox of {name} must be [x, y, width, height]; got {bbox}{more}."
            )
        names = [f"bbox {key}" for key in ("x", "y", "width", "height")]
        values = dict(zip(names, bbox, strict=True))
        kind = "edges" if self.coordinates == "auto" else self.coordinates
        a, b, c, d = edges(where, name, values, kind)
        if self.coordinates == "edges":
            return a, b, c, d
        if self.coordinates == "auto":
            self._compare(where, name, (a, b, c, d), annotation.get("area"), size)
        return a, b, a + c, b + d

    def _compare(self, where: str, name: str, bbox: tuple, area: Any, size: tuple) -> None:
        """Look for signs that a bbox holds corners."""
        a, b, c, d = bbox
        self.n += 1
        inside = None in size or (c <= size[0] + 0.5 and d <= size[1] + 0.5)
        corners = c > a >= 0 and d > b >= 0 and inside
        self.also_corners += corners
        if None not in size and corners and (a + c > size[0] + 1 or b + d > size[1] + 1):
            raise AnnotationError(
                f"{where}: bbox of {name}, {list(bbox)}, is inside the image of "
                f"{size[0]}×{size[1]} pixels only if read as x1, y1, x2, y2, and not as x, y, "
                f"width, height, as COCO defines it. If these are corners, pass {say('edges')}."
            )
        if area is None or area != area:  # pandas writes NaN for a missing value.
            return
        self.n_areas += 1
        area = number(where, name, "area", area)
        fits = abs(area - c * d) <= max(_TOLERANCE, 1e-3 * c * d)
        self.area_of_sizes += fits
        self.area_of_corners += not fits and corners and abs(area - (c - a) * (d - b)) <= _TOLERANCE
        self.too_large += not fits and area > c * d

    def check(self, notes: Notes) -> None:
        """Refuse boxes whose areas show that they are corners; report doubtful ones."""
        # Areas of outlines fit either only by chance.
        if self.area_of_corners > max(self.area_of_sizes, self.n_areas / 2):
            raise AnnotationError(
                f"{self.path}: the area of {self.area_of_corners} annotations fits their bbox read "
                "as x1, y1, x2, y2, and not as x, y, width, height, as COCO defines it. If the "
                f"file has corners, pass {say('edges')}; otherwise correct the areas."
            )
        if self.too_large:
            notes.remarks.append(
                f"{self.path}: the area of {self.too_large} annotations is larger than width times "
                "height of their bbox: look whether the boxes are right."
            )
        if self.n == self.also_corners > self.area_of_sizes:
            notes.read_as += (
                " (nothing in the file tells them from x1, y1, x2, y2: look at a picture)"
            )
