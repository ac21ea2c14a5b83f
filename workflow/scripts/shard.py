"""Make one shard of the data set."""

from boxest import logs, shards, synthetic

with logs.to_file(snakemake.log[0]):
    params = snakemake.params
    split, start, stop = params.range
    what = {"seed": params.seed, "image_size": params.image_size}
    what["law"] = synthetic.BoxLaw(**params.box_law)
    what["scene"] = synthetic.Scene.of(params.get("scene", {}))
    images, boxes = synthetic.make(start, stop, **what)
    shards.write(snakemake.output[0], images, boxes, shards.Meta(split, start, stop, **what))
    print(shards.summary(snakemake.output[0]))
