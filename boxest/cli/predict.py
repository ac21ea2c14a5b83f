"""``boxest predict``: a model finds the boxes in photographs."""

import click

from boxest.cli import options


@click.command()
@click.argument("model")
@click.argument("photographs", nargs=-1, required=True)
@click.option("-o", "--out", default="found.csv", help="The boxes.  [found.csv]")
@click.option("--form", type=click.Choice(["csv", "coco", "yolo"]), help="Of OUT.  [by its name]")
@click.option("--figure", metavar="PNG", help="Some of the photographs with their boxes.")
@options.fitted
def predict(
    model: str,
    photographs: tuple[str, ...],
    out: str,
    form: str | None,
    figure: str | None,
    mode: str | None,
) -> None:
    """Find the box in each of some photographs, in pixels.

    PHOTOGRAPHS are files and folders. OUT is called .csv, .json for COCO, or
    has no ending, for a folder of YOLO's files.

    Example: boxest predict model.boxest holiday --figure found.png
    """
    from boxest import tasks

    found = tasks.predict(model, photographs, out, form=form, figure=figure, mode=mode)
    click.echo(f"{len(found)} boxes in {out}" + (f", some of them in {figure}." if figure else "."))
