"""``boxest convert``: make shards from a folder of photographs and a table of boxes."""

from typing import Any

import click

from boxest.cli import options


@click.command()
@click.argument("images")
@click.argument("boxes")
@click.argument("out")
@options.form
@options.split
@click.option("--shard-size", default=1000, metavar="N", help="Images per file.  [1000]")
@click.option("--seed", default=0, metavar="N", help="Seed of the order of the photographs.  [0]")
@options.reading
def convert(images: str, boxes: str, out: str, **given: Any) -> None:
    """Convert photographs with one box each into shards.

    BOXES is a file of COCO, CVAT or CSV (also OpenImages, TensorFlow), or a
    folder of Pascal VOC, YOLO, LabelMe or masks; OUT is a new folder.

    Example: boxest convert photos boxes.csv shards --size 96x128 --colour
    """
    from boxest.data import photographs

    done = photographs.convert(images, boxes, out, verbose=1, **options.given(given))
    click.echo(done.summary())
