"""Fig. 8, the same beside the paper's, and the loss against learning rate × updates."""

import pandas as pd

from boxest import figures, logs

with logs.to_file(snakemake.log[0]):
    names = ("cells", "comparison", "runs", "residuals")
    cells, comparison, runs, residuals = (pd.read_csv(snakemake.input[name]) for name in names)
    figures.save(figures.final_losses(cells), snakemake.output.cells[0])
    figure = figures.comparison(comparison, note=snakemake.params.note)
    figures.save(figure, snakemake.output.comparison[0])
    figures.save(figures.loss_against_updates(runs), snakemake.output.updates[0])
    figures.save(figures.residuals(residuals), snakemake.output.residuals[0])
