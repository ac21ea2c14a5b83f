"""Render photographs to try a study on."""

from pathlib import Path

from boxest.data.photographs import rendered
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    render = snakemake.params.render
    rendered.make(Path(snakemake.output.boxes).parent, render["images"], render["seed"])
