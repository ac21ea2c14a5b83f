"""Files of labelling tools that globox reads: YOLO, LabelMe and CVAT.

This module also checks what globox would accept silently: each error names the file and the object,
shapes other than boxes are counted, and XML must not define entities.
"""

import contextlib
import importlib
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from boxest.data import image_files
from boxest.data.annotations.fields import (
    TURNED,
    AnnotationError,
    Box,
    Notes,
    are_fractions,
    is_turned,
    number,
    side,
    text,
)
from boxest.data.annotations.folder import Folder, end_of, with_suffix
from boxest.data.annotations.voc import tree
from boxest.system.files import regular

# CVAT has all images in one file.
MAX_CVAT_BYTES = 2**28
_NO_OBJECT = "photographs without an object in their file"
_NAMES = ("classes.txt", "obj.names", "data.names", "data.yaml", "dataset.yaml")
_SAY_POINTS = "say how many in data.yaml, next to the folder: kpt_shape: [number, 2 or 3]"
_LISTS = ("train.txt", "val.txt", "valid.txt", "test.txt", "labels.txt")


def read_yolo(path: Path, folder: Folder | None, notes: Notes) -> Iterator[Box]:
    """Yield the objects in a folder of .txt files, one per photograph.

    The names of the classes are those of ``classes.txt``, ``obj.names`` or ``data.yaml``, in the
    folder or above it; without them, their numbers. ``kpt_shape`` in ``data.yaml`` says how many
    key points follow each box, which are not read.
    """
    notes.read_as = "class, middle, width and height as fractions of the image, as in YOLO"
    if folder is None:
        raise AnnotationError(
            f"{path}: YOLO files (.txt) hold fractions, without the sizes of the photographs: pass "
            "the folder of these (images=...)."
        )
    if (path / "labels").is_dir() and all(file.parent != path for file in files(path, ".txt")):
        # Label Studio and Ultralytics put this folder next to the folder images.
        path = path / "labels"
    names, points = _class_names(path), _key_points(path)
    outlines: list[int] = []
    for file in files(path, ".txt"):
        stem = file.relative_to(path).with_suffix("").as_posix()
        image = folder.of_stem(stem)
        if image is None:
            raise AnnotationError(
                f"{file}: no photograph {stem}.* in {folder.path}: {folder.why_none(stem)}."
            )
        size = image_files.size(folder.path / image)[:2]
        lines = _text(file).splitlines()
        if not any(map(str.strip, lines)):
            yield Box.skipped(str(file), image, file, _NO_OBJECT)
        for count, line in enumerate(lines, 1):
            if line.strip():
                where, values = f"{file}, line {count}", _without_points(file, count, line, points)
                if len(values) > 6:
                    outlines.append(_may_be_points(values) * len(values))
                yield _of_yolo(where, values, image, size, names)._replace(file=file)
    _tell_outlines(path, outlines, notes)


def read_labelme(path: Path, folder: Folder | None, notes: Notes) -> Iterator[Box]:
    """Yield the rectangles, and the bounds of polygons, of a folder of .json files."""
    notes.read_as = "corners of rectangles and bounds of polygons in pixels, from 0, as in LabelMe"
    for file in files(path, ".json"):
        try:
            content = json.loads(_text(file))
            shapes, name = list(content["shapes"]), str(content["imagePath"])
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise AnnotationError(
                f"{file} is not a LabelMe file ({error}): it needs shapes and imagePath. If it is "
                "COCO, name this file instead of its folder."
            ) from error
        name = end_of(name, file.parent.relative_to(path).as_posix(), folder)
        keys = ("imageWidth", "imageHeight")
        size = tuple(side(file, name, key, content.get(key)) for key in keys)
        if not shapes:
            yield Box.skipped(str(file), name, file, _NO_OBJECT)
        for count, shape in enumerate(shapes):
            where = f"{file}, shape {count}"
            kind = shape.get("shape_type", "polygon") if isinstance(shape, dict) else shape
            if kind not in ("rectangle", "polygon"):
                yield Box.skipped(where, name, file, f"shapes of the kind {kind!r}")
                continue
            points = _points(where, name, shape)
            found = _parsed(where, "from_labelme", shape | {"points": points})
            yield Box(where, name, found.ltrb, size, text(shape.get("label")), file)


