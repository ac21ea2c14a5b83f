"""Train, predict, score and export with files: one call for each of these commands.

The other commands also consist of one call each: `boxest.photographs.convert`,
`boxest.study.creation.create`, `boxest.study.watch.watch` and `boxest.report.tensorboard.write`.
"""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from boxest import figures
from boxest.boxes import CORNERS, corners_of, iou
from boxest.data import annotations, photographs, shards
from boxest.data.annotations.fields import some
from boxest.data.annotations.tools import load_globox
from boxest.data.annotations.writing import form_of, without_area
from boxest.data.photographs.image_table import lost
from boxest.data.splits import PARTS
from boxest.estimator.box_regressor import BoxRegressor
from boxest.system.files import check_file, check_folder
from boxest.training.checkpoint import opened

# Number of images in a figure of predictions.
SHOWN = 15


class Scores(NamedTuple):
    """The IoU of found boxes with the true ones.

    ``table`` has one row per image: ``image``, the name of its photograph, or its number if it was
    drawn; ``true_x1`` … ``predicted_y2``, in pixels of the images in shards, or of photographs
    (predictions are clipped at their edges); and ``iou``, geometric. ``part`` names the images.
    ``report`` says how a table of boxes was read, and what was left out.
    """

    table: pd.DataFrame
    part: str
    report: tuple[str, ...] = ()

    @property
    def iou(self) -> float:
        """The mean geometric IoU."""
        return float(self.table["iou"].mean())

    def summary(self) -> str:
        """Return a summary for users: the report, and a line with the mean."""
        iou = self.table["iou"]
        shares = (f"{np.mean(iou >= level):.0%} reach {level}" for level in (0.5, 0.75))
        mean = f"Mean IoU on {len(iou)} {self.part} images: {iou.mean():.3f} ({', '.join(shares)})."
        return "\n".join([*self.report, mean])


class Trained(NamedTuple):
    """A regressor, its scores on images that it did not learn from, and its files."""

    regressor: BoxRegressor
    scores: Scores
    files: list[Path]

    def summary(self) -> str:
        """Return a summary for users, in several lines."""
        regressor = self.regressor
        lines = [f"{regressor.n_iter_} epochs, {regressor.seconds_['train']:.0f} s of training."]
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
    """Train a `BoxRegressor` on files, save it, and draw some of its predictions.

    Parameters
    ----------
    data : path-like
        A folder of shards, ``train-000.h5`` …, as written by `boxest.photographs.convert` and by
        studies; or, with ``boxes``, of photographs.
    out : path-like
        The file of the model, for `BoxRegressor.load`.
    boxes : path-like, optional
        A table of boxes, in any format of `boxest.annotations.read`: the photographs are converted
        into a temporary folder.
    figure : path-like, optional
        PNG with the predictions for some images; by default ``out`` with the suffix ``.png``. A PDF
        is written next to it.
    conversion : mapping, optional
        Options of `boxest.photographs.convert`.
    overwrite : bool, default=False
        Whether to replace an existing model and its figure.
    **parameters
        Parameters of `BoxRegressor`. By default, ``verbose=1`` shows the epochs, and before them
        how the boxes of photographs were read, and what was left out.

    Returns
    -------
    Trained
        The scores are for the test images; if there are none, for the validation images; if there
        are none of these either, for the training images.

    Raises
    ------
    ValueError
        If a parameter is unknown, the folder holds no shards, or the photographs or their boxes are
        invalid.
    OSError
        If a file cannot be read or written.
    """
    out = Path(out)
    figure = Path(figure) if figure else out.with_suffix(".png")
    regressor = BoxRegressor(verbose=1).set_params(**parameters)
    _check_outputs(out, figure, overwrite=overwrite)
    _check_state(regressor.checkpoint, out, figure)
    if boxes is None:
        _only_for("photographs and their boxes", conversion)
    with _shards_of(data, boxes, conversion or {}, verbose=regressor.verbose) as parts:
        if not parts["train"]:
            raise ValueError(f"{data} holds no shards to train on (train-000.h5 …).")
        part = next(part for part in reversed(PARTS) if parts[part])
        # If the model cannot be written, the state of the training stays.
        with opened(regressor.checkpoint) as state:
            regressor.set_params(checkpoint=state)
            regressor.fit(parts["train"], validation_data=parts["validation"] or None)
            if state is not None:
                state.flush()
            regressor.set_params(checkpoint=None, verbose=0).save(out)
        scores, shown = _scores(regressor, parts[part], part)
    drawn = figures.predictions(*shown)
    return Trained(regressor, scores, [out, *figures.save(drawn, figure)])


