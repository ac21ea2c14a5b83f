"""Draw Fig. 1: preview of the data set."""

from boxest import figures, shards
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    images, boxes = shards.load(snakemake.input, snakemake.params.expected)
    figures.save(figures.dataset_preview(images[:10], boxes[:10]), snakemake.output[0])
