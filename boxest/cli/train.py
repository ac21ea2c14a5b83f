"""``boxest train``: train a model on shards, or on photographs and a table of boxes."""

import json
from typing import Any

import click

from boxest.cli import options


@click.command(short_help="Train a network to find the object.")
@click.argument("data")
@click.argument("boxes", required=False)
@click.option(
    "-o",
    "--out",
    default="model.boxest",
    metavar="FILE",
    help="File of the model.  [model.boxest]",
)
@click.option("--figure", metavar="PNG", help="Some predictions.  [next to the model]")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.  [60]")
@click.option("--seed", default=0, metavar="N", help="Seed of the training and the split.  [0]")
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of BoxRegressor; may be repeated.",
)
@click.option("--checkpoint", metavar="FILE", help="File for resuming after an interruption.")
@options.overwrite
@options.form
@options.split
@options.reading
def train(data: str, boxes: str | None, **given: Any) -> None:
    """Train on DATA, a folder of shards; or of photographs, with BOXES, the table of their boxes.

    Example: boxest train shards --epochs 20 --set batch_size=16
    """
    from boxest import tasks

    pairs = [_parameter(text) for text in given.pop("parameters")]
    of_options = {name: given.pop(name) for name in ("epochs", "checkpoint")}
    pairs += [(name, value) for name, value in of_options.items() if value is not None]
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise click.UsageError(f"{twice} is given twice: give it once, by --set or its own option.")
    seed, out = given.pop("seed"), given.pop("out")
    files = {name: given.pop(name) for name in ("figure", "overwrite")}
    conversion = options.given(given) | ({"seed": seed} if boxes else {})
    parameters = {"random_state": seed} | parameters
    done = tasks.train(data, out, boxes=boxes, conversion=conversion, **files, **parameters)
    click.echo(done.summary())


def _parameter(text: str) -> tuple[str, Any]:
    """Return name and value; the value is parsed as JSON if possible, and is text otherwise."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"NAME=VALUE is needed; got {text}.", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