def predict(
    model: str | os.PathLike,
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    form: str | None = None,
    figure: str | os.PathLike | None = None,
    mode: str | None = None,
    overwrite: bool = False,
) -> pd.DataFrame:
    """Find the boxes in photographs with a saved model, and write them to a file.

    Parameters
    ----------
    model : path-like
        Of `BoxRegressor.save`.
    paths, mode
        See `boxest.photographs.predict`.
    out, form
        See `boxest.annotations.write`.
    figure : path-like, optional
        PNG with some of the photographs and their boxes; a PDF is written next to it.
    overwrite : bool, default=False
        Whether to replace existing files. A folder of YOLO files must be new or empty.

    Returns
    -------
    DataFrame
        The boxes in the file, as from `boxest.photographs.predict`.

    Warns
    -----
    UserWarning
        If boxes are flipped or empty, which COCO and YOLO cannot hold: the file is without them.

    Raises
    ------
    FileExistsError
        If a file exists, and ``overwrite`` is False. Nothing has been predicted then.
    """
    form = form_of(out, form)
    if form != "csv":
        load_globox()  # If it is not installed, this is said before the prediction.
    into_folder = form == "yolo"
    if into_folder:
        check_folder(out)
    _check_outputs(None if into_folder else out, figure, overwrite=overwrite)
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = photographs.predict(BoxRegressor.load(model), paths, mode=mode)
    folder = _folder_of(paths, found["image"])
    # A photograph may be named twice, once by its folder; COCO and YOLO hold one box of each.
    found = found[~found["image"].map(os.path.abspath).duplicated()].reset_index(drop=True)
    empty = without_area(found)
    if form != "csv" and empty.any():
        warnings.warn(
            f"{empty.sum()} of {len(found)} boxes ({some(list(found['image'][empty]))}) are "
            f"flipped or empty, which {form} cannot hold: {out} is without them. CSV holds all.",
            stacklevel=2,
        )
        found = found[~empty].reset_index(drop=True)
    whole = found.assign(image=found["image"].map(os.path.abspath))
    annotations.write(found if form == "csv" else whole, out, form, images=folder)
    if figure is not None:
        figures.save(figures.photographs(found[:SHOWN]), figure)
    return found


def _folder_of(paths: list[str | os.PathLike], images: pd.Series) -> str:
    """Return the folder that photographs are named from: the only one given, or a common one.

    It does not depend on which of them have a box.
    """
    if len(paths) == 1 and os.path.isdir(paths[0]):
        return os.path.abspath(paths[0])
    return os.path.commonpath([os.path.dirname(os.path.abspath(name)) for name in images])


def score(
    model: str | os.PathLike,
    data: str | os.PathLike,
    boxes: str | os.PathLike | None = None,
    *,
    part: str | None = None,
    out: str | os.PathLike | None = None,
    mode: str | None = None,
    overwrite: bool = False,
    **reading: Any,
) -> Scores:
    """Compare the boxes that a saved model finds with the true ones.

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
        Which shards to use; the default is "test".
    out : path-like, optional
        CSV file of the rows.
    mode : {"stretch", "pad"}, optional
        How photographs are fitted into the images; see `boxest.photographs.predict`.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Returns
    -------
    Scores

    Raises
    ------
    FileExistsError
        If the file exists, and ``overwrite`` is False. Nothing has been predicted then.
    """
    _check_outputs(out, None, overwrite=overwrite)
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
                raise ValueError(f"{data} holds no shards with the names {part}-000.h5 ….")
            scores, _ = _scores(regressor, parts[part], part)
    if out is not None:
        annotations.write(scores.table, out, "csv")
    return scores


