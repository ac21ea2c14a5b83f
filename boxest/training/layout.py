"""Arrange a network for speed: its fixed layers are computed once, outside of the epochs."""

import inspect
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxest.system.backend import all_layers, device
from boxest.training.backend import load

if TYPE_CHECKING:
    import keras

# Layers that only select from their inputs, so grey levels stay whole numbers.
_SELECTING = (
    "Concatenate",
    "Cropping2D",
    "Flatten",
    "InputLayer",
    "MaxPooling2D",
    "Permute",
    "Reshape",
    "ZeroPadding2D",
)

# Memory of images cut into patches, relative to the images.
UNFOLDED = 4
# Largest number of kernels of a convolution (channels × filters) for which XLA is faster on a CPU
# than TensorFlow's own operations; measured by benchmarks/compilers.py.
SMALL = 128
# Number of examples whose gradients are computed at once. For a larger batch, the gradients of its
# parts are added up, which is mathematically the same and stays in the cache of a CPU; otherwise,
# batch size 4096 is 2.5 times slower.
PART = 16


class Split(NamedTuple):
    """A network in two parts, applied one after the other."""

    head: "keras.Model | None"
    trunk: "keras.Model"


def arrange(model: "keras.Model", xla: bool | str, *, whole: bool = False) -> tuple[Split, bool]:
    """Split a network for the faster compiler, and return whether that is XLA.

    Parameters
    ----------
    model : keras.Model
        As for `split`.
    xla : bool or "auto"
        "auto" means always on a GPU, and on a CPU if `suits_xla` holds. JAX has no other compiler.
    whole : bool, default=False
        As for `split`.

    Returns
    -------
    Split
        Its layers are only fused for XLA, because TensorFlow's own convolutions are faster than its
        many small products.
    bool
    """
    backend = load()
    if backend.ALWAYS_XLA:
        return split(model, whole=whole), True
    if xla:
        fused = split(model, whole=whole)
        if xla != "auto" or device() != "cpu" or suits_xla(fused.trunk):
            return fused, True
    return split(model, fuse=False, whole=whole), False


def suits_xla(trunk: "keras.Model") -> bool:
    """Whether XLA is the faster compiler for a network on a CPU.

    XLA's convolutions are slow there, up to fifty times slower than TensorFlow's, except small ones
    along one axis. A fused layer has no convolution, and is faster than TensorFlow's if the
    convolution is small.
    """
    from keras import layers

    from boxest.training.fused import ConvolutionPooling

    def suits(layer: "keras.Layer") -> bool:
        if isinstance(layer, (ConvolutionPooling, layers.Conv1D)):
            convolution = getattr(layer, "convolution", layer)
            return math.prod(convolution.kernel.shape[-2:]) <= SMALL
        inner = getattr(layer, "layers", ())
        return not hasattr(layer, "kernel_size") and all(map(suits, inner))

    return suits(trunk)


def split(model: "keras.Model", *, fuse: bool = True, whole: bool = False) -> Split:
    """Split a network after its leading layers that are fixed, see `graph.is_fixed`.

    These layers (the first max pooling in the paper's network, the profiles in `profile`) give the
    same output for an image in every epoch. Both parts share the layers, and so the weights, of the
    model.

    Parameters
    ----------
    model : keras.Model
        A built model with one input.
    fuse : bool, default=True
        Whether one layer may replace a convolution and a pooling.
    whole : bool, default=False
        Do not split off anything.

    Returns
    -------
    Split
        ``head`` is None if the first layer already learns, or the fixed ones together compare the
        images of a batch. ``trunk`` is the model itself if it cannot be rebuilt. Programs that XLA
        compiles apply it to a known number of images.
    """
    from boxest.training.graph import split_graph

    found = Split(*split_graph(model, fuse=fuse, whole=whole))
    if found.head is None or not sees_the_batch(found.head) or not _mixes_images(found.head):
        return found
    return Split(*split_graph(model, fuse=fuse, whole=True))


def _mixes_images(head: "keras.Model") -> bool:
    """Whether the outputs for an image depend on another one, which is darker, or brighter."""
    from keras import ops

    image = np.random.default_rng(0).random(head.input_shape[1:], np.float32)
    pairs = (np.stack([image, np.full_like(image, level)]) for level in (-1, 2))
    one, other = (ops.convert_to_numpy(head(pair))[0].tobytes() for pair in pairs)
    return one != other


def sees_the_batch(model: "keras.Model") -> bool:
    """Whether the outputs for an example, or a penalty, may depend on the rest of its batch.

    This is the case if there are variables that are not trained, as in a normalisation, or if an
    activity is penalised. A user's layers and activations, functions and arithmetic may do
    anything.
    """
    from keras.layers import Layer

    parts = _parts(model)
    return (
        bool(model.non_trainable_variables)
        or has_code_of_a_user(model)
        or not all(isinstance(part, Layer) and part.activity_regularizer is None for part in parts)
    )


def has_code_of_a_user(model: "keras.Model") -> bool:
    """Whether a layer or an activation of a network is neither Keras' nor boxest's."""
    from keras.layers import Lambda

    def is_own(part: Any) -> bool:
        activations = (getattr(part, f"{kind}activation", None) for kind in ("", "recurrent_"))
        return isinstance(part, Lambda) or any(map(is_of_a_user, (part, *activations)))

    return any(map(is_own, _parts(model)))


def is_of_a_user(part: Any) -> bool:
    """Whether neither Keras nor boxest defines a function, or the class of a layer or a loss."""
    if part is None:
        return False
    home = part.__module__ if inspect.isfunction(part) else type(part).__module__
    return home.split(".")[0] not in ("keras", "boxest")


def resident(images: np.ndarray) -> np.ndarray:
    """Return images in one of the two forms that programs accept.

    Parameters
    ----------
    images : ndarray of bool, uint8 or float, shape (n, height, width, channels)
        Grey levels: False and True, 0..255, or floats, which are used unchanged.

    Returns
    -------
    ndarray of uint8 (0..255, a quarter of the memory) or float32
    """
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    return np.ascontiguousarray(images, dtype=np.float32)


def grey_levels(rows):
    """Return rows as input for the network: float32, with the grey levels 0..255 as 0..1."""
    from keras import backend, ops

    if backend.standardize_dtype(rows.dtype) == "uint8":
        return ops.cast(rows, "float32") / 255.0
    return rows


def keeps_grey_levels(head: "keras.Model | None") -> bool:
    """Whether the outputs of a head are some of its inputs, so that uint8 stays exact."""
    from keras import layers

    # By class and not by name: a subclass of the same name may compute something else.
    selecting = {getattr(layers, name) for name in _SELECTING}
    return head is None or all(type(part) in selecting for part in _operations(head))


def _parts(model: "keras.Model") -> list:
    """Return a network, and all layers and other operations in it."""
    return [part for layer in all_layers(model) for part in (layer, *_operations(layer))]


def _operations(layer: "keras.Layer") -> list:
    """Return the parts of a network: layers, and in a graph also arithmetic and functions."""
    return getattr(layer, "operations", None) or list(getattr(layer, "layers", ()))
