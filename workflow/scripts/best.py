"""Evaluate the best parametrization: its test losses, its model, and Fig. 5 to 7."""

import shutil
from pathlib import Path

import pandas as pd

from boxest import analysis, figures, photographs, shards
from boxest.study import history
from boxest.system import logs
from boxest.system.files import atomic_path, write_text

with logs.to_file(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    directories = params.runs or analysis.best_runs(
        history.read_table(snakemake.input.runs), params.axes, params.get("condition")
    )
    histories, runs = history.collect(directories, params.axes)
    table = analysis.best_table(histories, runs, params.axes)
    write_text(output.best, table.to_csv(index=False))
    print(table)

    of_files = params.data["source"] in ("photographs", "arrays")
    originals = photographs.originals(snakemake.input.test) if of_files else None
    tested = {
        run: analysis.in_pixels(history.read_table(f"{run}/predictions.csv"), originals)
        for run in runs["run"]
    }
    every = [tested[row.run].assign(seed=row.seed) for row in runs.itertuples()]
    write_text(output.tested, pd.concat(every).to_csv(index=False))
    # The first run that did not diverge, or the first if all did.
    shown = runs["run"].iloc[analysis.diverged(runs).to_numpy().argmin()]
    with atomic_path(output.model) as temporary:
        shutil.copyfile(f"{shown}/{Path(output.model).name}", temporary)

    (_, train), (images, boxes) = (
        shards.load(snakemake.input[part], params.expected[part]) for part in ("train", "test")
    )
    baselines = analysis.baselines(train, boxes)
    write_text(output.baselines, baselines.to_csv(index=False))
    print(baselines)
    sample = tested[shown].head(15)
    if params.data["source"] == "photographs":
        figure = figures.photographs(sample, params.data["folder"], originals.head(15))
    else:
        figure = figures.predictions(images[:15], *analysis.boxes_of(sample), sample)
    figures.save(figure, output.predictions[0])
    figures.save(figures.error_histogram(tested[shown]), output.histogram[0])
    figures.save(figures.error_scatter(tested[shown]), output.scatter[0])
