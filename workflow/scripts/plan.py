"""Divide photographs or arrays among the parts of the data set and their shards."""

from boxest import logs, sources

with logs.to_file(snakemake.log[0]):
    sources.write_plan(snakemake.params.data, snakemake.output[0])