def read_cvat(path: Path, folder: Folder | None, notes: Notes) -> Iterator[Box]:
    """Yield the boxes of an .xml file, "CVAT for images"."""
    notes.read_as = "edges in pixels, from 0, as in CVAT"
    root = tree(path, MAX_CVAT_BYTES)
    if root.tag != "annotations" or root.find("track") is not None:
        what = "a video" if root.tag == "annotations" else f"<{root.tag}>"
        raise AnnotationError(
            f"{path} holds {what}, not <annotations> with <image>: only the format 'CVAT for "
            "images' of CVAT is read. Pascal VOC is a folder of .xml files."
        )
    for item in root.iter("image"):
        name = item.get("name") or ""
        size = tuple(side(path, name, key, item.get(key)) for key in ("width", "height"))
        if not len(item):
            yield Box.skipped(str(path), name, path, _NO_OBJECT)
        for count, shape in enumerate(item):
            where = f"{path}, image {name}, shape {count}"
            angle = number(where, name, "rotation", shape.get("rotation") or 0)
            turned = shape.tag == "box" and is_turned(angle)
            if shape.tag != "box" or turned:
                reason = TURNED if turned else f"shapes of the kind <{shape.tag}>"
                yield Box.skipped(where, name, path, reason)
                continue
            found = _parsed(where, "from_cvat", shape)
            yield Box(where, name, found.ltrb, size, text(shape.get("label")), path)


def files(path: Path, suffix: str) -> list[Path]:
    """Return the files of annotations in a folder and its subfolders."""
    return [
        file
        for file in with_suffix(path, suffix)
        if not file.name.lower().startswith(("readme", "license", "licence"))
        and file.name.lower() not in _NAMES
        and not (file.name.lower() in _LISTS and _is_list(file))
    ]


def _is_list(file: Path) -> bool:
    """Whether a file with the name of a list is one, and not the boxes of a photograph "test"."""
    try:
        words = _text(file).split()[:5]
        return len(words) < 5 or not all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return True


def load_globox() -> Any:
    """Return the library globox, or raise an error that says how to install it."""
    try:
        return importlib.import_module("globox")
    except ImportError:
        raise AnnotationError(
            "boxest needs globox to read YOLO, LabelMe and CVAT, and to write COCO and YOLO, but "
            "it is not installed: pip install 'boxest[formats]'."
        ) from None


def _parsed(where: str, reader: str, *args: Any, **options: Any) -> Any:
    """Return an object as globox reads it, with finite numbers."""
    parse: Callable = getattr(load_globox().BoundingBox, reader)
    try:
        found = parse(*args, **options)
    except Exception as error:  # Mostly assertions, and any error from odd values.
        raise AnnotationError(f"{where} cannot be read: {error or type(error).__name__}") from error
    for value in found.ltrb:
        number(where, "the box", "a corner", value)
    return found


def _of_yolo(
    where: str, values: list[str], image: str, size: tuple[int, int], names: dict[str, str] | None
) -> Box:
    """Return the object of a line: a box, perhaps with a confidence, or an outline."""
    line = " ".join(values)
    where, is_long = f"{where} ({line:.60})", len(values) > 6
    more = f" If key points follow the box, {_SAY_POINTS}." if is_long else ""
    for value in values[1:]:
        if not are_fractions([number(where, image, "a fraction", value)]):
            raise AnnotationError(
                f"{where}: {value} is not a fraction of the image, as YOLO needs.{more}"
            )
    if is_long and len(values) % 2 == 0:
        raise AnnotationError(f"{where}: {len(values)} values are no outline.{more}")
    found = _parsed(where, "from_yolo_seg" if is_long else "from_yolo_v5", line, image_size=size)
    if names is not None and found.label not in names:
        raise AnnotationError(
            f"{where}: the class {found.label} has no name (there are {len(names)} names)."
        )
    label = found.label if names is None else names[found.label]
    return Box(where, image, found.ltrb, size, text(label), Path())


