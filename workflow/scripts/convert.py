"""Make one shard of photographs or arrays."""

from boxest import shards
from boxest.data import sources
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    data, path = snakemake.params.data, snakemake.output[0]
    sources.write_shard(data, snakemake.input.plan, snakemake.wildcards.shard, path)
    print(shards.summary(path))
