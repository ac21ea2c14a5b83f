"""A network that finds a coarse box, and then looks again at its region."""

from typing import TYPE_CHECKING

from boxest.networks.dense import HIDDEN
from boxest.networks.parts import Shape, check_is_a_box, check_is_large_enough, exact, initializers

if TYPE_CHECKING:
    import keras

# Side of the crop for the second look, in cells.
SIZE = 16


def roi(
    image_shape: Shape, *, n_outputs: int = 4, output_activation: str = "linear", seed: int = 0
) -> "keras.Model":
    """Build the network with a region of interest (§5.2.1, the paper's future work), for one box.

    The paper's network gives a coarse box. The image is cropped to a window around it, half as
    large again, and reduced to a fixed size. A second, smaller network of the same kind finds the
    box in the crop. Its errors are in units of the window, so they are small for small boxes. Both
    are trained together: the gradient flows through the crop to the coarse box, and the loss of the
    final box is enough.

    Parameters
    ----------
    image_shape : (height, width, channels)
        Shape of one image, in pixels; height and width must be at least 8. (128, 128, 1) gives
        20,876 parameters.
    n_outputs : int, default=4
        Must be 4.
    output_activation : str, default="linear"
        Must be "linear": the outputs are places in a window.
    seed : int, default=0
        Seed of the initial weights (Glorot uniform; biases start at 0, except those of both boxes,
        which make them start in the middle).

    Returns
    -------
    keras.Model
        The model, built, not compiled.

    Raises
    ------
    ValueError
        If the image is smaller than 8 px, or other outputs than the four edges are requested.

    References
    ----------
    S. Ren, K. He, R. Girshick and J. Sun, "Faster R-CNN", NeurIPS 2015: a region is proposed,
    cropped, and its box refined. K. He, G. Gkioxari, P. Dollár and R. Girshick, "Mask R-CNN", ICCV
    2017, §3 (RoIAlign): a crop without rounding to pixels. B. Jiang and others, "Acquisition of
    localization confidence for accurate object detection", ECCV 2018, §3.3: cells of the crop as
    means over their area, with a gradient for the window. M. Jaderberg and others, "Spatial
    transformer networks", NeurIPS 2015: a crop that is trained through.
    """
    import keras
    from keras import layers

    from boxest.networks.layers import Crop, Placed, Window

    check_is_large_enough("roi", image_shape)
    check_is_a_box("roi", n_outputs, output_activation)
    glorot = initializers(seed)

    def convolution(values, name):
        values = layers.Conv2D(
            4, 3, padding="same", activation="relu", kernel_initializer=next(glorot), name=name
        )(values)
        return layers.MaxPooling2D(2, name=f"{name}_pooling")(values)

    def box(values, name, start):
        values = layers.Flatten(name=f"{name}_flatten")(values)
        values = layers.Dense(
            HIDDEN, activation="relu", kernel_initializer=next(glorot), name=f"{name}_dense"
        )(values)
        start = keras.initializers.Constant(start)
        return layers.Dense(
            4,
            kernel_initializer=next(glorot),
            bias_initializer=start,
            dtype=exact(),
            name=f"{name}_box",
        )(values)

    image = keras.Input(image_shape)
    values = layers.MaxPooling2D(2, name="pooling")(image)
    for name in ("coarse_conv", "coarse_conv_1"):
        values = convolution(values, name)
    window = Window(name="window")(box(values, "coarse", [0.25, 0.25, 0.75, 0.75]))
    values = convolution(Crop(SIZE, name="crop")(image, window), "fine_conv")
    fine = box(values, "fine", [0.2, 0.2, 0.8, 0.8])
    return keras.Model(image, Placed(name="box")(fine, window), name="roi")
