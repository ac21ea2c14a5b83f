"""The paper's claims with their verdicts, and what accuracy costs."""

import pandas as pd

from boxest import analysis, figures, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    histories, runs = (pd.read_csv(snakemake.input[name]) for name in ("histories", "runs"))
    times = pd.concat(map(pd.read_csv, snakemake.input.times), ignore_index=True)
    predictions = enumerate(snakemake.input.predictions)
    tested = pd.concat(pd.read_csv(path).assign(seed=seed) for seed, path in predictions)
    tables = analysis.claim_tables(histories, runs, times, tested)
    for name, table in tables.items():
        write_text(snakemake.output[name], table.to_csv(index=False))
        print(f"{name}\n{table}\n")
    figures.save(figures.seconds_against_loss(tables["cost"]), snakemake.output.figure[0])
