"""The architectures, by name.

An architecture is a function that takes the shape of one image and returns an untrained Keras model
with one output per target: for a box, the four corners ``(x1, y1, x2, y2)``, divided by the image
size.

=================================  ==================================================
`boxest.networks.dense`            the paper's network, and "auto"
`boxest.networks.profiles`         "profile": edges read from rows and columns
`boxest.networks.regions`          "roi": a coarse box, and a closer look at its region
`boxest.networks.marginals`        "marginal": learned features, read along each axis
`boxest.networks.layers`           layers that Keras does not have
=================================  ==================================================
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from boxest.networks.dense import auto, least_dense_parameters, paper
from boxest.networks.marginals import marginal
from boxest.networks.parts import Shape, channels_last
from boxest.networks.profiles import profile
from boxest.networks.regions import roi
from boxest.system.backend import all_layers

if TYPE_CHECKING:
    import keras

NETWORKS: dict[str, Callable[..., "keras.Model"]] = {
    "auto": auto,
    "marginal": marginal,
    "paper": paper,
    "profile": profile,
    "roi": roi,
}
# Optional, for networks that grow with the image: a lower bound of their number of weights. With
# it, a file is refused if it claims a larger image than its weights allow.
LEAST_PARAMETERS: dict[str, Callable[[Shape, int], int]] = {
    "auto": least_dense_parameters,
    "paper": least_dense_parameters,
    "roi": least_dense_parameters,
}
# Networks that compute a box from places in the image, and so have no output activation.
FROM_PLACES = ("marginal", "profile", "roi")
# Methods that a user's class of models may override for `keras.Model.fit` and `predict`.
_STEPS = ("train_step", "predict_step", "compute_loss")


def build(
    network: str | Callable[..., "keras.Model"],
    image_shape: Shape,
    *,
    n_outputs: int = 4,
    output_activation: str = "linear",
    seed: int = 0,
) -> "keras.Model":
    """Build an architecture from its name or from a user's function.

    Parameters
    ----------
    network : str or callable
        A key of `NETWORKS`, or a function of the image shape with the keywords
        ``output_activation`` and ``seed`` that returns a Keras model: sequential, functional, or of
        a class with its own ``call``.
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
        If the name is unknown, the model's output is not (n, n_outputs), it takes whole numbers or
        computes in float16, or a user's class has its own steps of training, or a ``call`` that
        does not take ``training``.
    TypeError
        If ``network`` is a model itself, or a function does not return a Keras model.
    """
    import keras

    if isinstance(network, str):
        if network not in NETWORKS:
            raise ValueError(
                f"Unknown network {network!r}. Choose one of {sorted(NETWORKS)}, "
                "or pass a function that returns a Keras model."
            )
        network = partial(NETWORKS[network], n_outputs=n_outputs)
    if isinstance(network, keras.Model):
        raise TypeError(
            f"The model {network.name!r} was passed as network: pass a function that returns a new "
            "model at each call, for example with keras.models.clone_model."
        )
    with channels_last():
        model = network(image_shape, output_activation=output_activation, seed=seed)
    if not isinstance(model, keras.Model):
        raise TypeError(
            "A network must be a keras.Model; the function passed as network returned "
            f"{model!r:.80}."
        )
    _check_what_it_computes(model)
    # Some models are only built when they are first called.
    outputs = model(keras.Input(image_shape))
    if getattr(outputs, "shape", None) != (None, n_outputs):
        shapes = keras.tree.map_structure(lambda output: output.shape, outputs)
        raise ValueError(
            f"A network must return {n_outputs} numbers per image, one per target; {model.name!r} "
            f"has the output shape {shapes}."
        )
    return model


def _check_what_it_computes(model: "keras.Model") -> None:
    """Refuse a user's model that would be trained, or fed with images, in another way than meant.

    Raises
    ------
    ValueError
    """
    import keras

    if "training" not in inspect.signature(model.call).parameters:
        raise ValueError(
            f"The method call of {type(model).__name__} must take the argument training, as in "
            "call(self, inputs, training=None), and pass it to layers such as Dropout."
        )
    for step in _STEPS:
        if getattr(type(model), step) is not getattr(keras.Model, step):
            raise ValueError(
                f"{type(model).__name__} has its own {step}, which boxest would not call: it "
                "trains and predicts with call, and the loss of the estimator. Move what the "
                "method does to call (with add_loss for a penalty), or to the loss."
            )
    if any(layer.compute_dtype == "float16" for layer in all_layers(model)):
        raise ValueError(
            f"The network {model.name!r} computes in float16, where small gradients vanish because "
            "the loss is not scaled. Use the policy 'mixed_bfloat16' or 'float32'."
        )
    for given in getattr(model, "inputs", None) or ():
        if "float" not in given.dtype:
            raise ValueError(
                f"The network {model.name!r} takes {given.dtype}, but images are floats in 0..1, "
                "which would be cut to whole numbers. Use keras.Input without a dtype, and "
                "Rescaling(255.0) for layers that expect 0..255."
            )


def least_parameters(network: str, image_shape: Shape, n_outputs: int) -> int | None:
    """Return a lower bound of the number of weights of a network, before it is built.

    None if `LEAST_PARAMETERS` does not list the network.
    """
    least = LEAST_PARAMETERS.get(network)
    return least and least(image_shape, n_outputs)


class LayerRow(NamedTuple):
    """One row of a layer table."""

    layer: str
    output_shape: tuple[int | None, ...] | None
    parameters: int


def layer_table(model: "keras.Model") -> list[LayerRow]:
    """List the layers of a model as in Fig. 2: name (class), output shape, parameters.

    Layers that are called several times are listed once, with the shape of their first output. For
    layers of a model with its own ``call``, the shapes are unknown, and None.
    """
    rows = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind != "InputLayer":
            output = getattr(layer, "output", None)
            shape = None if output is None else tuple(output.shape)
            rows.append(LayerRow(f"{layer.name} ({kind})", shape, layer.count_params()))
    return rows
