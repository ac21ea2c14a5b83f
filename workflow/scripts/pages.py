"""Write a page for each table; a click on the head of a column sorts it."""

from pathlib import Path

from boxest.report import html
from boxest.study.history import read_table
from boxest.system import logs
from boxest.system.files import write_text

with logs.to_file(snakemake.log[0]):
    for table, page in zip(snakemake.input, snakemake.output, strict=True):
        write_text(page, html.table(Path(table).stem, read_table(table)))