def export(
    model: str | os.PathLike,
    out: str | os.PathLike,
    *,
    form: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a saved model for other programs.

    Parameters
    ----------
    model : path-like
        Of `BoxRegressor.save`.
    out, form
        Path and format of `BoxRegressor.export`.
    overwrite : bool, default=False
        Whether to replace an existing file. The folder of a SavedModel must be new or empty.

    Raises
    ------
    FileExistsError
        If the file exists, and ``overwrite`` is False.
    """
    if not Path(out).is_dir():
        _check_outputs(out, None, overwrite=overwrite)
    BoxRegressor.load(model).export(out, format=form)


def _scores(
    regressor: BoxRegressor, paths: list[Path], part: str
) -> tuple[Scores, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the scores on shards, and images to show with their true and predicted boxes.

    These boxes are in fractions of the image. Only one shard is in memory at a time.
    """
    images, boxes, described = [], [], shards.arrange(paths)
    for path, _ in described:
        shard = shards.read(path)
        images.extend(shard.images[: SHOWN - len(images)].copy())
        boxes.append(shard.boxes)
    true = np.concatenate(boxes)
    predicted = regressor.predict(paths)  # It knows how these images were made.
    height, width, _ = described[0][1].image_shape
    scale = np.array([width, height] * 2)
    table = _table(_names(paths, len(true)), true * scale, predicted * scale)
    return Scores(table, part), (np.array(images), true[:SHOWN], predicted[:SHOWN])


def _names(paths: list[Path], n: int) -> Iterable:
    """Return the names of the photographs in shards; numbers without a table of the originals."""
    described = shards.arrange(paths)[0][1]
    if isinstance(described, shards.PhotoMeta) and (paths[0].parent / photographs.TABLE).is_file():
        return photographs.originals(paths)["image"]
    return range(n)


def _scores_of_photographs(
    regressor: BoxRegressor,
    folder: str | os.PathLike,
    boxes: str | os.PathLike,
    mode: str | None,
    reading: Mapping[str, Any],
) -> Scores:
    """Return the scores on the photographs in a table of boxes, in pixels of the photographs."""
    true = photographs.true_boxes(folder, boxes, **reading)
    paths = [Path(folder) / name for name in true["image"]]
    found = photographs.predict(regressor, paths, mode=mode)
    corners = (each[CORNERS].to_numpy(float) for each in (true, found))
    return Scores(_table(true["image"], *corners), "given", tuple(true.attrs["report"]))


def _table(names: Iterable, true: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return a table with both boxes of each image and their IoU."""
    columns = {"image": list(names)}
    for which, values in {"true": true, "predicted": predicted}.items():
        columns |= dict(zip(corners_of(which), values.T, strict=True))
    return pd.DataFrame(columns | {"iou": iou(true, predicted)})


@contextlib.contextmanager
def _shards_of(
    data: str | os.PathLike,
    boxes: str | os.PathLike | None,
    conversion: Mapping[str, Any],
    verbose: int = 0,
) -> Iterator[dict[str, list[Path]]]:
    """Give the shards of each part; shards made from photographs exist only within the block."""
    if not Path(data).is_dir():
        raise ValueError(f"{data} is not a folder; expected a folder of shards or photographs.")
    if boxes is None:
        parts = {part: sorted(Path(data).glob(f"{part}-*.h5")) for part in PARTS}
        if not any(parts.values()):
            raise ValueError(
                f"{data} holds no shards (train-000.h5 …). If it holds photographs, name the table "
                "of their boxes after it."
            )
        if missing := lost(data):
            warnings.warn(
                f"{data} lacks {len(missing)} of the shards in {photographs.TABLE} "
                f"({some(missing)}): the others are used without them.",
                stacklevel=4,
            )
        yield parts
        return
    with tempfile.TemporaryDirectory(prefix="boxest-") as folder:
        done = photographs.convert(data, boxes, folder, verbose=verbose, **conversion)
        if verbose:
            # The first line names the temporary folder.
            print(done.summary().partition("\n")[2])
        yield {part: getattr(done, part) for part in PARTS}


def _only_for(what: str, options: Mapping[str, Any] | None) -> None:
    """Refuse options that would have no effect."""
    if options:
        raise ValueError(f"{', '.join(options)}: this only works with {what}; leave it out here.")


def _check_state(checkpoint: Any, out: Path, figure: Path) -> None:
    """Refuse the name of a result for the state of the training, which is deleted at the end."""
    if not isinstance(checkpoint, (str, os.PathLike)):
        return
    results = map(os.path.realpath, (out, figure, figure.with_suffix(".pdf")))
    if os.path.realpath(checkpoint) in results:
        raise ValueError(
            f"{checkpoint} cannot be both a result and the checkpoint, which is deleted at the "
            "end: choose another name for the checkpoint."
        )


def _check_outputs(
    path: str | os.PathLike | None, figure: str | os.PathLike | None, *, overwrite: bool
) -> None:
    """Check before a long computation that a file and a figure can be written."""
    paths = [] if path is None else [Path(path)]
    if figure is not None:
        figure = Path(figure)
        if figure.suffix != ".png":
            raise ValueError(f"The name of the figure must end in .png; got {figure}.")
        drawn = figure, figure.with_suffix(".pdf")
        if paths and paths[0] in drawn:
            raise ValueError(f"{path} is the name of the figure, too: choose another name.")
        paths += drawn
    for each in paths:
        check_file(each, overwrite=overwrite)
