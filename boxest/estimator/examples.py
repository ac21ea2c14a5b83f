"""Check, read and divide the examples on their way from `fit` to the training."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_consistent_length
from sklearn.utils.validation import validate_data as sklearn_validate_data

from boxest.data import inputs
from boxest.data.inputs import Images, ShardImages, are_paths
from boxest.data.pixels import Pixels, Reader
from boxest.estimator.building import compile_for_keras
from boxest.training.record import Examples

if TYPE_CHECKING:
    from boxest.estimator.base import BaseImageRegressor
    from boxest.training.loop import Trainer

CheckTargets = Callable[[Any], np.ndarray]
# Attributes of an estimator that describe the form of the data.
FORM = (
    "image_shape_",
    "image_mode_",
    "n_features_in_",
    "feature_names_in_",
    "pixels_",
    "n_outputs_",
    "_flat_targets",
)


class Unread(NamedTuple):
    """Images that are not read yet, with targets (None if the shards have them) and weights."""

    images: Images | ShardImages
    targets: np.ndarray | None
    weights: np.ndarray


def validate_data(
    estimator: "BaseImageRegressor", X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> Unread:
    """Check images, targets and weights, and that their numbers are equal.

    Like scikit-learn's function of this name, it sets the attributes for the shape of images and
    targets if ``reset`` is True, and compares with them otherwise.

    Raises
    ------
    ValueError
        If they are invalid, or do not match previous ones.
    """
    images = validate_images(estimator, X, reset=reset)
    if isinstance(images, ShardImages):
        if y is not None:
            raise ValueError(
                "The boxes are in the shards: do not pass y, or pass arrays of images and y."
            )
        targets = None
    elif y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    else:
        if np.ma.is_masked(y):
            raise ValueError("y has masked values; remove such rows.")
        targets = estimator._check_targets(y)
        check_consistent_length(images, targets)
    if np.ma.is_masked(sample_weight):
        raise ValueError("sample_weight has masked values; give 0 for these examples.")
    weights = _check_sample_weight(sample_weight, np.empty(len(images)), ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is 0 for all examples, so there is nothing to learn from.")
    shape = (len(images), 4) if targets is None else targets.shape
    n_outputs = shape[1] if len(shape) == 2 else 1
    if reset:
        estimator.n_outputs_, estimator._flat_targets = n_outputs, len(shape) == 1
    elif n_outputs != estimator.n_outputs_:
        raise ValueError(
            f"y has {n_outputs} columns, but {type(estimator).__name__} was fitted with "
            f"{estimator.n_outputs_}."
        )
    return Unread(images, targets, weights)


def validate_images(
    estimator: "BaseImageRegressor", X: Any, *, reset: bool
) -> Images | ShardImages:
    """Check images without reading them yet."""
    if are_paths(X) or inputs.is_lazy(X):
        if reset:  # They have no names of columns.
            vars(estimator).pop("feature_names_in_", None)
    else:
        array = inputs.as_array(X)
        if not reset:
            inputs.refuse_one_image(array, estimator.image_shape_)
        # If X is a table, its columns have names and a fixed number.
        sklearn_validate_data(
            estimator, X, reset=reset, skip_check_array=True, ensure_2d=array.ndim == 2
        )
        X = array
    shape = estimator.image_shape if reset else estimator.image_shape_
    if shape is not None and len(shape) == 2:
        shape = (*shape, 1)
    opened = (ShardImages if are_paths(X) else Images)(X, image_shape=shape)
    if reset:
        estimator.image_shape_, estimator.pixels_ = opened.shape[1:], None
        estimator.n_features_in_ = math.prod(estimator.image_shape_)
        estimator.image_mode_ = getattr(opened, "mode", None)
    elif isinstance(opened, ShardImages):
        _check_mode(opened.mode, estimator.image_mode_)
    return opened


def _check_mode(mode: str | None, fitted: str | None) -> None:
    """Warn if photographs were fitted into their images in another way than those of `fit`."""
    if None not in (mode, fitted) and mode != fitted:
        warnings.warn(
            f"These shards hold photographs with mode={mode!r}, but the network was fitted on "
            f"mode={fitted!r}: objects have other shapes here. Convert the photographs with "
            f"mode={fitted!r} (--mode {fitted}).",
            UserWarning,
            stacklevel=4,
        )


def validate_validation_data(
    estimator: "BaseImageRegressor", validation_data: Any
) -> Unread | None:
    """Check validation examples, which must have the form of the training examples."""
    if validation_data is None:
        return None
    return validate_data(estimator, *split_validation_data(validation_data), reset=False)


def split_validation_data(validation_data: Any) -> tuple[Any, Any, Any]:
    """Split ``validation_data`` (shards, (X, y) or (X, y, weights)) into X, y and weights."""
    if are_paths(validation_data):
        return validation_data, None, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data must be (X, y), (X, y, sample_weight) or paths of shards; got "
            f"{type(validation_data).__name__}."
        )
    return (*validation_data, None)[:3]


def read(
    unread: Unread, trainer: "Trainer", check_targets: CheckTargets, pixels: Pixels | None
) -> tuple[Examples, Pixels]:
    """Read the images block by block, and keep the features that the network learns from.

    The features are the output of the leading layers without weights; for the paper's network, a
    quarter of the grey levels. Examples of weight 0 are left out.

    Parameters
    ----------
    unread : Unread
    trainer : Trainer
    check_targets : callable
    pixels : Pixels or None
        How previous images were read; None if there were none.

    Returns
    -------
    examples : Examples
    pixels : Pixels
        How these were read.
    """
    reader = Reader(unread.images, pixels)
    features = trainer.features(reader.blocks())
    targets = unread.targets
    if targets is None:
        targets = check_targets(unread.images.boxes)
    examples = Examples(features, targets.reshape(len(targets), -1), unread.weights)
    if not unread.weights.all():
        examples = _rows(examples, np.flatnonzero(unread.weights))
    return examples, reader.pixels


def read_examples(
    estimator: "BaseImageRegressor",
    data: Unread,
    validation: Unread | None,
    trainer: "Trainer",
    fraction: float,
    seed: int,
) -> tuple[Examples, Examples | None]:
    """Read the examples for training and for validation, which are given or held out."""
    train, given = read_given(estimator, data, validation, trainer)
    return (train, given) if given else hold_out(train, fraction, seed)


def read_given(
    estimator: "BaseImageRegressor", data: Unread, validation: Unread | None, trainer: "Trainer"
) -> tuple[Examples, Examples | None]:
    """Read the given examples for training and validation; store the meaning of the pixels."""
    train, estimator.pixels_ = read(data, trainer, estimator._check_targets, estimator.pixels_)
    if validation is None:
        return train, None
    return train, read(validation, trainer, estimator._check_targets, estimator.pixels_)[0]


def hold_out(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples | None]:
    """Divide examples at random into training examples and a share for validation.

    Raises
    ------
    ValueError
        If no training example would be left.
    """
    rows, held_out = hold_out_rows(len(examples.images), fraction, seed)
    if not held_out.size:
        return examples, None
    return _rows(examples, rows), _rows(examples, held_out)


def hold_out_rows(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the numbers 0..n-1 in the same way as `hold_out` divides examples."""
    n_held_out = round(fraction * n)
    if n_held_out == 0:
        return np.arange(n), np.arange(0)
    if n_held_out == n:
        raise ValueError(
            f"validation_fraction={fraction} of {n} examples leaves none to train on. Give more "
            "examples or a smaller fraction."
        )
    order = np.random.default_rng([seed, 0]).permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _rows(examples: Examples, rows: np.ndarray) -> Examples:
    return Examples(*(values[rows] for values in examples))


@contextmanager
def form_restored_on_error(estimator: "BaseImageRegressor") -> Iterator[None]:
    """Restore the form of the data, and the loss of the network, if a fit fails."""
    model = getattr(estimator, "model_", None)
    loss = getattr(model, "loss", None)
    before = {name: vars(estimator)[name] for name in FORM if name in vars(estimator)}
    try:
        yield
    except BaseException:
        if getattr(estimator, "model_", None) is model:
            for name in FORM:
                vars(estimator).pop(name, None)
            vars(estimator).update(before)
            if loss is not None and model.loss is not loss:
                compile_for_keras(estimator, model, loss)
        raise
