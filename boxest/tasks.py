"""What the command does, from files to files: train, predict and score, a call each.

The other commands are one call as well: `boxest.photographs.convert`, `BoxRegressor.export`,
`boxest.study.creation.create` and `boxest.study.watch.watch`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from boxest import figures
from boxest.boxes import CORNERS, corners_of, iou
from boxest.data import annotations, photographs, shards
from boxest.data.photographs.assignment import PARTS
from boxest.estimator.box_regressor import BoxRegressor
from boxest.system.files import check_file

# Images in a figure of predictions.
SHOWN = 15


class Scores(NamedTuple):
    """How well boxes were found.

    ``table`` has a row per image: ``image``, ``true_x1`` … ``predicted_y2`` in pixels of the image,
    or of the photograph, where predictions are cut off at its edges, and ``iou``, geometric.
    ``part`` says which images they were.
    """

    table: pd.DataFrame
    part: str

    @property
    def iou(self) -> float:
        """The mean geometric IoU."""
        return float(self.table["iou"].mean())

    def summary(self) -> str:
        """Return what a user wants to know, in a line."""
        iou = self.table["iou"]
        above = ", ".join(f"above {level}: {np.mean(iou > level):.0%}" for level in (0.5, 0.75))
        return f"Mean IoU on {len(iou)} {self.part} images: {iou.mean():.3f} ({above})."


class Trained(NamedTuple):
    """A regressor, how well it does on images that it did not learn from, and its files."""

    regressor: BoxRegressor
    scores: Scores
    files: list[Path]

    def summary(self) -> str:
        """Return what a user wants to know, a line each."""
        regressor = self.regressor
        lines = [f"{regressor.n_iter_} epochs, {regressor.seconds_['train']:.0f} s of training."]
        if regressor.diverged_:
            lines.append("The training diverged: take a smaller learning rate.")
        files = [str(path) for path in self.files]
        return "\n".join([*lines, self.scores.summary(), f"Written: {', '.join(files)}."])


def train(
    data: str | os.PathLike,
    out: str | os.PathLike,
    *,
    boxes: str | os.PathLike | None = None,
    figure: str | os.PathLike | None = None,
    conversion: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    **parameters: Any,
) -> Trained:
    """Train a `BoxRegressor` on files, store it, and draw some of its predictions.

    Parameters
    ----------
    data : path-like
        A folder of shards, ``train-000.h5`` …, as `boxest.photographs.convert` and the studies
        write them; or, with ``boxes``, of photographs.
    out : path-like
        The model, a file for `BoxRegressor.load`.
    boxes : path-like, optional
        A table of boxes, in any format of `boxest.annotations.read`: the photographs are converted
        into a temporary folder.
    figure : path-like, optional
        PNG of the predictions for some images; without it, that of ``out`` with the ending
        ``.png``. A PDF lies beside it.
    conversion : mapping, optional
        Options of `boxest.photographs.convert`.
    overwrite : bool, default=False
        Whether a model that is there is replaced.
    **parameters
        Of `BoxRegressor`. Without ``verbose``, the epochs are shown.

    Returns
    -------
    Trained
        The scores are those of the test images; where there are none, of the validation images, and
        where there are none of these, of those that were learnt from.

    Raises
    ------
    ValueError
        If a parameter is not known, the folder holds no shards, or something is wrong with the
        photographs or their boxes.
    OSError
        If a file cannot be read or written.
    """
    out = Path(out)
    figure = Path(figure) if figure else out.with_suffix(".png")
    regressor = BoxRegressor(verbose=1).set_params(**parameters)
    _check_outputs(out, figure, overwrite)
    if boxes is None:
        _only_for("photographs and their boxes", conversion)
    with _shards_of(data, boxes, conversion or {}) as parts:
        if not parts["train"]:
            raise ValueError(f"{data} holds no shards to train on, which are called train-000.h5 …")
        regressor.fit(parts["train"], validation_data=parts["validation"] or None)
        part = next(part for part in reversed(PARTS) if parts[part])
        images, true = shards.load(parts[part])
    regressor.set_params(checkpoint=None, verbose=0).save(out)
    scores, predicted = _scores(regressor, images, true, part)
    drawn = figures.predictions(images[:SHOWN], true[:SHOWN], predicted[:SHOWN])
    return Trained(regressor, scores, [out, *figures.save(drawn, figure)])


def predict(
    model: str | os.PathLike,
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    form: str | None = None,
    figure: str | os.PathLike | None = None,
    mode: str | None = None,
) -> pd.DataFrame:
    """Find the boxes in photographs with a stored model, and write them.

    Parameters
    ----------
    model : path-like
        Of `BoxRegressor.save`.
    paths, mode
        See `boxest.photographs.predict`.
    out, form
        See `boxest.annotations.write`.
    figure : path-like, optional
        PNG of some of the photographs with their boxes; a PDF lies beside it.

    Returns
    -------
    DataFrame
        As from `boxest.photographs.predict`.
    """
    found = photographs.predict(BoxRegressor.load(model), paths, mode=mode)
    annotations.write(found, out, form)
    if figure is not None:
        figures.save(figures.photographs(found[:SHOWN]), figure)
    return found


def score(
    model: str | os.PathLike,
    data: str | os.PathLike,
    boxes: str | os.PathLike | None = None,
    *,
    part: str | None = None,
    out: str | os.PathLike | None = None,
    mode: str | None = None,
    **reading: Any,
) -> Scores:
    """Compare the boxes that a stored model finds with the true ones.

    Parameters
    ----------
    model : path-like
        Of `BoxRegressor.save`.
    data : path-like
        A folder of shards; or, with ``boxes``, of photographs.
    boxes : path-like, optional
        A table of boxes, in any format of `boxest.annotations.read`, whose options are
        ``**reading``.
    part : {"train", "validation", "test"}, optional
        Which of the shards; without it, "test".
    out : path-like, optional
        CSV file of the rows.
    mode : {"stretch", "pad"}, optional
        How photographs are fitted into the images; see `boxest.photographs.predict`.

    Returns
    -------
    Scores
    """
    if boxes is None:
        _only_for("photographs and their boxes", reading | ({"mode": mode} if mode else {}))
    elif part is not None:
        _only_for("shards", {"part": part})
    regressor = BoxRegressor.load(model)
    part = part or "test"
    if boxes is not None:
        scores = _scores_of_photographs(regressor, data, boxes, mode, reading)
    else:
        with _shards_of(data, None, {}) as parts:
            if not parts[part]:
                raise ValueError(f"{data} holds no shards called {part}-000.h5 ….")
            scores, _ = _scores(regressor, *shards.load(parts[part]), part)
    if out is not None:
        annotations.write(scores.table, out, "csv")
    return scores


def _scores(
    regressor: BoxRegressor, images: np.ndarray, true: np.ndarray, part: str
) -> tuple[Scores, np.ndarray]:
    """Return the scores on the images of shards, and the predicted boxes as fractions."""
    predicted = regressor.predict(images)
    height, width = images.shape[1:3]
    scale = np.array([width, height] * 2)
    return Scores(_table(range(len(true)), true * scale, predicted * scale), part), predicted


def _scores_of_photographs(
    regressor: BoxRegressor,
    folder: str | os.PathLike,
    boxes: str | os.PathLike,
    mode: str | None,
    reading: Mapping[str, Any],
) -> Scores:
    """Return the scores on the photographs that a table has boxes of, in their pixels."""
    true = photographs.true_boxes(folder, boxes, **reading)
    paths = [Path(folder) / name for name in true["image"]]
    found = photographs.predict(regressor, paths, mode=mode)
    corners = (each[CORNERS].to_numpy(float) for each in (true, found))
    return Scores(_table(true["image"], *corners), "given")


def _table(names: Iterable, true: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Put both boxes of each image beside each other, with their IoU."""
    columns = {"image": list(names)}
    for which, values in {"true": true, "predicted": predicted}.items():
        columns |= dict(zip(corners_of(which), values.T, strict=True))
    return pd.DataFrame(columns | {"iou": iou(true, predicted)})


