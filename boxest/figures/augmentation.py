"""Draw the examples as a network sees them, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.data import augmentation as augmentations
from boxest.data.augmentation import Augmentation
from boxest.figures.style import COLOURS, new_figure, styled

BOX = {"color": COLOURS[4], "linewidth": 1.2}


@styled
def augmented(
    images: np.ndarray,
    boxes: np.ndarray,
    augmentation: str | Mapping[str, Any] | Augmentation = "default",
    *,
    epochs: int = 4,
    seed: int = 0,
) -> Figure:
    """Draw images unchanged, and as a network sees them in its first epochs.

    The changes are exactly those of a training with ``random_state=seed`` on these images and with
    ``validation_data``; without it, some images are held out, and others take their rows.

    Parameters
    ----------
    images : numpy.ndarray of bool, uint8 or float, shape (n, height, width) or (n, height, width, \
channels)
        The images to show, one row each, in grey levels or colours; floats are shown in 0..1.
    boxes : numpy.ndarray, shape (n, 4)
        Their boxes (x1, y1, x2, y2), divided by the image size.
    augmentation : "default", dict of options or Augmentation
        As for `boxest.BoxRegressor`.
    epochs : int, default=4
        How many epochs to show, from the first.
    seed : int, default=0
        ``random_state`` of the training.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If images and boxes have other shapes, or the augmentation is invalid.
    """
    images, boxes = np.asarray(images), np.asarray(boxes, float)
    if images.ndim not in (3, 4) or boxes.shape != (len(images), 4) or not len(images):
        raise ValueError(
            "images must have shape (n, height, width[, channels]) and boxes shape (n, 4); got "
            f"{images.shape} and {boxes.shape}."
        )
    changes = augmentations.of(augmentation)
    if changes is None:
        raise ValueError("augmentation is None: nothing changes, so there is nothing to show.")
    grey = images.reshape(*images.shape[:3], -1) / (255 if images.dtype == np.uint8 else 1)
    columns = [("as it is", grey, boxes)]
    for epoch in range(1, epochs + 1):
        columns.append(
            (f"epoch {epoch}", *changes.of_arrays(images, boxes, seed=seed, epoch=epoch))
        )
    figure = new_figure(1.25 * len(columns), 1.25 * len(images) + 0.6, "compressed")
    grid = figure.subplots(len(images), len(columns), squeeze=False)
    for (name, seen, edges), axes in zip(columns, grid.T, strict=True):
        axes[0].set_title(name)
        for one, image, box in zip(axes, seen, edges, strict=True):
            _show(one, np.clip(image, 0, 1), box)
    figure.legend(handles=[Line2D([], [], label="box", **BOX)], loc="outside lower center")
    return figure


def _show(axes, image: np.ndarray, box: np.ndarray) -> None:
    """Draw an image of one or three channels (of other numbers, the mean), and its box."""
    height, width, channels = image.shape
    image = image if channels == 3 else image.mean(axis=2)
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), rasterized=True)
    x1, y1, x2, y2 = box * [width, height, width, height]
    axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], **BOX)
    axes.set_axis_off()
