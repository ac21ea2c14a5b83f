"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

# The same as `boxest.data.annotations.COORDINATES`; importing that takes a second.
COORDINATES = ("auto", "edges", "pixels-from-1", "pixels-from-0", "fractions")
Decorator = Callable[[Callable], Callable]


class _Parsed(click.ParamType):
    """A type whose values a function parses from text; its ValueErrors count as incorrect usage."""

    def __init__(self, name: str, parse: Callable[[str], Any]):
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the parsed value of a text."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(f"{error}", param, ctx)


def _size(text: str) -> int | tuple[int, int]:
    sides = text.lower().replace("×", "x").replace(",", "x").split("x")
    if len(sides) > 2 or not all(side.strip().isdigit() for side in sides):
        raise ValueError(f"one side, or HEIGHTxWIDTH, is needed, such as 128 or 96x128; got {text}")
    return tuple(map(int, sides)) if len(sides) == 2 else int(sides[0])


def _split(text: str) -> list[float] | list[str] | str:
    """Return shares, three files, or the name of a column."""
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1:
        return words[0]
    if len(words) != 3:
        raise ValueError(f"three shares or three files, or a column, are needed; got {text}")
    try:
        return [float(word) for word in words]
    except ValueError:
        return words


def _pairs(text: str) -> dict[str, str]:
    """Parse NAME=VALUE pairs."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if wrong := [name for name, equals, value in pairs if not (name and equals and value)]:
        raise ValueError(f"NAME=COLUMN is needed, such as image=path; got {wrong[0]}")
    return {name.strip(): value.strip() for name, _, value in pairs}


MODE = click.Choice(["stretch", "pad"])


def _all(*options: Decorator) -> Decorator:
    """Return a decorator that adds several options."""

    def add(function: Callable) -> Callable:
        for option in reversed(options):
            function = option(function)
        return function

    return add


# How to turn photographs into images for the network.
form = _all(
    click.option(
        "--size",
        "image_size",
        type=_Parsed("size", _size),
        default=128,
        metavar="PX",
        help="Side of the images, or HEIGHTxWIDTH.  [128]",
    ),
    click.option("--colour", "channels", flag_value=3, help="Keep the colours.  [grey levels]"),
    click.option(
        "--mode",
        type=MODE,
        default="stretch",
        help="Stretch, or pad with black.  [stretch]",
    ),
)
# How to read a table of boxes.
reading = _all(
    click.option("--label", metavar="NAME", help="Use only objects with this name."),
    click.option(
        "--several",
        type=click.Choice(["error", "largest"]),
        default="error",
        help="For images with several boxes.  [error]",
    ),
    click.option(
        "--coordinates",
        type=click.Choice(COORDINATES),
        metavar="KIND",
        default="auto",
        help="edges, fractions, pixels-from-0, -from-1.  [auto]",
    ),
    click.option(
        "--columns",
        type=_Parsed("columns", _pairs),
        metavar="NAME=COLUMN",
        help="Columns of a CSV file: image=path,x1=left,…",
    ),
)
# How to divide photographs into training, validation and test set.
split = click.option(
    "--split",
    type=_Parsed("split", _split),
    default="0.8,0.1,0.1",
    metavar="PARTS",
    help="Shares, a column, or three lists.  [0.8,0.1,0.1]",
)
# How to fit photographs into the images of a trained network.
fitted = click.option("--mode", type=MODE, help="How to fit photographs.  [as in training]")
overwrite = click.option("--overwrite", is_flag=True, help="Replace existing files.")


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return only the options that the user has set: the package has the same defaults."""
    source = click.get_current_context().get_parameter_source
    return {
        name: value
        for name, value in options.items()
        if source(name) is not ParameterSource.DEFAULT
    }
