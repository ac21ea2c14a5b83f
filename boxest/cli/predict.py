"""``boxest predict``: find the boxes in photographs with a model."""

from typing import Any

import click

from boxest.cli import options


@click.command()
@click.argument("model")
@click.argument("photographs", nargs=-1, required=True)
@click.option(
    "-o", "--out", default="found.csv", metavar="OUT", help="File of the boxes.  [found.csv]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "coco", "yolo"]),
    help="Format of OUT.  [by its name]",
)
@click.option("--figure", metavar="PNG", help="Some of the photographs with their boxes.")
@options.overwrite
@options.fitted
def predict(
    model: str,
    photographs: tuple[str, ...],
    out: str,
    form: str | None,
    figure: str | None,
    **given: Any,
) -> None:
    """Find the box in each photograph, in pixels.

    PHOTOGRAPHS are files and folders. The name of OUT ends in .csv, or in .json for COCO, or has no
    suffix, for a folder of YOLO files.

    Example: boxest predict model.boxest holiday --figure found.png
    """
    from boxest import tasks

    found = tasks.predict(model, photographs, out, form=form, figure=figure, **given)
    boxes = "1 box" if len(found) == 1 else f"{len(found)} boxes"
    first = f"the first {tasks.SHOWN} of them" if len(found) > tasks.SHOWN else "drawn"
    click.echo(f"{boxes} in {out}" + (f", {first} in {figure}." if figure else "."))
