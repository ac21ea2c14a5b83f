"""Write tables of boxes as files for other programs: CSV, COCO and YOLO."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from boxest.boxes import CORNERS
from boxest.data.annotations.fields import SIDES, AnnotationError
from boxest.data.annotations.tools import load_globox
from boxest.system.files import atomic_folder, write_json, write_text

if TYPE_CHECKING:
    import globox

FORMATS = ("csv", "coco", "yolo")


def write(
    table: pd.DataFrame,
    path: str | os.PathLike,
    form: str | None = None,
    *,
    images: str | os.PathLike | None = None,
) -> None:
    """Write boxes, predicted ones for example.

    Parameters
    ----------
    table : DataFrame
        ``image``, ``width``, ``height`` and ``x1, y1, x2, y2`` in pixels, as
        `boxest.photographs.predict` returns them; and ``label``, by default "object".
    path : path-like
        A file, or, for YOLO, a new folder.
    form : {"csv", "coco", "yolo"}, optional
        By default the suffix decides: ``.csv``, ``.json`` for COCO, none for YOLO.
    images : path-like, optional
        Folder of the photographs, to which names in COCO and YOLO are relative; by default their
        common folder.

    Raises
    ------
    AnnotationError
        If the form is unknown; for COCO and YOLO also if there is no box, a box is flipped or has
        no area, the size of a photograph is unknown, one has two boxes, two would share a file, or
        globox is not installed.
    OSError
        If the file cannot be written, or the folder is not empty.
    """
    path, form = Path(path), form_of(path, form)
    if form == "csv":
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
        return
    if not len(table):
        raise AnnotationError(f"{path}: the table has no rows, so there are no boxes to write.")
    empty = without_area(table)
    if empty.any():
        raise AnnotationError(
            f"{path}: {int(empty.sum())} boxes, such as that of {table['image'][empty].iloc[0]}, "
            f"are flipped or empty, which {form} cannot hold: remove these rows, or write CSV."
        )
    unknown = table.reindex(columns=SIDES).isna().any(axis=1)
    if unknown.any():
        raise AnnotationError(
            f"{path}: width and height of {int(unknown.sum())} photographs, such as "
            f"{table['image'][unknown].iloc[0]}, are unknown, but {form} needs them: fill them in, "
            "or write CSV."
        )
    boxes = _globox(table, images)
    if form == "coco":
        write_json(path, boxes.to_coco(auto_ids=True))
    else:
        _write_yolo(path, boxes)


def without_area(table: pd.DataFrame) -> pd.Series:
    """Return which boxes are flipped or empty, so that only CSV can hold them."""
    return ~((table["x1"] < table["x2"]) & (table["y1"] < table["y2"]))


def form_of(path: str | os.PathLike, form: str | None = None) -> str:
    """Return the format in which `write` would write this file.

    Raises
    ------
    AnnotationError
        If it is unknown.
    """
    suffix = Path(path).suffix.lower()
    form = form or {".csv": "csv", ".json": "coco", "": "yolo"}.get(suffix)
    if form in FORMATS:
        return form
    given = f"the suffix {suffix!r}" if form is None else repr(form)
    raise AnnotationError(f"{path}: boxes can be written as {', '.join(FORMATS)}; got {given}.")


def _write_yolo(path: Path, boxes: "globox.AnnotationSet") -> None:
    """Write one file per photograph, and the names of the classes."""
    labels = sorted({box.label for box in boxes.all_boxes})
    numbers = {label: number for number, label in enumerate(labels)}
    classes, texts = Path("classes.txt"), {}
    for annotation in boxes:
        name = Path(annotation.image_id).with_suffix(".txt")
        if name in texts:
            raise AnnotationError(f"{path}: two photographs would share the file {name}.")
        if name == classes:
            raise AnnotationError(
                f"{path}: {annotation.image_id} would have the file {name}, which holds the names "
                "of the classes: rename the photograph, or write CSV or COCO."
            )
        texts[name] = annotation.to_yolo_v5(label_to_id=numbers)
    with atomic_folder(path) as made:
        for name, text in texts.items():
            write_text(made / name, text + "\n")
        write_text(made / classes, "".join(f"{label}\n" for label in labels))


def _globox(table: pd.DataFrame, images: str | os.PathLike | None) -> "globox.AnnotationSet":
    """Return the boxes as globox objects."""
    library = load_globox()
    paths = [os.path.abspath(name) for name in table["image"]]
    if images is not None:
        paths = [os.path.abspath(os.path.join(images, name)) for name in table["image"]]
    root = os.path.abspath(images) if images else os.path.commonpath(map(os.path.dirname, paths))
    names = [Path(os.path.relpath(path, root)).as_posix() for path in paths]
    outside = [name for name in names if name.startswith("../")]
    if outside:
        raise AnnotationError(f"{outside[0]} is not in the folder of photographs, {root}.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise AnnotationError(f"{twice[0]} is in the table twice: remove one of the rows.")
    labels = table.get("label", pd.Series(index=table.index, dtype=object)).fillna("object")
    found = library.AnnotationSet()
    for name, label, row in zip(names, labels, table.itertuples(), strict=True):
        corners = tuple(float(getattr(row, corner)) for corner in CORNERS)
        box = library.BoundingBox.create(label=str(label), coords=corners)
        found.add(library.Annotation(name, (int(row.width), int(row.height)), [box]))
    return found
