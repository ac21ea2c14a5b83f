"""Parts that the architectures share: initial weights, and checks of arguments."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]

# The smallest side of an image of which three poolings leave something.
LEAST_SIDE = 8


def initializers(seed: int) -> "Iterator[keras.initializers.GlorotUniform]":
    """Yield one Glorot initializer after another, each with its own seed."""
    import numpy as np
    from keras.initializers import GlorotUniform

    for child in np.random.SeedSequence(seed).spawn(64):
        yield GlorotUniform(seed=int(child.generate_state(1)[0] >> 1))


@contextmanager
def channels_last() -> Iterator[None]:
    """Let layers that are created in the block take images with channels last, as here.

    After the block, the user's setting applies again.
    """
    from keras import config

    before = config.image_data_format()
    config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        config.set_image_data_format(before)


@contextmanager
def dtype_policy(name: str | None) -> Iterator[None]:
    """Give layers that are created in the block this policy of Keras; None is the user's setting.

    After the block, the user's setting applies again.
    """
    from keras import config

    before = config.dtype_policy()
    config.set_dtype_policy(name or before)
    try:
        yield
    finally:
        config.set_dtype_policy(before)


def exact() -> str:
    """Return the type for layers that compute places: under mixed precision, that of the weights.

    In bfloat16, a place in an image of 128 px would be half a pixel off.
    """
    from keras import config

    return config.dtype_policy().variable_dtype


def check_is_large_enough(network: str, image_shape: Shape) -> None:
    """Refuse images of which three poolings leave nothing."""
    height, width, _ = image_shape
    if min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"The network {network!r} halves the image three times and needs at least "
            f"{LEAST_SIDE}×{LEAST_SIDE} px, got {height}×{width} px. Use larger images or another "
            "network."
        )


def check_activation(name: str) -> None:
    """Refuse anything that is not a Keras activation."""
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        raise ValueError(
            f"Unknown output_activation {name!r}. Give the name of a Keras activation, "
            "for example 'linear', 'tanh', 'sigmoid' or 'relu'."
        ) from None


def check_is_a_box(network: str, n_outputs: int, output_activation: str) -> None:
    """Refuse outputs other than a box, and an activation, for networks that compute edges.

    Raises
    ------
    ValueError
        If the number of outputs is not 4, or the activation is not "linear".
    """
    if n_outputs != 4:
        raise ValueError(
            f"The network {network!r} returns the 4 edges of a box, x1, y1, x2, y2, not "
            f"{n_outputs} numbers. Use the network 'paper' or 'auto' for other targets."
        )
    check_activation(output_activation)
    if output_activation != "linear":
        raise ValueError(
            f"The network {network!r} computes its outputs from places in the image, without an "
            f"activation: output_activation must be 'linear', got {output_activation!r}."
        )
