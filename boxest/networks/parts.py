"""What the architectures share: first weights, and checks of what they are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]

# The least side of an image that three poolings leave something of.
LEAST_SIDE = 8


def initializers(seed: int) -> "Iterator[keras.initializers.GlorotUniform]":
    """Yield one Glorot initializer after another, each with a seed of its own."""
    import numpy as np
    from keras.initializers import GlorotUniform

    for child in np.random.SeedSequence(seed).spawn(64):
        yield GlorotUniform(seed=int(child.generate_state(1)[0] >> 1))


@contextmanager
def channels_last() -> Iterator[None]:
    """Have layers that are made in the block take images as they are here, channels last.

    The user's own setting, channels first, holds again behind it.
    """
    from keras import config

    before = config.image_data_format()
    config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        config.set_image_data_format(before)


def exact() -> str:
    """Return the type for layers of places: under a mixed precision that of weights, a single one.

    In bfloat16, a place in an image of 128 px would be half a pixel off.
    """
    from keras import config

    return config.dtype_policy().variable_dtype


def all_layers(model: "keras.Model") -> "Iterator[keras.Layer]":
    """Yield a network and all layers in it."""
    yield model
    for layer in getattr(model, "layers", ()):
        yield from all_layers(layer)


def check_is_large_enough(network: str, image_shape: Shape) -> None:
    """Refuse images that three poolings leave nothing of."""
    height, width, _ = image_shape
    if min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"The network {network!r} halves the image three times and needs at least "
            f"{LEAST_SIDE}×{LEAST_SIDE} px, got {height}×{width} px. Use larger images or another "
            "network."
        )


def check_activation(name: str) -> None:
    """Refuse what is no activation of Keras."""
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        raise ValueError(
            f"Unknown output_activation {name!r}. Give the name of a Keras activation, "
            "for example 'linear', 'tanh', 'sigmoid' or 'relu'."
        ) from None


def check_is_a_box(network: str, n_outputs: int, output_activation: str) -> None:
    """Refuse other outputs than a box, and an activation, where outputs are edges by construction.

    Raises
    ------
    ValueError
        If the number of outputs is not 4, or the activation is not "linear".
    """
    if n_outputs != 4:
        raise ValueError(
            f"The network {network!r} gives the 4 edges of a box, x1, y1, x2, y2, and not "
            f"{n_outputs} numbers. Use the network 'paper' or 'auto' for other targets."
        )
    check_activation(output_activation)
    if output_activation != "linear":
        raise ValueError(
            f"The network {network!r} reads its outputs off places in the image, and has no "
            f"activation there: output_activation must be 'linear', got {output_activation!r}."
        )
