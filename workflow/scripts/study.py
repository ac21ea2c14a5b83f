"""List the runs of the study before anything else, for `boxest status`."""

from boxest.system import logs
from boxest.system.files import write_json

with logs.to_file(snakemake.log[0]):
    write_json(snakemake.output[0], snakemake.params.runs)
