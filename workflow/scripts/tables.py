"""Make the tables of the study from its runs."""

from boxest import analysis
from boxest.study.history import read_table
from boxest.system import logs
from boxest.system.files import write_text

with logs.to_file(snakemake.log[0]):
    given = {name: read_table(snakemake.input[name]) for name in ("histories", "runs")}
    if tested := snakemake.input.get("tested"):
        given["tested"] = read_table(tested)
    for name in ("times", "searches"):
        given[name] = [read_table(path) for path in snakemake.input.get(name, [])]
    paths, params = dict(snakemake.output.items()), dict(snakemake.params.items())
    for name, table in analysis.tables(paths, **params, **given).items():
        write_text(paths[name], table.to_csv(index=False))
        print(f"{name}\n{table}\n")
