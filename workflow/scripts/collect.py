"""Collect the runs of the study in two tidy tables."""

from pathlib import Path

from boxest.study import history
from boxest.system import logs
from boxest.system.files import write_text

with logs.to_file(snakemake.log[0]):
    directories = [Path(run).parent for run in snakemake.input.run]
    histories, runs = history.collect(directories, snakemake.params.axes)
    write_text(snakemake.output.histories, histories.to_csv(index=False))
    write_text(snakemake.output.runs, runs.to_csv(index=False))
    print(f"{len(runs)} runs, {len(histories)} epochs, {runs['diverged'].sum()} diverged")
