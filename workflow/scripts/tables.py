"""Make the tables of the grid: final losses, ours beside the paper's, time."""

import pandas as pd

from boxest import analysis, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    runs, times = (pd.read_csv(snakemake.input[name]) for name in ("runs", "times"))
    for name, table in analysis.grid_tables(runs, times).items():
        write_text(snakemake.output[name], table.to_csv(index=False))
        print(f"{name}\n{table}\n")