def _without_points(file: Path, count: int, line: str, points: int) -> list[str]:
    """Return the values of a line without the values of its key points."""
    values = line.split()
    if points and len(values) > 6 and len(values) != 5 + points:
        raise AnnotationError(
            f"{file}, line {count} has {len(values)} values, but with the key points of kpt_shape "
            f"(data.yaml), {5 + points} are needed."
        )
    return values[:5] if points and len(values) > 6 else values


def _tell_outlines(path: Path, outlines: list[int], notes: Notes) -> None:
    """Report outlines, given the number of values of each that may be key points, or 0."""
    if outlines:
        notes.read_as += f"; outlines by their bounds: {len(outlines)}"
    # Key points are as many in each line.
    if all(outlines) and len(set(outlines)) == 1:
        notes.remarks.append(
            f"{path}: {len(outlines)} lines were read as outlines, but may also be boxes with key "
            f"points. If they are, {_SAY_POINTS}."
        )


def _may_be_points(values: list[str]) -> bool:
    """Whether the values of an outline may also be a box in the image and key points in it."""
    try:
        x, y, w, h, *rest = map(float, values[1:])
    except ValueError:
        return False
    points = list(zip(rest[::2], rest[1::2], strict=False))
    if len(rest) % 3 == 0 and set(rest[2::3]) <= {0, 1, 2}:
        points = list(zip(rest[::3], rest[1::3], strict=True))
    inside = are_fractions((x - w / 2, x + w / 2, y - h / 2, y + h / 2))
    return inside and all(
        (abs(a - x) <= w / 2 and abs(b - y) <= h / 2) or a == b == 0 for a, b in points
    )


def _points(where: str, image: str, shape: dict) -> list[list[float]]:
    """Return the points of a shape as numbers; they may be written as text."""
    try:
        points = [list(point) for point in shape["points"]]
    except (KeyError, TypeError):
        points = []
    if len(points) < 2 or any(len(point) != 2 for point in points):
        raise AnnotationError(f"{where}: it needs at least two points with x and y.")
    return [[number(where, image, "a point", value) for value in point] for point in points]


def _name_files(path: Path) -> Iterator[Path]:
    """Yield the files that may name the classes, in the folder and the two above it."""
    path = Path(os.path.abspath(path))  # A relative path has no name for what is above it.
    for folder in (path, path.parent, path.parent.parent):
        yield from filter(Path.is_file, (folder / name for name in _NAMES))


def _class_names(path: Path) -> dict[str, str] | None:
    """Return the names of classes by number, if there is a file with them."""
    for file in _name_files(path):
        if file.suffix == ".yaml":
            return _names_of_yaml(file)
        return {str(n): name for n, name in enumerate(_text(file).splitlines())}
    return None


def _key_points(path: Path) -> int:
    """Return how many values of key points follow each box, if there is a file that says so."""
    for file in (file for file in _name_files(path) if file.suffix == ".yaml"):
        shape = None
        # If its names are needed, `_class_names` has refused a damaged file.
        with contextlib.suppress(AnnotationError):
            shape = _yaml(file).get("kpt_shape")
        if shape is None:
            continue
        whole = isinstance(shape, list) and all(type(one) is int for one in shape)
        if not (whole and len(shape) == 2 and shape[0] > 0 and shape[1] in (2, 3)):
            raise AnnotationError(
                f"{file}: kpt_shape must be the number of key points and 2 or 3; got {shape}."
            )
        return shape[0] * shape[1]
    return 0


def _yaml(file: Path) -> dict:
    import yaml

    try:
        content = yaml.safe_load(_text(file))
    except yaml.YAMLError as error:
        raise AnnotationError(f"{file} is not YAML: {error}") from error
    return content if isinstance(content, dict) else {}


def _names_of_yaml(file: Path) -> dict[str, str]:
    try:
        names = _yaml(file)["names"]
        if isinstance(names, str):
            raise TypeError("names is a text, not a list")
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {str(key): str(name) for key, name in pairs}
    except (KeyError, TypeError) as error:
        raise AnnotationError(
            f"{file} does not name the classes ({error}): it needs the key names."
        ) from error


def _text(file: Path) -> str:
    with open(file, encoding="utf-8-sig", opener=regular) as stream:
        try:
            return stream.read()
        except UnicodeDecodeError as error:
            raise AnnotationError(f"{file} is not a text in UTF-8: {error}.") from error
