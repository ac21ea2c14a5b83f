"""The network of the paper (§2.2.1, Fig. 2), and a variant for images that are too small for it."""

from typing import TYPE_CHECKING

from boxest.networks.parts import (
    LEAST_SIDE,
    Shape,
    check_activation,
    check_is_large_enough,
    initializers,
)

if TYPE_CHECKING:
    import keras

# Number of units of the dense layer.
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
        Keras name of the activation of the outputs. The paper does not state it.
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

    check_is_large_enough("paper", image_shape)
    check_activation(output_activation)
    glorot = initializers(seed)
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
    """Build the network of the paper, or only its dense layers if the images are too small.

    Of images below 8 px, and of the rows of a table, three poolings leave nothing. Parameters and
    result are those of `paper`.
    """
    from keras import Sequential, layers

    if min(image_shape[:2]) >= LEAST_SIDE:
        return paper(
            image_shape, n_outputs=n_outputs, output_activation=output_activation, seed=seed
        )
    check_activation(output_activation)
    glorot = initializers(seed)
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


def least_dense_parameters(image_shape: Shape, n_outputs: int) -> int:
    """Return a lower bound of the weights of these networks: those of both dense layers.

    The dense layers follow three poolings, or, for an image that is too small for these, the image
    itself. With many channels, the first convolution has more weights.
    """
    height, width, channels = image_shape
    last = n_outputs * (HIDDEN + 1)
    if min(height, width) < LEAST_SIDE:
        return height * width * channels * HIDDEN + last
    return max((height // 8) * (width // 8) * 4 * HIDDEN, 9 * channels) + last
