"""``boxest score``: measure how well a model finds known boxes."""

from typing import Any

import click

from boxest.cli import options


@click.command()
@click.argument("model")
@click.argument("data")
@click.argument("boxes", required=False)
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test"]),
    help="Which shards to use.  [test]",
)
@click.option("-o", "--out", metavar="CSV", help="One row per image: both boxes and their IoU.")
@options.overwrite
@options.fitted
@options.reading
def score(model: str, data: str, boxes: str | None, **chosen: Any) -> None:
    """Compare the boxes that a model finds with the true ones.

    DATA is a folder of shards; or of photographs, with BOXES, the table of their boxes. The score
    is the mean geometric IoU; 1 is perfect.

    Example: boxest score model.boxest shards --part validation
    """
    from boxest import tasks

    click.echo(tasks.score(model, data, boxes, **options.given(chosen)).summary())
