"""The architectures, by name.

An architecture is a function from the shape of one image to an unfitted Keras model that ends in as
many numbers as there are targets: for a box the four corners ``(x1, y1, x2, y2)``, divided by the
image size.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]

# The least side of an image that three poolings leave something of; units of the dense layer.
LEAST_SIDE = 8
HIDDEN = 16


def paper(
    image_shape: Shape, *, n_outputs: int = 4, output_activation: str = "linear", seed: int = 0
) -> "keras.Model":
    """Build the network of the paper (§2.2.1, Fig. 2).

    Parameters
    ----------
    image_shape : (height, width, channels)
        Shape of one image, in pixels. Three max poolings halve it, so that height and width must
        be at least 8. The paper has (128, 128, 1), which gives 16,656 parameters.
    n_outputs : int, default=4
        Number of outputs.
    output_activation : str, default="linear"
        Activation of the outputs, as Keras names it. The paper does not give it.
    seed : int, default=0
        Seed of the initial weights (Glorot uniform; biases start at 0).

    Returns
    -------
    keras.Sequential
        The model, built, not compiled.

    Raises
    ------
    ValueError
        If the image is smaller than 8 px, or the activation is unknown.
    """
    from keras import Sequential, layers

    height, width, _ = image_shape
    if min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"The network 'paper' halves the image three times and needs at least 8×8 px, "
            f"got {height}×{width} px. Use larger images or another network."
        )
    _check_activation(output_activation)
    glorot = _initializers(seed)
    return Sequential(
        [
            layers.Input(image_shape),
            layers.MaxPooling2D(2, name="max_pooling2d"),
            layers.Conv2D(
                4,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=next(glorot),
                name="conv2d",
            ),
            layers.MaxPooling2D(2, name="max_pooling2d_1"),
            layers.Conv2D(
                4,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=next(glorot),
                name="conv2d_1",
            ),
            layers.MaxPooling2D(2, name="max_pooling2d_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(glorot), name="dense"),
            layers.Dense(
                n_outputs,
                activation=output_activation,
                kernel_initializer=next(glorot),
                name="dense_1",
            ),
        ],
        name="paper",
    )


def auto(
    image_shape: Shape, *, n_outputs: int = 4, output_activation: str = "linear", seed: int = 0
) -> "keras.Model":
    """Build the network of the paper, or for what is too small for it, its dense layers alone.

    Images below 8 px, and so the rows of a table, have nothing left behind three poolings.
    Parameters and result are those of `paper`.
    """
    from keras import Sequential, layers

    if min(image_shape[:2]) >= LEAST_SIDE:
        return paper(
            image_shape, n_outputs=n_outputs, output_activation=output_activation, seed=seed
        )
    _check_activation(output_activation)
    glorot = _initializers(seed)
    return Sequential(
        [
            layers.Input(image_shape),
            layers.Flatten(name="flatten"),
            layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(glorot), name="dense"),
            layers.Dense(
                n_outputs,
                activation=output_activation,
                kernel_initializer=next(glorot),
                name="dense_1",
            ),
        ],
        name="auto",
    )


NETWORKS: dict[str, Callable[..., "keras.Model"]] = {"auto": auto, "paper": paper}


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


def least_parameters(image_shape: Shape) -> int:
    """Count the weights behind the last pooling; no network of that image shape has fewer."""
    height, width, channels = image_shape
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
    ]


def _initializers(seed: int):
    """Yield one Glorot initializer after another, each with a seed of its own."""
    from keras.initializers import GlorotUniform

    for child in np.random.SeedSequence(seed).spawn(64):
        yield GlorotUniform(seed=int(child.generate_state(1)[0] >> 1))


def _check_activation(name: str) -> None:
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        raise ValueError(
            f"Unknown output_activation {name!r}. Give the name of a Keras activation, "
            "for example 'linear', 'tanh', 'sigmoid' or 'relu'."
        ) from None