@contextlib.contextmanager
def _shards_of(
    data: str | os.PathLike, boxes: str | os.PathLike | None, conversion: Mapping[str, Any]
) -> Iterator[dict[str, list[Path]]]:
    """Give the shards of each part, of photographs for as long as the block runs."""
    if not Path(data).is_dir():
        raise ValueError(f"{data} is no folder: it should hold shards, or photographs.")
    if boxes is None:
        parts = {part: sorted(Path(data).glob(f"{part}-*.h5")) for part in PARTS}
        if not any(parts.values()):
            raise ValueError(
                f"{data} holds no shards (train-000.h5 …). If it holds photographs, name the table "
                "of their boxes behind it."
            )
        yield parts
        return
    with tempfile.TemporaryDirectory(prefix="boxest-") as folder:
        done = photographs.convert(data, boxes, folder, verbose=1, **conversion)
        yield {part: getattr(done, part) for part in PARTS}


def _only_for(what: str, options: Mapping[str, Any] | None) -> None:
    """Refuse options that would have no effect."""
    if options:
        raise ValueError(f"{', '.join(options)}: only for {what}; leave it out here.")


def _check_outputs(model: Path, figure: Path, overwrite: bool) -> None:
    """Refuse, before a long training, what could not be written after it."""
    if model.exists() and not overwrite:
        raise FileExistsError(
            f"{model} is there already: take another name, or pass overwrite=True (--overwrite)."
        )
    if figure.suffix != ".png":
        raise ValueError(f"The figure must be called .png; got {figure}.")
    for path in (model, figure):
        check_file(path)
