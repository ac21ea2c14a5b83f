"""Put the runs of the study into two tidy tables."""

from pathlib import Path

from boxest import history, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    histories, runs = history.collect(Path(run).parent for run in snakemake.input.run)
    write_text(snakemake.output.histories, histories.to_csv(index=False))
    write_text(snakemake.output.runs, runs.to_csv(index=False))
    print(f"{len(runs)} runs, {len(histories)} epochs, {runs['diverged'].sum()} diverged")
