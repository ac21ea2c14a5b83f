"""Make one shard of the data set."""

from boxest import logs, shards, synthetic

with logs.to_file(snakemake.log[0]):
    split, start, stop = snakemake.params.range
    seed, image_size = snakemake.params.seed, snakemake.params.image_size
    law = synthetic.BoxLaw(**snakemake.params.box_law)
    images, boxes = synthetic.make(start, stop, seed=seed, image_size=image_size, law=law)
    meta = shards.Meta(split, start, stop, seed=seed, image_size=image_size, law=law)
    shards.write(snakemake.output[0], images, boxes, meta)
    print(shards.summary(snakemake.output[0]))
