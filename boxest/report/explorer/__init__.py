"""The explorer: a study as one interactive page, in any browser and without a network."""

import base64
import contextlib
import gzip
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.analysis.text import plural
from boxest.system.files import write_text

if TYPE_CHECKING:
    import pandas as pd

# Columns of a table of histories that the page can draw, with readable names.
MEASURES = {
    "validation_loss": "validation loss",
    "validation_iou_loss": "geometric 1 − IoU, validation",
    "validation_inclusive_iou_loss": "inclusive 1 − IoU, validation",
    "train_loss": "training loss",
    "train_iou_loss": "geometric 1 − IoU, training",
}
# Trained losses, which may not be the same measure in all cells.
TRAINED = ("validation_loss", "train_loss")
# Boxes are stored as whole numbers; this number is the full size of the picture.
PLACE_UNIT = 10_000
SCRIPTS = ("data", "state", "line", "map", "charts", "pictures", "tour", "main")


def write(path: str | os.PathLike, histories: "pd.DataFrame", **options: Any) -> None:
    """Write the explorer of a study atomically; the parameters are those of `page`."""
    write_text(path, page(histories, **options))


def page(
    histories: "pd.DataFrame",
    *,
    axes: Sequence[str],
    title: str,
    same_loss: bool = True,
    together: bool = False,
    pictures: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    followed: Mapping[tuple, np.ndarray] | None = None,
) -> str:
    """Return the explorer of a study as one self-contained HTML page.

    Parameters
    ----------
    histories : DataFrame
        One row per run and epoch: the `axes`, ``seed``, ``epoch``, ``updates``, ``train_seconds``,
        and one or more of `MEASURES`.
    axes : sequence of str
        The columns in which the cells of the study differ, at least one.
    title : str
        The title of the page.
    same_loss : bool, default=True
        Whether all cells were trained by one loss. Otherwise, the page begins with the geometric
        loss, because the others are not comparable.
    together : bool, default=False
        Whether runs were trained together, in one program, so that none has a time of its own.
    pictures : ndarray of uint8, shape (k, height, width) or (k, height, width, 3), optional
        Pictures to watch while the networks learn.
    boxes : ndarray of shape (k, 4), optional
        Their true boxes, corners divided by width and height.
    followed : mapping of tuple to ndarray of shape (epochs, k, 4), optional
        What each run predicted for the pictures after each epoch. The key of a run holds its values
        of the `axes`, and its seed.

    Raises
    ------
    ValueError
        If the table lacks a column, or the pictures, boxes and predictions do not fit each other.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    study = _study(histories, tuple(axes), same_loss)
    if together:
        study["summary"] += (
            " Runs were trained together: their seconds are shares of a common time, and say "
            "nothing of what one alone would take."
        )
    if followed is not None:
        study |= _watched(study["runs"], study["axes"], pictures, boxes, followed)
    source = resources.files(__package__) / "page"
    text = {name: (source / name).read_text("utf-8") for name in _files()}
    template = jinja2.Environment(autoescape=True).from_string(text["page.html"])
    return template.render(
        title=title,
        style=text["page.css"],
        script="\n".join(text[f"{name}.js"] for name in SCRIPTS),
        plotly=_compressed(get_plotlyjs()),
        study=_compressed(json.dumps(study, allow_nan=False)),
        footer="Made by boxest. The page works without a network; the charts are drawn by Plotly.",
    )


def _files() -> list[str]:
    return ["page.html", "page.css", *(f"{name}.js" for name in SCRIPTS)]


def _study(
    histories: "pd.DataFrame", axes: tuple[str, ...], same_loss: bool = True
) -> dict[str, Any]:
    """Return the data of the page: axes, runs, and one packed column per measure."""
    measures = [name for name in MEASURES if name in histories]
    if "loss" in axes or not same_loss:
        # The page begins with the first, and finds the best cell by it.
        measures.sort(key=TRAINED.__contains__)
    needed = [*axes, "seed", "epoch", "updates", "train_seconds"]
    missing = [name for name in needed if name not in histories] or (
        [] if measures else list(MEASURES)[:1]
    )
    if missing or not axes or histories.empty:
        raise ValueError(
            "The explorer needs at least one axis and a table of histories with the columns "
            f"{', '.join([*needed, 'validation_loss'])}; got {len(histories)} rows without "
            f"{', '.join(missing) or 'axes or runs'}."
        )
    by_run = [*axes, "seed"]
    table = histories.sort_values([*by_run, "epoch"], ignore_index=True)
    values = {name: _values(table[name]) for name in axes}
    seconds = table.groupby(by_run, dropna=False)["train_seconds"].cumsum()
    runs = [
        {
            "cell": [_place(values[name], one) for name, one in zip(axes, key, strict=False)],
            "seed": int(key[-1]),
            "epochs": len(rows),
        }
        for key, rows in table.groupby(by_run, dropna=False)
    ]
    columns = {name: table[name] for name in ("updates", *measures)} | {"seconds": seconds}
    counts = {"cell": len({tuple(run["cell"]) for run in runs}), "seed": table["seed"].nunique()}
    counts["epoch"] = table["epoch"].max()
    return {
        "summary": f"{plural(len(runs), 'run')}: "
        f"{', '.join(plural(count, noun) for noun, count in counts.items())} at most.",
        "axes": [
            {"name": name, "label": name.replace("_", " "), "values": values[name]} for name in axes
        ],
        "measures": [{"column": name, "label": MEASURES[name]} for name in measures],
        "runs": runs,
        "columns": {name: _packed(column, np.float32) for name, column in columns.items()},
    }


def _values(column: "pd.Series") -> list[Any]:
    """Return the values of an axis in order, as JSON values."""
    kinds = column.drop_duplicates()
    values = [value.item() if isinstance(value, np.generic) else value for value in kinds]
    return sorted(values, key=_size)


def _size(value: Any) -> tuple[bool, float, str]:
    """Order numbers by size, also those that are text beside a name such as "never"; then names."""
    with contextlib.suppress(TypeError, ValueError):
        if math.isfinite(number := float(value)):
            return (False, number, "")
    return (True, 0.0, str(value))


def _place(values: list[Any], value: Any) -> int:
    """Return the index of a value on its axis; a missing value is not equal to itself."""
    return next(
        i for i, one in enumerate(values) if one == value or (one != one and value != value)
    )


def _watched(
    runs: list[dict[str, Any]],
    axes: list[dict[str, Any]],
    pictures: np.ndarray | None,
    boxes: np.ndarray | None,
    followed: Mapping[tuple, np.ndarray],
) -> dict[str, Any]:
    """Return the pictures, and the boxes of every run after every epoch."""
    if pictures is None or boxes is None or np.shape(boxes) != (len(pictures), 4):
        raise ValueError(
            "Followed boxes need their pictures, and true boxes of shape (n, 4); got "
            f"{None if pictures is None else np.shape(pictures)} and {np.shape(boxes)}."
        )
    places = []
    for run in runs:
        key = *(axis["values"][i] for axis, i in zip(axes, run["cell"], strict=True)), run["seed"]
        expected = (run["epochs"], len(pictures), 4)
        found = np.shape(followed.get(key, ()))
        if found != expected:
            raise ValueError(
                f"The boxes that the run {key} predicted should have the shape {expected}, but "
                f"have {found}."
            )
        places.append(np.nan_to_num(followed[key]).reshape(-1))
    limit = np.iinfo(np.int16).max
    whole = np.clip(np.rint(np.concatenate(places) * PLACE_UNIT), -limit, limit)
    return {
        "places": _packed(whole, np.int16),
        "place_unit": PLACE_UNIT,
        "pictures": [
            {"image": _data_url(picture), "box": [round(float(place), 5) for place in box]}
            for picture, box in zip(pictures, boxes, strict=True)
        ],
    }


def _compressed(text: str) -> str:
    """Return a compressed text as text; equal texts give equal bytes."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _packed(values: "np.ndarray | pd.Series", kind: type) -> str:
    """Return numbers as the bytes of a typed array, in text."""
    return base64.b64encode(np.asarray(values).astype(np.dtype(kind).newbyteorder("<"))).decode()


def _data_url(picture: np.ndarray) -> str:
    """Return a picture as a PNG file embedded in the page."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.squeeze(picture)).save(content, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
