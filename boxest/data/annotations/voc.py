"""Pascal VOC: one XML file per image, in a folder and its subfolders."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from boxest.data.annotations.fields import (
    MEANING,
    SIDES,
    TURNED,
    AnnotationError,
    Box,
    Notes,
    edges,
    is_turned,
    say,
    side,
    text,
)
from boxest.data.annotations.folder import Folder, end_of, with_suffix
from boxest.system.files import regular

NAMES = ["xmin", "ymin", "xmax", "ymax"]
# An annotation of one image is a page of text.
MAX_XML_BYTES = 2**20


class _Builder(ElementTree.TreeBuilder):
    """Builds an XML tree, and refuses a document type, which could define entities."""

    def doctype(self, *_: str | None) -> None:
        raise AnnotationError("it has a document type (<!DOCTYPE …>), which no annotation needs")


def read(path: Path, coordinates: str, notes: Notes, folder: Folder | None) -> Iterator[Box]:
    """Yield the objects of all files; for a file without objects, one without corners."""
    files = with_suffix(path, ".xml")
    if not files:
        raise AnnotationError(f"{path} is a folder without .xml files (Pascal VOC).")
    notes.read_as, notes.fractions = MEANING[coordinates], coordinates == "fractions"
    decimals = 0
    for file in files:
        root = tree(file)
        image = text(root.findtext("filename"))
        if root.tag != "annotation" or not image:
            cvat = " If it is of CVAT, name this file instead of its folder."
            raise AnnotationError(
                f"{file} is no annotation of Pascal VOC: it needs <annotation> with <filename>; "
                f"it is <{root.tag}>"
                + ("." if image else ", without <filename>.")
                + cvat * (root.tag == "annotations")
            )
        elsewhere = root.findtext("path") or ""
        if elsewhere.replace("\\", "/").rpartition("/")[2] == image:
            image = end_of(elsewhere, file.parent.relative_to(path).as_posix(), folder)
        size = tuple(side(file, image, name, root.findtext(f"size/{name}")) for name in SIDES)
        objects = root.findall("object")
        if not objects:
            reason = "photographs without an object in their XML"
            yield Box.skipped(str(file), image, file, reason)
        for count, item in enumerate(objects):
            where = f"{file}, object {count}"
            if is_turned(_attribute(item, "rotation")):
                yield Box.skipped(where, image, file, TURNED)
                continue
            values = _corners(where, item)
            decimals += any("." in (value or "") for value in values.values())
            corners = edges(where, image, values, coordinates)
            yield Box(where, image, corners, size, text(item.findtext("name")), file)
    if decimals and coordinates == "pixels-from-1":
        notes.remarks.append(decimals_remark(path, decimals))


def decimals_remark(path: Path, count: int) -> str:
    """Return the warning for pixels that look like edges."""
    return (
        f"{path}: {count} boxes are written with decimals (10.0), and read as first and last "
        "pixel, counted from 1, as in Pascal VOC. Some tools, VoTT among them, write edges from 0 "
        f"so, which are a pixel off. If yours does, pass {say('edges')}."
    )


def _attribute(item: ElementTree.Element, name: str) -> str | None:
    """Return an attribute of an object, as CVAT writes them."""
    found = item.iterfind("attributes/attribute")
    return next((one.findtext("value") for one in found if one.findtext("name") == name), None)


def _corners(where: str, item: ElementTree.Element) -> dict[str, str | None]:
    """Return the four numbers of an object as texts."""
    if item.find("bndbox") is None:
        inside = ", ".join(f"<{child.tag}>" for child in item) or "nothing"
        raise AnnotationError(
            f"{where}: it has no <bndbox> with xmin, ymin, xmax and ymax, but {inside}. Rotated "
            "boxes (<robndbox>) and outlines are not read: save upright boxes."
        )
    return {name: item.findtext(f"bndbox/{name}") for name in NAMES}


def tree(file: Path, most: int = MAX_XML_BYTES) -> ElementTree.Element:
    """Parse an XML file that may come from a stranger, up to a number of bytes."""
    with open(file, "rb", opener=regular) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise AnnotationError(
            f"{file} is longer than {most} bytes, which is too long for an annotation."
        )
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_Builder()))
    except AnnotationError as error:
        raise AnnotationError(f"{file}: {error}.") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise AnnotationError(f"{file} is not XML: {error}.") from error
