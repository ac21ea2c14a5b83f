"""Put the runs of the study into two tidy tables."""

from pathlib import Path

from boxest import logs
from boxest.files import write_text
from boxest.study import history

with logs.to_file(snakemake.log[0]):
    directories = [Path(run).parent for run in snakemake.input.run]
    histories, runs = history.collect(directories, snakemake.params.axes)
    write_text(snakemake.output.histories, histories.to_csv(index=False))
    write_text(snakemake.output.runs, runs.to_csv(index=False))
    print(f"{len(runs)} runs, {len(histories)} epochs, {runs['diverged'].sum()} diverged")
