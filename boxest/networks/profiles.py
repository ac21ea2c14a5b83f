"""A network that reads the edges of a box from the profiles of columns and rows."""

from typing import TYPE_CHECKING

from boxest.networks.parts import Shape, check_is_a_box, exact, initializers

if TYPE_CHECKING:
    import keras

FILTERS = 8


def profile(
    image_shape: Shape, *, n_outputs: int = 4, output_activation: str = "linear", seed: int = 0
) -> "keras.Model":
    """Build the network of two profiles.

    Each side of an upright box can be found in one dimension: x1 and x2 in the profile of the
    columns, y1 and y2 in that of the rows (`boxest.networks.layers.Profile`). Two convolutions,
    shared by both profiles, give a score to each of the L + 1 places between L pixels, before the
    first and after the last: one channel for the first edge, one for the second. The place of a
    channel's peak, by a soft-argmax, is the edge, in units of the image. An edge lies between
    pixels, so a filter over an even number of them, [-1, +1] in the simplest case, can be exact.
    Scores also have a slope along the line, which initially falls for the first edge and rises for
    the second. Otherwise both edges would start in the middle, as an empty or flipped box, and some
    seeds would take epochs to leave it.

    Parameters
    ----------
    image_shape : (height, width, channels)
        Shape of one image, in pixels; any. The number of parameters only depends on the channels:
        220 for one.
    n_outputs : int, default=4
        Must be 4.
    output_activation : str, default="linear"
        Must be "linear": the outputs are means of places, so they always lie in 0..1.
    seed : int, default=0
        Seed of the initial weights (Glorot uniform; biases start at 0, slopes at -2 and 2).

    Returns
    -------
    keras.Model
        The model, built, not compiled.

    Raises
    ------
    ValueError
        If other outputs than the four edges are requested.

    References
    ----------
    A. Nibali, Z. He, S. Morgan and L. Prendergast, "Numerical coordinate regression with
    convolutional neural networks", 2018 (arXiv:1801.07372), §3: coordinates as the mean of places
    under a softmax. K. M. Yi, E. Trulls, V. Lepetit and P. Fua, "LIFT: Learned invariant feature
    transform", ECCV 2016, §3.2: the same as "softargmax".
    """
    import keras
    from keras import layers

    from boxest.networks.layers import Profile, Slope, SoftArgmax

    check_is_a_box("profile", n_outputs, output_activation)
    glorot = initializers(seed)
    image = keras.Input(image_shape)
    score = [
        # Four pixels see one place between them: L + 4 of them see L + 1 places.
        layers.ZeroPadding1D(2, name="padding"),
        layers.Conv1D(
            FILTERS, 4, activation="relu", kernel_initializer=next(glorot), name="filters"
        ),
        layers.Conv1D(2, 5, padding="same", kernel_initializer=next(glorot), name="edges"),
        Slope((-2, 2), name="slope"),
        SoftArgmax(name="places"),
        layers.Reshape((2, 1), name="first_and_second", dtype=exact()),
    ]
    both = []
    for axis in ("x", "y"):
        values = Profile(axis, name=f"profile_{axis}")(image)
        for layer in score:
            values = layer(values)
        both.append(values)
    corners = layers.Concatenate(name="corners", dtype=exact())(both)
    return keras.Model(image, layers.Flatten(name="box", dtype=exact())(corners), name="profile")
