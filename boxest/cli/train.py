"""``boxest train``: shards, or photographs and a table of boxes, become a model."""

import json
from typing import Any

import click

from boxest.cli import options


@click.command()
@click.argument("data")
@click.argument("boxes", required=False)
@click.option("-o", "--out", default="model.boxest", help="The model.  [model.boxest]")
@click.option("--figure", metavar="PNG", help="Some predictions.  [beside the model]")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.  [60]")
@click.option("--seed", default=0, metavar="N", help="Of the training, and of the split.  [0]")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Any other of BoxRegressor."
)
@click.option("--checkpoint", metavar="FILE", help="Where an interrupted training goes on from.")
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
@options.form
@options.reading
def train(data: str, boxes: str | None, **given: Any) -> None:
    """Train a network to find the object.

    DATA is a folder of shards; or of photographs, with their table BOXES.

    Example: boxest train shards --epochs 20 --set batch_size=16
    """
    from boxest import tasks

    parameters = dict(map(_parameter, given.pop("parameters")))
    for name in ("epochs", "checkpoint"):
        if (value := given.pop(name)) is not None:
            parameters[name] = value
    seed, out = given.pop("seed"), given.pop("out")
    files = {name: given.pop(name) for name in ("figure", "overwrite")}
    conversion = options.conversion(given) | ({"seed": seed} if boxes else {})
    parameters = {"random_state": seed} | parameters
    done = tasks.train(data, out, boxes=boxes, conversion=conversion, **files, **parameters)
    click.echo(done.summary())


def _parameter(text: str) -> tuple[str, Any]:
    """Return name and value; the value as JSON, and what is none as text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"NAME=VALUE is needed; got {text}.", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
