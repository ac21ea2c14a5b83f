"""The best parametrization: test loss, and Fig. 5 to 7 of its first run that did not diverge."""

from pathlib import Path

import pandas as pd

from boxest import analysis, figures, history, logs, shards
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    histories, runs = history.collect(Path(run).parent for run in snakemake.input.run)
    predictions = [pd.read_csv(path) for path in snakemake.input.predictions]
    table = analysis.best_table(histories, runs, predictions)
    write_text(snakemake.output.table, table.to_csv(index=False))
    print(table)

    images, _ = shards.load(snakemake.input.test, snakemake.params.expected)
    # The first that is False; if all runs diverged, the first.
    shown = predictions[analysis.diverged(runs).to_numpy().argmin()]
    sample = shown.head(15)
    true, predicted = (
        sample[[f"{which}_{corner}" for corner in ("x1", "y1", "x2", "y2")]].to_numpy()
        for which in ("true", "predicted")
    )
    figure = figures.predictions(images[:15], true, predicted, sample)
    figures.save(figure, snakemake.output.predictions[0])
    figures.save(figures.error_histogram(shown), snakemake.output.histogram[0])
    figures.save(figures.error_scatter(shown), snakemake.output.scatter[0])
