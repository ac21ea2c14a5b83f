"""A network that learns features, and reads the edges of a box from them along rows and columns."""

from typing import TYPE_CHECKING

from boxest.networks.parts import Shape, check_is_a_box, exact, initializers

if TYPE_CHECKING:
    import keras

# Filters of the convolutions at half of the image's resolution, at a quarter, and along an axis.
FILTERS = (16, 24, 48)
DILATIONS = (1, 2, 4)
# Momentum of the running means and variances, which must converge in few epochs.
MOMENTUM = 0.9


def marginal(
    image_shape: Shape, *, n_outputs: int = 4, output_activation: str = "linear", seed: int = 0
) -> "keras.Model":
    """Build the network of marginal scores, which finds an object by its appearance.

    Convolutions compute features of the image at a quarter of its resolution; dilated convolutions
    see the surroundings of each place. Only the marginals of the features are kept: the maximum and
    the mean of every column and every row. From these, one-dimensional convolutions score each
    place along the axis, for the first and for the second edge, and a soft-argmax gives the places
    of the edges. It is `profile` with learned features.

    Parameters
    ----------
    image_shape : (height, width, channels)
        Shape of one image, in pixels; any. The number of parameters only depends on the channels.
    n_outputs : int, default=4
        Must be 4.
    output_activation : str, default="linear"
        Must be "linear": the outputs are means of places, so they always lie in the image.
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
    A. Nibali, Z. He, S. Morgan and L. Prendergast, "3D human pose estimation with 2D marginal
    heatmaps", WACV 2019, §3: coordinates from scores along each axis, which are the marginals of
    one map. Y. Li and others, "SimCC: A simple coordinate classification perspective for human pose
    estimation", ECCV 2022: scores along each axis, at a higher resolution than that of the
    features. F. Yu and V. Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR
    2016. Soft-argmax: see `boxest.networks.profiles`.
    """
    import keras
    from keras import layers

    check_is_a_box("marginal", n_outputs, output_activation)
    glorot = initializers(seed)
    height, width, _ = image_shape
    # Padding to a multiple of 4, so that two halvings give whole numbers. It is black, at the right
    # and the bottom.
    below, right = -height % 4, -width % 4
    image = keras.Input(image_shape)
    values = image
    if below or right:
        values = layers.ZeroPadding2D(((0, below), (0, right)), name="padding")(values)
    values = _learnt(values, layers.Conv2D, FILTERS[0], 4, "half", glorot, strides=2)
    values = _learnt(values, layers.Conv2D, FILTERS[1], 3, "quarter", glorot, strides=2)
    for dilation in DILATIONS:
        name = f"around_{dilation}"
        around = _learnt(values, layers.Conv2D, FILTERS[1], 3, name, glorot, dilation_rate=dilation)
        values = layers.Add(name=f"features_{dilation}")([values, around])
    both = [_edges(values, axis, glorot) for axis in ("x", "y")]
    box = layers.Flatten(name="box", dtype=exact())(
        layers.Concatenate(name="corners", dtype=exact())(both)
    )
    if below or right:
        scale = [1 + right / width, 1 + below / height] * 2
        box = layers.Rescaling(scale, name="unpadded", dtype=exact())(box)
    return keras.Model(image, box, name="marginal")


def _learnt(values, convolution, filters, size, name, glorot, **settings):
    """Apply a convolution, a batch normalisation and a relu."""
    from keras import layers

    convolution = convolution(
        filters,
        size,
        padding="same",
        use_bias=False,
        kernel_initializer=next(glorot),
        name=name,
        **settings,
    )
    normalised = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_normalised")
    return layers.ReLU(name=f"{name}_relu")(normalised(convolution(values)))


def _edges(values, axis, glorot):
    """Return the places of the first and the second edge along an axis, shape (n, 2, 1)."""
    from keras import layers

    from boxest.networks.layers import Profile, Slope, SoftArgmax

    # Maximum and mean, at twice the length.
    scores = Profile(axis, windows=(1,), name=f"marginals_{axis}")(values)
    scores = layers.UpSampling1D(2, name=f"places_{axis}")(scores)
    for number in (1, 2):
        name = f"along_{axis}_{number}"
        scores = _learnt(scores, layers.Conv1D, FILTERS[2], 5, name, glorot)
    # Four values see the place between them: L + 4 of them see L + 1 places.
    scores = layers.ZeroPadding1D(2, name=f"ends_{axis}")(scores)
    scores = layers.Conv1D(2, 4, kernel_initializer=next(glorot), name=f"scores_{axis}")(scores)
    scores = Slope((-2, 2), name=f"slope_{axis}")(scores)
    edges = SoftArgmax(name=f"edges_{axis}")(scores)
    return layers.Reshape((2, 1), name=f"first_and_second_{axis}", dtype=exact())(edges)
