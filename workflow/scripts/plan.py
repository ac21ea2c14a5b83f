"""Divide photographs or arrays among the parts of the data set and their shards."""

from boxest.data import sources
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    print(*sources.write_plan(snakemake.params.data, snakemake.output[0]), sep="\n")
