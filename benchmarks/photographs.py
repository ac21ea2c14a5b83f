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
import pandas as pd

from boxest import BoxRegressor, boxes, figures, photographs, set_threads
from boxest.boxes import CORNERS
from boxest.data.photographs.rendered import make


def drawn(folder, true, predicted, rows):
    """Draw some photographs of a table, with true and predicted boxes, in pixels."""
    found = true[["image"]].join(pd.DataFrame(predicted, columns=CORNERS, index=true.index))
    return figures.photographs(found.iloc[rows], folder, true.iloc[rows])


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
    ious = boxes.iou(table[CORNERS].to_numpy(), predicted)
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
    for name, rows in {"predictions": slice(15), "worst": np.argsort(ious)[:15]}.items():
        figures.save(drawn(folder, table, predicted, rows), options.out / f"{name}.png")


if __name__ == "__main__":
    main()
