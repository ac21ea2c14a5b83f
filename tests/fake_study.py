"""Invented tables of a study, shaped like real ones, for the tests of the tables and figures."""

import numpy as np
import pandas as pd

from boxest import analysis
from boxest.training import search

FULL = {
    "batch_sizes": [4, 16, 64, 256, 1024, 4096],
    "learning_rates": [0.0001, 0.001, 0.01, 0.1],
    "seeds": 10,
    "epochs": 30,
}
TINY = {"batch_sizes": [16, 256], "learning_rates": [0.001, 0.01], "seeds": 1, "epochs": 3}
TRAINING_IMAGES = 8000
TESTED = ("iou_loss", "inclusive_iou_loss")
# What tells the variants of the tests apart.
VARIANT = ["output_activation", "loss", "optimizer", "plateau_patience"]


def _loss(product):
    """Return a loss that falls from 0.8 to 0.04 with learning rate * updates, as Fig. 8 does."""
    return 0.04 + 0.76 / (1 + (product / 0.15) ** 0.62)


def _run(batch_size, learning_rate, seed, epochs, diverges_at, patience=5):
    """Return the rows of one run's history."""
    rng = np.random.default_rng([seed, batch_size, int(1e4 * learning_rate)])
    level = np.exp(0.05 * rng.standard_normal())
    shake = 0.01 + (0.25 if learning_rate >= 0.1 else 0) * min(1, 64 / batch_size)
    speed = 1 + 0.03 * rng.random()
    rows, best, waited = [], np.inf, 0
    for epoch in range(1, epochs + 1):
        updates = epoch * -(-TRAINING_IMAGES // batch_size)
        loss = level * _loss(learning_rate * updates) * np.exp(shake * rng.standard_normal())
        if epoch >= diverges_at:
            loss = np.nan
        geometric = min(1, 0.1 + 1.7 * loss) if np.isfinite(loss) else np.nan
        seconds = (2.0 + 24 / batch_size) * speed * (1 + 0.02 * rng.random())
        rows.append(
            {
                "epoch": epoch,
                "learning_rate_now": learning_rate,
                "train_loss": 0.99 * loss,
                "train_iou_loss": 0.99 * geometric,
                "train_inclusive_iou_loss": 0.99 * loss,
                "validation_loss": loss,
                "validation_iou_loss": geometric,
                "validation_inclusive_iou_loss": loss,
                "train_seconds": seconds,
                "evaluation_seconds": 0.1,
                "updates": updates,
            }
        )
        if not np.isfinite(loss):
            break
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= patience:
            break
    return pd.DataFrame(rows)


def histories(batch_sizes, learning_rates, seeds, epochs):
    """Return histories.csv: at rate 0.1 and batch size 4 all runs diverge, at 16 some do."""
    tables = []
    for batch_size in batch_sizes:
        for learning_rate in learning_rates:
            for seed in range(seeds):
                at = np.inf
                if learning_rate >= 0.1 and batch_size == 4:
                    at = 1 + seed % 3
                elif learning_rate >= 0.1 and batch_size == 16 and seed in (3, 7):
                    at = 2 + seed
                table = _run(batch_size, learning_rate, seed, epochs, at)
                table.insert(0, "batch_size", batch_size)
                table.insert(1, "learning_rate", learning_rate)
                table.insert(2, "seed", seed)
                tables.append(table)
    return pd.concat(tables, ignore_index=True)


def runs(histories, planned_epochs):
    """Return runs.csv: the last row of each history, with the sums and flags."""
    rows = []
    for (batch_size, learning_rate, seed), table in histories.groupby(
        ["batch_size", "learning_rate", "seed"]
    ):
        last = table.iloc[-1]
        gone = bool(np.isnan(last["validation_loss"]))
        rows.append(
            {
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "seed": seed,
                "epochs": len(table),
                "planned_epochs": planned_epochs,
                "stopped_early": not gone and len(table) < planned_epochs,
                "diverged": gone,
                "updates": int(last["updates"]),
                **{name: last[name] for name in table.columns if name.endswith("_loss")},
                "train_seconds": table["train_seconds"].sum(),
                "evaluation_seconds": table["evaluation_seconds"].sum(),
                "import_seconds": 4.0,
                "data_seconds": 1.0,
                "compile_seconds": 3.0,
                "backend": "tensorflow",
                "device": "cpu",
                "xla": True,
                "threads": 1,
                "engine": "compiled",
                "n_parameters": 16656,
                "seconds_per_epoch": table["train_seconds"].median(),
                "epochs_to_95": np.nan,
                **{f"test_{name}": last[f"validation_{name}"] for name in TESTED},
                **{f"test_{name}_below_{side}px": 0.5 for name in TESTED for side in (8, 16)},
                "boxes": 100,
                "boxes_below_8px": 4,
                "boxes_below_16px": 15,
            }
        )
    return pd.DataFrame(rows)


def boxes(n, size=128, seed=0):
    """Return boxes, shape (n, 4), with sides uniform in 5..size px."""
    rng = np.random.default_rng(seed)
    sides = rng.integers(5, size + 1, (n, 2))
    corner = (rng.random((n, 2)) * (size - sides + 1)).astype(int)
    return np.concatenate([corner, corner + sides], axis=1) / size


def images(boxes, size=128):
    """Return the uint8 images (n, size, size) of the boxes."""
    result = np.zeros((len(boxes), size, size), np.uint8)
    for image, (x1, y1, x2, y2) in zip(result, np.rint(boxes * size).astype(int), strict=True):
        image[y1:y2, x1:x2] = 255
    return result


def _iou(a, b, plus):
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]) + plus
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]) + plus
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    area = [(box[:, 2] - box[:, 0] + plus) * (box[:, 3] - box[:, 1] + plus) for box in (a, b)]
    return inter / (area[0] + area[1] - inter)


