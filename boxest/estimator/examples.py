"""From what `fit` is given to what is trained on: checked, weighed, divided."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from boxest.data.inputs import Images, ShardImages, are_paths
from boxest.data.pixels import Pixels, Reader
from boxest.training.record import Examples

if TYPE_CHECKING:
    from boxest.training.loop import Trainer

CheckTargets = Callable[[Any], np.ndarray]


class Given(NamedTuple):
    """Images that are not read yet, with targets (None: the shards have them) and weights."""

    images: Images | ShardImages
    targets: np.ndarray | None
    weights: np.ndarray


def take(
    images: Images | ShardImages, y: Any, sample_weight: Any, check_targets: CheckTargets
) -> Given:
    """Check targets and weights, and that there are as many of them as images.

    Raises
    ------
    ValueError
        If they are not as they should be.
    """
    if isinstance(images, ShardImages):
        if y is not None:
            raise ValueError("The boxes are in the shards: pass no y, or arrays of images and y.")
        targets = None
    elif y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    else:
        targets = check_targets(y)
        check_consistent_length(images, targets)
    weights = _check_sample_weight(sample_weight, np.empty(len(images)), ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is 0 for all examples: there is nothing to learn from.")
    return Given(images, targets, weights)


def split_validation_data(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return X, y and weights out of ``validation_data``: shards, (X, y) or (X, y, weights)."""
    if are_paths(validation_data):
        return validation_data, None, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data must be (X, y), (X, y, sample_weight) or paths of shards; got "
            f"{type(validation_data).__name__}."
        )
    return (*validation_data, None)[:3]


def collect(
    given: Given, trainer: "Trainer", check_targets: CheckTargets, pixels: Pixels | None
) -> tuple[Examples, Pixels]:
    """Read the images block by block, and keep what the network learns from.

    Of the images, that is what their way through the layers without weights leaves: a quarter of
    the grey levels in the network of the paper. Examples of weight 0 are left out.

    Parameters
    ----------
    given : Given
    trainer : Trainer
    check_targets : callable
    pixels : Pixels or None
        How the images before these were read; None: there were none.

    Returns
    -------
    examples : Examples
    pixels : Pixels
        How these were read.
    """
    reader = Reader(given.images, pixels)
    features = trainer.features(reader.blocks())
    targets = given.targets
    if targets is None:
        targets = check_targets(given.images.boxes)
    examples = Examples(features, targets.reshape(len(targets), -1), given.weights)
    if not given.weights.all():
        examples = _rows(examples, np.flatnonzero(given.weights))
    return examples, reader.pixels


def hold_out(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples | None]:
    """Divide examples at random into those to train on and a share to validate with.

    Raises
    ------
    ValueError
        If none would be left to train on.
    """
    rows, held_out = hold_out_rows(len(examples.images), fraction, seed)
    if not held_out.size:
        return examples, None
    return _rows(examples, rows), _rows(examples, held_out)


def hold_out_rows(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the numbers 0..n-1 as `hold_out` divides examples."""
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
