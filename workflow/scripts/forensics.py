"""Rank the variants of what the paper leaves open by their distance to its Fig. 8."""

from pathlib import Path

from boxest import analysis, figures, history, logs, plan
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    directories = [Path(run).parent for run in snakemake.input.run]
    _, runs = history.collect(directories, parameters=plan.VARIANT)
    cells = analysis.variant_cells(runs)
    variants = analysis.rank_variants(cells)
    write_text(snakemake.output.cells, cells.to_csv(index=False))
    write_text(snakemake.output.variants, variants.to_csv(index=False))
    figures.save(figures.variants(cells, variants), snakemake.output.ranking)
    print(variants)
