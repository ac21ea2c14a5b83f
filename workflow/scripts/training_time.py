"""Fig. 4: training time against batch size, and as a + b / batch size."""

import pandas as pd

from boxest import figures, logs

with logs.to_file(snakemake.log[0]):
    times, fit = (pd.read_csv(snakemake.input[name]) for name in ("time", "time_fit"))
    figures.save(figures.training_time(times), snakemake.output.time[0])
    figures.save(figures.time_fit(times, fit), snakemake.output.fit[0])
