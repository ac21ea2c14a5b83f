"""A network on rendered photographs: from image files and a CSV of boxes to boxes in their pixels.

python benchmarks/photographs.py OUT [--images 1500] [--network marginal] [--epochs 60] [--grey]

Renders photographs (boxest.data.photographs.rendered), converts them into shards of 128×128 px,
trains as `BoxRegressor()` does, prints the IoU on the test part, and draws predictions over
photographs, the first fifteen and the worst: OUT/predictions.png and OUT/worst.png.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from PIL import Image, ImageOps

from boxest import BoxRegressor, boxes, photographs, set_threads
from boxest.data.photographs.rendered import make
from boxest.figures.images import PREDICTED, TRUE
from boxest.figures.style import new_figure, save, styled


@styled
def figure(folder, table, predicted, columns=5, rows=3):
    """Draw the first photographs of a table, with true and predicted boxes, in pixels."""
    true = table[["x1", "y1", "x2", "y2"]].to_numpy()
    drawn = new_figure(1.5 * columns, 1.7 * rows + 0.35, "compressed")
    grid = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes, name, outer, inner in zip(grid, table["image"], true, predicted, strict=False):
        with Image.open(folder / name) as file:
            photograph = np.asarray(ImageOps.exif_transpose(file))
        height, width = photograph.shape[:2]
        axes.imshow(photograph, extent=(0, width, height, 0), rasterized=True)
        for (x1, y1, x2, y2), style in ((outer, TRUE), (inner, PREDICTED)):
            axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], **style)
        side = max(width, height) / 2  # All in equal squares, whatever their aspect.
        axes.set(xlim=(width / 2 - side, width / 2 + side))
        axes.set(ylim=(height / 2 + side, height / 2 - side))
        axes.text(
            width / 2, -0.03 * side, f"IoU {boxes.iou(outer, inner):.2f}", fontsize=8, ha="center"
        )
    for axes in grid:
        axes.set_axis_off()
    handles = [Line2D([], [], label="true box", **TRUE)]
    handles.append(Line2D([], [], label="predicted box", **PREDICTED))
    drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where to write; must not be there")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--network", default="marginal")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--grey", action="store_true", help="grey levels instead of colours")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_threads(1)
    make(options.out, options.images, options.seed)
    folder = options.out / "images"
    converted = photographs.convert(
        folder,
        options.out / "boxes.csv",
        options.out / "shards",
        image_size=options.size,
        channels=1 if options.grey else 3,
        mode="pad",
    )
    regressor = BoxRegressor(
        network=options.network,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        random_state=options.seed,
        verbose=1,
    ).fit(converted.train, validation_data=converted.validation)
    table = photographs.originals(converted.test)
    predicted = photographs.to_pixels(regressor.predict(converted.test), table)
    ious = boxes.iou(table[["x1", "y1", "x2", "y2"]].to_numpy(), predicted)
    result = {
        "network": options.network,
        "channels": 1 if options.grey else 3,
        "photographs": options.images,
        "epochs": regressor.n_iter_,
        "train_iou": regressor.score(converted.train),
        "test_iou": regressor.score(converted.test),
        "test_iou_in_pixels": float(ious.mean()),
        "test_least_iou": float(ious.min()),
        "test_share_above_half": float((ious > 0.5).mean()),
        "seconds": regressor.seconds_["train"],
    }
    print(json.dumps(result, indent=2))
    save(figure(folder, table, predicted), options.out / "predictions.png")
    worst = np.argsort(ious)[:15]
    save(figure(folder, table.iloc[worst], predicted[worst]), options.out / "worst.png")


if __name__ == "__main__":
    main()
