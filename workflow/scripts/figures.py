"""Draw the figures that show tables."""

from pathlib import Path

from boxest import figures
from boxest.study.history import read_table
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    tables = {Path(path).stem: read_table(path) for path in snakemake.input}
    params = snakemake.params
    # Each figure is a PNG and a PDF.
    for name, path in zip(params.names, list(snakemake.output)[::2], strict=True):
        name, _, page = name.partition(",")
        # A figure without pages shows the whole study.
        shown = params.pages.get(f",{page}" if page else "", {})
        figure = figures.of_study(
            name, tables, shown, params.rows_and_columns, params.note, params.drawn
        )
        figures.save(figure, path)
