"""Write the explorer: the study as an interactive page."""

from pathlib import Path

import numpy as np

from boxest import shards
from boxest.analysis import SHARED
from boxest.report import explorer
from boxest.study.history import read_table
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    params, runs = snakemake.params, read_table(snakemake.input.runs)
    names = [*params.axes, "seed"]
    followed = {
        tuple(row[name] for name in names): np.load(Path(row["run"]) / "followed.npy")
        for row in runs.to_dict("records")
    }
    pictures = {}
    # Runs that were trained together keep no boxes.
    if params.same_images and all(map(np.size, followed.values())):
        images, boxes = shards.load(snakemake.input.validation, params.expected)
        n = next(iter(followed.values())).shape[1]
        pictures = {"pictures": images[:n], "boxes": boxes[:n], "followed": followed}
    explorer.write(
        snakemake.output[0],
        read_table(snakemake.input.histories),
        axes=params.axes,
        title=f"{params.title}: a study to play with",
        same_loss=params.same_loss,
        together=bool((runs["engine"] == SHARED).any()),
        **pictures,
    )
