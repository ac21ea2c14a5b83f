"""``boxest export``: write a model for other programs."""

import click

from boxest.cli import options


@click.command()
@click.argument("model")
@click.argument("out")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "saved_model"]),
    help="Format of OUT.  [by its name]",
)
@options.overwrite
def export(model: str, out: str, form: str | None, overwrite: bool) -> None:
    """Write a model for other programs: ONNX or SavedModel.

    OUT is an ONNX file, whose name ends in .onnx, or the folder of a SavedModel. The network in it
    takes images as in training, and returns boxes as fractions of width and height.

    Example: boxest export model.boxest model.onnx
    """
    from boxest import tasks

    tasks.export(model, out, form=form, overwrite=overwrite)
    click.echo(f"Wrote {out}.")
