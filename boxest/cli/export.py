"""``boxest export``: a model for other programs."""

import click


@click.command()
@click.argument("model")
@click.argument("out")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "saved_model"]),
    help="Of OUT.  [by its name]",
)
def export(model: str, out: str, form: str | None) -> None:
    """Write a model for other programs: ONNX, SavedModel.

    OUT is a file name.onnx, or the folder of a SavedModel. It takes images as
    training did, and gives boxes as fractions of width and height.

    Example: boxest export model.boxest model.onnx
    """
    from boxest import BoxRegressor

    BoxRegressor.load(model).export(out, format=form)
    click.echo(f"{out} is there.")
