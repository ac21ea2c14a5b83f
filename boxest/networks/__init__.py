"""The architectures, by name.

An architecture is a function from the shape of one image to an unfitted Keras model that ends in as
many numbers as there are targets: for a box the four corners ``(x1, y1, x2, y2)``, divided by the
image size.

=================================  ==================================================
`boxest.networks.dense`            the paper's network, and "auto"
`boxest.networks.profiles`         "profile": edges read off what rows and columns hold
`boxest.networks.regions`          "roi": a coarse box, and a closer look at its region
`boxest.networks.layers`           layers that Keras does not have
=================================  ==================================================
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from boxest.networks.dense import HIDDEN, LEAST_SIDE, auto, paper
from boxest.networks.parts import Shape
from boxest.networks.profiles import FILTERS, profile
from boxest.networks.regions import roi

if TYPE_CHECKING:
    import keras

NETWORKS: dict[str, Callable[..., "keras.Model"]] = {
    "auto": auto,
    "paper": paper,
    "profile": profile,
    "roi": roi,
}


def build(
    network: str | Callable[..., "keras.Model"],
    image_shape: Shape,
    *,
    n_outputs: int = 4,
    output_activation: str = "linear",
    seed: int = 0,
) -> "keras.Model":
    """Build an architecture by its name, or by a function of the user's.

    Parameters
    ----------
    network : str or callable
        A key of `NETWORKS`, or a function of the image shape with the keywords
        ``output_activation`` and ``seed``.
    image_shape : (height, width, channels)
        Shape of one image, in pixels.
    n_outputs : int, default=4
        Number of outputs.
    output_activation : str, default="linear"
        Activation of the outputs.
    seed : int, default=0
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        The model, built, with an output of shape (n, n_outputs).

    Raises
    ------
    ValueError
        If the name is unknown, or the model's output is not (n, n_outputs).
    """
    if isinstance(network, str):
        if network not in NETWORKS:
            raise ValueError(
                f"Unknown network {network!r}. Choose one of {sorted(NETWORKS)}, "
                "or give a function that returns a Keras model."
            )
        network = partial(NETWORKS[network], n_outputs=n_outputs)
    model = network(image_shape, output_activation=output_activation, seed=seed)
    if tuple(model.output_shape) != (None, n_outputs):
        raise ValueError(
            f"A network must end in {n_outputs} numbers per image, as many as there are targets; "
            f"{model.name!r} has the output shape {model.output_shape}."
        )
    return model


def least_parameters(image_shape: Shape, network: str = "auto") -> int:
    """Count weights that a network for images of that shape has at least.

    Those behind the last pooling, which grow with the image, and where nothing does, those of the
    first convolution.
    """
    height, width, channels = image_shape
    if network == "profile":
        return channels * FILTERS
    if min(height, width) < LEAST_SIDE:
        return height * width * channels * HIDDEN
    return max((height // 8) * (width // 8) * 4 * HIDDEN, 9 * channels)


class LayerRow(NamedTuple):
    """One line of a layer table."""

    layer: str
    output_shape: tuple[int | None, ...]
    parameters: int


def layer_table(model: "keras.Model") -> list[LayerRow]:
    """List the layers of a model as in Fig. 2: name (class), output shape, parameters."""
    return [
        LayerRow(
            f"{layer.name} ({type(layer).__name__})",
            tuple(layer.output.shape),
            layer.count_params(),
        )
        for layer in model.layers
        if type(layer).__name__ != "InputLayer"
    ]
