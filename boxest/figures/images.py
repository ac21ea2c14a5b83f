"""Draw images: the data set (Fig. 1), predictions (Fig. 5), and harder images."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from boxest.analysis import require
from boxest.boxes import inclusive_iou, iou, sides
from boxest.figures.style import COLOURS, new_figure, styled

TRUE = {"color": COLOURS[4], "linestyle": "-", "linewidth": 1.5}
PREDICTED = {"color": COLOURS[5], "linestyle": (0, (3, 1.5)), "linewidth": 1.2}


def _check_images(images: np.ndarray, given: dict[str, np.ndarray]) -> None:
    colour = np.ndim(images) == 4 and np.shape(images)[3] == 3
    if not (np.ndim(images) == 3 or colour) or not len(images):
        raise ValueError(
            "images must have shape (n, height, width) or (n, height, width, 3), got "
            f"{np.shape(images)}"
        )
    for name, values in given.items():
        if np.shape(values) != (len(images), 4):
            raise ValueError(
                f"{name} must have shape ({len(images)}, 4), one box per image, "
                f"got {np.shape(values)}"
            )


COLUMNS = 5  # of images side by side


def grid_of(n: int, cell_height: float | Sequence[float]) -> tuple[Figure, np.ndarray]:
    """Return a figure with exactly n axes, in rows of at most `COLUMNS`.

    ``cell_height`` in inches holds for images of one shape; for others, it has one number per row.
    """
    columns = min(COLUMNS, n)
    rows = math.ceil(n / columns)
    layout = "compressed" if np.ndim(cell_height) == 0 else "constrained"
    heights = np.broadcast_to(cell_height, rows)
    figure = new_figure(max(1.5 * columns, 4.2), heights.sum() + 0.45, layout)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel()
    for unused in axes[n:]:
        unused.remove()
    return figure, axes[:n]


def show(axes: Axes, image: np.ndarray) -> None:
    """Show an image, grey or in colour."""
    height, width = image.shape[:2]
    # Pixel edges are at whole numbers, so that a box divided by the size lies exactly around its
    # pixels. Greys replace black and white, so that lines of any colour are visible on both.
    greys = {"cmap": "gray", "vmin": -60, "vmax": 300} if image.ndim == 2 else {}
    axes.imshow(image, extent=(0, width, height, 0), rasterized=True, **greys)
    margin = 0.04 * max(width, height)
    axes.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def outline(axes: Axes, box: np.ndarray, shape: tuple[int, ...], style: dict) -> None:
    """Draw the outline of a box in units of the image size."""
    height, width = shape[:2]
    x1, y1, x2, y2 = np.asarray(box, float) * [width, height, width, height]
    outline = withStroke(linewidth=style["linewidth"] + 0.9, foreground="black")
    corners = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
    axes.plot(*corners, **style, path_effects=[outline], solid_joinstyle="miter")


@styled
def dataset_preview(images: np.ndarray, boxes: np.ndarray) -> Figure:
    """Draw images of the data set with the outline and the size of their box (Fig. 1).

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
        The images to show, in rows of five.
    boxes : numpy.ndarray, shape (n, 4)
        Their boxes (x1, y1, x2, y2), divided by the image size.

    Returns
    -------
    matplotlib.figure.Figure
    """
    _check_images(images, {"boxes": boxes})
    figure, grid = grid_of(len(images), 1.66)
    height, width = images.shape[1:3]
    for axes, image, box in zip(grid, images, boxes, strict=True):
        show(axes, image)
        outline(axes, box, (height, width), PREDICTED | {"linestyle": "-"})
        across, down = np.rint(sides(box, (width, height))).astype(int)
        axes.set_title(f"{across} × {down} px", fontsize=8)
    figure.suptitle(f"Images of {width} × {height} px; width × height of the box")
    return figure


@styled
def scenes(rows: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw one row of images per scene, with the outline of the true box.

    Parameters
    ----------
    rows : mapping of str to (images, boxes)
        By the name of the scene: uint8 (n, height, width) or (n, height, width, 3), and
        (x1, y1, x2, y2) divided by the image size, (n, 4); as many images in each row.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are no rows, or images and boxes have other shapes.
    """
    numbers = {len(images) for images, _ in rows.values()}
    if len(numbers) != 1:
        raise ValueError(f"rows must have the same number of images, got {sorted(numbers)}")
    columns = numbers.pop()
    figure = new_figure(columns + 1.6, len(rows) + 0.3, "compressed")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    # A thin line, so that the edges below it remain visible.
    true = TRUE | {"linewidth": 0.7}
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for (name, (images, boxes)), row in zip(rows.items(), grid, strict=True):
        _check_images(images, {"boxes": boxes})
        for axes, image, box in zip(row, images, boxes, strict=True):
            show(axes, image)
            outline(axes, box, image.shape, true)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    figure.legend(handles=[Line2D([], [], label="true box", **true)], loc="outside lower center")
    return figure


@styled
def predictions(
    images: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    losses: pd.DataFrame | None = None,
) -> Figure:
    """Draw true and predicted boxes over the images, with both IoUs (Fig. 5).

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
        The images to show, in rows of five.
    true, predicted : numpy.ndarray, shape (n, 4)
        Boxes (x1, y1, x2, y2), divided by the image size.
    losses : pandas.DataFrame, n rows, optional
        `iou_loss` and `inclusive_iou_loss` of each image; computed from the boxes if not given.

    Returns
    -------
    matplotlib.figure.Figure
        An image without a finite predicted box says that the run diverged.
    """
    _check_images(images, {"true": true, "predicted": predicted})
    if losses is None:
        true, predicted = (np.asarray(values, float) for values in (true, predicted))
        measures = {"iou_loss": iou, "inclusive_iou_loss": inclusive_iou}
        losses = pd.DataFrame({name: 1 - of(true, predicted) for name, of in measures.items()})
    require(losses, ["iou_loss", "inclusive_iou_loss"], "losses")
    if len(losses) != len(images):
        raise ValueError(f"losses must have {len(images)} rows, one per image, got {len(losses)}")
    figure, grid = grid_of(len(images), 1.8)
    ious = 1 - losses[["iou_loss", "inclusive_iou_loss"]].to_numpy(float)
    for axes, image, outer, inner, both in zip(grid, images, true, predicted, ious, strict=True):
        show(axes, image)
        outline(axes, outer, image.shape, TRUE)
        outline(axes, inner, image.shape, PREDICTED)
        # Swapped corners enclose nothing, which an outline cannot show.
        swapped = inner[2] < inner[0] or inner[3] < inner[1]
        text = f"IoU {both[0]:.3f}{' (swapped)' if swapped else ''}\ninclusive {both[1]:.3f}"
        axes.set_title(text if np.isfinite(inner).all() else "the run diverged", fontsize=8)
    handles = [Line2D([], [], label="true box", **TRUE)]
    handles.append(Line2D([], [], label="predicted box", **PREDICTED))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
