"""Render photographs to try a study on."""

from pathlib import Path

from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    # The folder of the Snakefile is on the path.
    from benchmarks import rendered

    render = snakemake.params.render
    rendered.make(Path(snakemake.output.boxes).parent, render["images"], render["seed"])
