"""Compute a convolution and the pooling after it as one matrix product: same result, faster.

XLA's convolution is slow on a CPU for 1 to 4 channels, but its matrix product is fast. A 3×3
convolution followed by a 2×2 max pooling looks at 4×4 patches, two pixels apart. If the kernel is
laid out four times, once for each position in the pooling window, one product gives all four values
from which the pooling chooses. The largest one, plus the bias, passed through a monotonic
activation, is the output of the two layers.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

# f(max(x)) = max(f(x)) holds for these activations.
_NON_DECREASING = {"linear", "relu", "sigmoid", "tanh", "elu", "softplus", "hard_sigmoid"}

# Number of images to cut at once, so that they stay in the cache.
_BLOCK = 64


class ConvolutionPooling(keras.layers.Layer):
    """A built 3×3 `Conv2D` followed by a 2×2 `MaxPooling2D`, as one product.

    It takes and returns the same as the two layers, and uses the variables of the given
    convolution. If several values in a pooling window are equal, the first one gets the gradient,
    as in Keras. The number of images must be known when a program is traced.

    Parameters
    ----------
    convolution : keras.layers.Conv2D
    pooling : keras.layers.MaxPooling2D
        Such that `fuses` holds.
    """

    def __init__(
        self, convolution: keras.layers.Conv2D, pooling: keras.layers.MaxPooling2D, **kwargs
    ):
        super().__init__(dtype=convolution.dtype_policy, **kwargs)
        self.convolution, self.pooling = convolution, pooling

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, height / 2, width / 2, filters)."""
        images, height, width, _ = input_shape
        return images, height // 2, width // 2, self.convolution.filters

    def call(self, inputs):
        """Apply both layers to (images, height, width, channels)."""
        _, height, width, _ = inputs.shape
        return self._of_patches(unfold(inputs), height // 2, width // 2)

    def _of_patches(self, patches, height: int, width: int):
        layer = self.convolution
        pooled = _pooled_product(patches, _kernel_per_place(layer))
        pooled = ops.reshape(pooled, (patches.shape[0], -1, height, width))
        return layer.activation(ops.transpose(pooled, (0, 2, 3, 1)) + layer.bias)


class UnfoldedConvolutionPooling(ConvolutionPooling):
    """The same two layers, for images that `unfold` has already cut into patches."""

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, height / 2, width / 2, filters), in terms of the original images."""
        return input_shape[0], *self.pooling.output.shape[1:]

    def call(self, inputs):
        """Apply both layers to the patches of images."""
        _, height, width, _ = self.pooling.output.shape
        return self._of_patches(inputs, height, width)


def fuses(first: keras.layers.Layer, second: keras.layers.Layer) -> bool:
    """Whether `ConvolutionPooling` can replace these two consecutive layers."""
    if type(first) is not keras.layers.Conv2D or type(second) is not keras.layers.MaxPooling2D:
        return False
    # This reads attributes, because `get_config` on JAX imports TensorFlow if it is installed.
    _, height, width, _ = first.output.shape
    return (
        (first.kernel_size, first.strides, first.dilation_rate) == ((3, 3), (1, 1), (1, 1))
        and (first.padding, first.groups, first.use_bias) == ("same", 1, True)
        and first.activation in [keras.activations.get(name) for name in _NON_DECREASING]
        and first.activity_regularizer is None
        and (second.pool_size, second.strides, second.padding) == ((2, 2), (2, 2), "valid")
        and (first.data_format, second.data_format) == ("channels_last", "channels_last")
        and height % 2 == width % 2 == 0
    )


def _kernel_per_place(layer: keras.layers.Conv2D):
    """Return the kernel once per position in the pooling window: (4·filters, 16·channels)."""
    kernel = ops.convert_to_tensor(layer.kernel)
    _, _, channels, filters = kernel.shape
    placed = [
        ops.pad(kernel, ((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)))
        for row in (0, 1)
        for column in (0, 1)
    ]
    placed = ops.transpose(ops.stack(placed), (0, 4, 1, 2, 3))
    return ops.reshape(placed, (4 * filters, 16 * channels))


@ops.custom_gradient
def unfold(images):
    """Cut 4×4 patches, 2 pixels apart, out of images with a border of 0.

    Parameters
    ----------
    images : tensor of shape (n, height, width, channels)

    Returns
    -------
    tensor of shape (n, 16 × channels, height / 2 × width / 2)
    """
    n, height, width, channels = images.shape
    padded = ops.pad(ops.transpose(images, (0, 3, 1, 2)), ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = [
        padded[:, :, row : row + height - 1 : 2, column : column + width - 1 : 2]
        for row in range(4)
        for column in range(4)
    ]

    def gradient(*args, upstream=None):
        return _fold(args[0] if upstream is None else upstream, images.shape)

    return ops.reshape(ops.stack(taps, 1), (n, 16 * channels, height * width // 4)), gradient


def patches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the result of `unfold`, with the same type, for blocks of images outside the device."""
    n, height, width, channels = images.shape
    for block in np.split(images, range(_BLOCK, n, _BLOCK)):
        padded = np.pad(block, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(1, 2))
        windows = windows[:, ::2, ::2].transpose(0, 4, 5, 3, 1, 2)
        yield windows.reshape(len(block), 16 * channels, height * width // 4)


def _fold(patches, shape):
    """Add patches back to where `unfold` read them: this is its transpose, the gradient."""
    n, height, width, channels = shape
    patches = ops.reshape(patches, (n, 4, 4, channels, height // 2, width // 2))
    images = ops.reshape(
        _interleave(_interleave(patches, 1, 4), 1, 5), (n, channels, height, width)
    )
    return ops.transpose(images, (0, 2, 3, 1))


def _interleave(taps, axis: int, along: int):
    """Add four taps, at -1, 0, 1 and 2 from every second place, into an axis of twice the length.

    The axis ``axis`` holds the taps, the axis ``along`` the places.
    """
    before, even, odd, after = ops.unstack(taps, 4, axis)
    place = along - 1  # The axis of the taps has been removed.
    n = even.shape[place]

    def shifted(values, start: int):
        lead = (slice(None),) * place
        padding = [(0, 0)] * len(values.shape)
        padding[place] = (1 - start, start)
        return ops.pad(values[(*lead, slice(start, start + n - 1))], padding)

    return ops.stack([even + shifted(after, 0), odd + shifted(before, 1)], along)


@ops.custom_gradient
def _pooled_product(patches, kernel):
    """Return the largest of the four products per pooling window: (n, filters, h/2·w/2).

    One small product per image keeps everything in the cache. The gradient is written by hand
    because a backend does not compile its own gradient of a maximum into one fused loop.
    """
    n, (rows, columns) = patches.shape[0], kernel.shape
    products = ops.matmul(ops.broadcast_to(kernel, (n, rows, columns)), patches)
    products = ops.reshape(products, (n, 4, rows // 4, -1))
    one, two, three, four = ops.unstack(products, 4, 1)
    upper, lower = ops.maximum(one, two), ops.maximum(three, four)

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        first = ops.where(one >= two, 0, 1), ops.where(three >= four, 2, 3)
        winner = ops.where(upper >= lower, *first)
        places = ops.reshape(ops.arange(4, dtype=winner.dtype), (1, 4, 1, 1))
        routed = ops.where(winner[:, None] == places, upstream[:, None], 0.0)
        routed = ops.reshape(routed, (n, rows, -1))
        by_kernel = ops.sum(ops.matmul(routed, ops.transpose(patches, (0, 2, 1))), 0)
        transposed = ops.broadcast_to(ops.transpose(kernel), (n, columns, rows))
        return ops.matmul(transposed, routed), by_kernel

    return ops.maximum(upper, lower), gradient
