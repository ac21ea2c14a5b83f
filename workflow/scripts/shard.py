"""Make one shard of drawn boxes."""

from boxest import shards, synthetic
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    data = snakemake.params.data
    split, start, stop = data["range"]
    what = {"seed": data["seed"], "image_size": data["image_size"]}
    what["law"] = synthetic.BoxLaw(**data["box_law"])
    what["scene"] = synthetic.Scene.of(data["scene"])
    images, boxes = synthetic.make(start, stop, **what)
    shards.write(snakemake.output[0], images, boxes, shards.Meta(split, start, stop, **what))
    print(shards.summary(snakemake.output[0]))
