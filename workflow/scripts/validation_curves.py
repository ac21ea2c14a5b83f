"""Fig. 3 and Appendix A: validation losses, a panel per cell."""

import pandas as pd

from boxest import figures, logs

with logs.to_file(snakemake.log[0]):
    histories, runs = (pd.read_csv(snakemake.input[name]) for name in ("histories", "runs"))
    for name in ("small", "enlarged"):
        figure = figures.validation_curves(histories, runs=runs, enlarged=name == "enlarged")
        figures.save(figure, snakemake.output[name][0])
