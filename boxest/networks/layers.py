"""Layers that Keras does not have. Importing this module registers them, for ``.keras`` files."""

from typing import Any

import keras
from keras import ops

from boxest.networks.parts import exact

AXES = ("x", "y")


class _Exact(keras.layers.Layer):
    """A layer that computes places; see `boxest.networks.parts.exact`."""

    def __init__(self, **kwargs: Any):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = exact()
        super().__init__(**kwargs)


@keras.saving.register_keras_serializable(package="boxest")
class Profile(keras.layers.Layer):
    """The profile of an image along an axis: per column or row, largest running means and the mean.

    Takes (images, height, width, channels). A column that crosses the box has a run of bright
    pixels. The largest pixel shows even the smallest box, but also noise. The mean of a run of w
    pixels has √w times less noise, and shows a box of at least w pixels at full brightness. The
    layer has no weights.

    Parameters
    ----------
    axis : {"x", "y"}
        Direction of the profile: "x" has one place per column, "y" one per row.
    windows : sequence of int, default=(1, 4, 16)
        Lengths of runs in pixels, powers of 2. A shorter line is one run. The mean of the whole
        line always comes last.
    name, dtype and so on
        As for every `keras.layers.Layer`.
    """

    def __init__(self, axis: str, windows: tuple[int, ...] = (1, 4, 16), **kwargs: Any):
        super().__init__(**kwargs)
        if axis not in AXES:
            raise ValueError(f"axis must be one of {', '.join(AXES)}; got {axis!r}.")
        if not all(isinstance(w, int) and w > 0 and w & (w - 1) == 0 for w in windows):
            raise ValueError(f"windows must be powers of 2, such as (1, 4, 16); got {windows!r}.")
        self.axis, self.windows = axis, tuple(sorted(windows))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, places, channels × (windows + 1))."""
        places = input_shape[2 if self.axis == "x" else 1]
        return input_shape[0], places, input_shape[3] * (len(self.windows) + 1)

    def call(self, inputs):
        """Return the profile."""
        lines = inputs if self.axis == "x" else ops.swapaxes(inputs, 1, 2)
        mean = ops.mean(lines, axis=1)
        values, sums, length = [], lines, 1
        for window in self.windows:
            while length < window <= lines.shape[1]:
                # Two adjacent runs make one of twice the length.
                sums, length = sums[:, :-length] + sums[:, length:], 2 * length
            values.append(ops.max(sums, axis=1) / window if length == window else mean)
        return ops.concatenate([*values, mean], axis=-1)

    def get_config(self) -> dict:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "axis": self.axis, "windows": self.windows}


@keras.saving.register_keras_serializable(package="boxest")
class Slope(_Exact):
    """Adds a slope along a line to each channel: a bias that depends on the place.

    Takes and returns (images, places, channels).

    Parameters
    ----------
    start : sequence of float, a number per channel
        Difference of a channel between the last and the first place before training.
    name, dtype and so on
        As for every `keras.layers.Layer`.
    """

    def __init__(self, start: tuple[float, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.start = tuple(start)

    def build(self, input_shape: tuple) -> None:
        """Make the slopes."""
        start = keras.initializers.Constant(list(self.start))
        self.slope = self.add_weight(shape=(input_shape[2],), initializer=start, name="slope")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, places, channels)."""
        return input_shape

    def call(self, inputs):
        """Add the slopes."""
        return inputs + _places(inputs) * self.slope

    def get_config(self) -> dict:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "start": self.start}


@keras.saving.register_keras_serializable(package="boxest")
class SoftArgmax(_Exact):
    """The place of the peak of each channel along a line: the mean place under a softmax.

    Takes (images, places, channels), and returns (images, channels): 0 is the first place, 1 the
    last. Unlike that of an argmax, its gradient is not 0.
    """

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, channels)."""
        return input_shape[0], input_shape[2]

    def call(self, inputs):
        """Return the places."""
        return ops.sum(ops.softmax(inputs, axis=1) * _places(inputs), axis=1)


def _places(values):
    """Return the places along a line, 0 to 1, for (images, places, channels): (places, 1)."""
    n = values.shape[1]
    return (ops.arange(n, dtype=values.dtype) / (n - 1))[:, None]


@keras.saving.register_keras_serializable(package="boxest")
class Window(_Exact):
    """The window for a closer look: a box, enlarged around its centre.

    Parameters
    ----------
    scale : float, default=1.5
        Factor on the sides.
    margin : float, default=0.1
        Added to the sides after that, in units of the image, so that the window stays open for a
        box that is too small or flipped.
    name, dtype and so on
        As for every `keras.layers.Layer`.
    """

    def __init__(self, scale: float = 1.5, margin: float = 0.1, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.margin = scale, margin

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return (images, 4)."""
        return input_shape

    def call(self, inputs):
        """Enlarge boxes of shape (images, 4)."""
        low, high = inputs[:, :2], inputs[:, 2:]
        half = (ops.relu(high - low) * self.scale + self.margin) / 2
        middle = (low + high) / 2
        return ops.concatenate([middle - half, middle + half], axis=-1)

    def get_config(self) -> dict:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "scale": self.scale, "margin": self.margin}


@keras.saving.register_keras_serializable(package="boxest")
class Crop(_Exact):
    """The part of an image in a window, at a fixed size; it is 0 outside of the image.

    Each cell of the crop is the mean of the pixels in its part of the window, weighted by area. So
    no edge falls between two samples, and each has a gradient for the window. Rows and columns are
    reduced one after the other, by products with two small matrices.

    Parameters
    ----------
    size : int, default=16
        Side of the crop, in cells.
    name, dtype and so on
        As for every `keras.layers.Layer`.
    """

    def __init__(self, size: int = 16, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size

    def compute_output_shape(self, image_shape: tuple, window_shape: tuple) -> tuple:
        """Return (images, size, size, channels)."""
        return image_shape[0], self.size, self.size, image_shape[3]

    def call(self, image, window):
        """Crop images, shape (images, height, width, channels), to windows, shape (images, 4)."""
        height, width = image.shape[1:3]
        rows = self._shares(window[:, 1], window[:, 3], height)
        columns = self._shares(window[:, 0], window[:, 2], width)
        planes = ops.transpose(image, (0, 3, 1, 2))
        narrow = ops.matmul(planes, ops.transpose(columns, (0, 2, 1))[:, None])
        return ops.transpose(ops.matmul(rows[:, None], narrow), (0, 2, 3, 1))

    def _shares(self, start, stop, n: int):
        """Return the share of each of n pixels in each cell: (images, cells, pixels)."""
        steps = ops.arange(self.size + 1, dtype=start.dtype) / self.size
        edges = n * (start[:, None] + (stop - start)[:, None] * steps)[:, :, None]
        before = ops.clip(edges - ops.arange(n, dtype=start.dtype), 0, 1)
        return (before[:, 1:] - before[:, :-1]) / (edges[:, 1:] - edges[:, :-1])

    def get_config(self) -> dict:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="boxest")
class Placed(_Exact):
    """Converts a box in units of a window to units of the image."""

    def compute_output_shape(self, box_shape: tuple, window_shape: tuple) -> tuple:
        """Return (images, 4)."""
        return box_shape

    def call(self, box, window):
        """Convert boxes; boxes and windows both have shape (images, 4)."""
        low, sides = window[:, :2], window[:, 2:] - window[:, :2]
        return ops.concatenate([low + sides * box[:, :2], low + sides * box[:, 2:]], axis=-1)