def predictions(n, size=128, seed=0):
    """Return predictions.csv: corners about 2 px off, of the same images for every seed."""
    rng = np.random.default_rng(seed + 1)
    true = boxes(n, size)
    predicted = true + rng.normal(0, 2.0 / size, (n, 4))
    table = pd.DataFrame({"image": range(n)})
    for kind, values in {"true": true, "predicted": predicted}.items():
        for i, corner in enumerate(["x1", "y1", "x2", "y2"]):
            table[f"{kind}_{corner}"] = values[:, i]
    table["iou_loss"] = 1 - _iou(true, predicted, 0)
    table["inclusive_iou_loss"] = 1 - _iou(true, predicted, 1)
    table["width"] = size * (true[:, 2] - true[:, 0])
    table["height"] = size * (true[:, 3] - true[:, 1])
    table["smallest_side"] = table[["width", "height"]].min(axis=1)
    return table


def searches(batch_sizes, seeds=2):
    """Return searches for a rate: 0.02 and 0.04 by the range test, 0.1 by orders of magnitude."""
    return pd.DataFrame(
        {
            "batch_size": size,
            "method": method,
            "seed": seed,
            "found_rate": 0.1 if method == "magnitudes" else 0.02 * (1 + seed),
            "epochs": 9.0 if method == "magnitudes" else 1.0,
            "seconds": 3.0,
        }
        for size in batch_sizes
        for method in ("range_test", "magnitudes")
        for seed in range(seeds)
    )


def found_rates(histories):
    """Return found_rates.csv of a study."""
    return analysis.found_rates(searches(sorted(histories["batch_size"].unique())), histories)


def rate_search(method):
    """Return a search that suggests 0.1, and diverges at 10."""
    rates_ = np.geomspace(1e-5, 10, 61) if method == "range_test" else np.array([0.1, 1, 10, 0.01])
    losses = 0.2 + 0.1 * np.log10(rates_) ** 2 / 25 + 0.01 * np.sin(40 * np.log10(rates_))
    losses[rates_ > 9] = np.nan
    table = pd.DataFrame({"learning_rate": rates_, "loss": losses})
    table = table.assign(smoothed_loss=search.smooth(rates_, np.nan_to_num(losses, nan=1.0)))
    return search.RateSearch(0.1, method, table.assign(diverged=table["loss"].isna()), 500, 1.0)
