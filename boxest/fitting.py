"""What an estimator builds before it trains: network, optimizer, schedule."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from boxest.training.schedule import Schedule

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]


def network(
    architecture: "str | Callable[..., keras.Model]",
    image_shape: Shape,
    n_outputs: int,
    *,
    output_activation: str,
    seed: int,
) -> "keras.Model":
    """Build a network for images of one shape and a number of targets.

    Parameters
    ----------
    architecture : str or callable
        As for `boxest.networks.build`.
    image_shape : (height, width, channels)
    n_outputs : int
    output_activation : str
    seed : int
        Seed of the initial weights, of a user's function too: it may draw from Python's and
        numpy's global generators, which are set for it and restored.

    Raises
    ------
    ValueError
        If there is no such architecture, or it has another number of outputs.
    """
    from boxest import networks

    with _own_randomness(seed):
        return networks.build(
            architecture,
            image_shape,
            n_outputs=n_outputs,
            output_activation=output_activation,
            seed=seed,
        )


def optimizer(
    given: "str | keras.Optimizer", model: "keras.Model", learning_rate: float
) -> "keras.Optimizer":
    """Return an optimizer of this model's own, built for it; "momentum" is SGD with 0.9 of it.

    Raises
    ------
    ValueError
        If there is no optimizer of that name, or it scales the loss.
    """
    from keras import optimizers

    try:
        given = optimizers.SGD(momentum=0.9) if given == "momentum" else optimizers.get(given)
    except ValueError:
        raise ValueError(
            f"Unknown optimizer {given!r}. Give the name of a Keras optimizer, for example 'sgd' "
            "or 'adam', or an optimizer object."
        ) from None
    if isinstance(given, optimizers.LossScaleOptimizer) or given.loss_scale_factor is not None:
        raise ValueError(
            f"optimizer={given.name!r} expects a loss that is scaled, and here none is: its steps "
            "would be too small. Give one without loss_scale_factor; in place of a "
            "LossScaleOptimizer, the optimizer inside it."
        )
    own = type(given).from_config(given.get_config() | {"learning_rate": learning_rate})
    own.build(model.trainable_variables)
    return own


def go_on(schedule: Schedule, parameters: Schedule, first_rate: float) -> Schedule:
    """Return a schedule that goes on from another, with the parameters of now.

    Parameters
    ----------
    schedule : Schedule
        Where the training before ended.
    parameters : Schedule
        A new one, with the parameters of now.
    first_rate : float
        The ``learning_rate`` that the training before began with. If the one of now differs, it is
        taken; otherwise the rate goes on from where it was.
    """
    rate = schedule.learning_rate
    if parameters.learning_rate != first_rate:
        rate = parameters.learning_rate
    state = {name: getattr(schedule, name) for name in ("best", "plateau_best", "plateau_wait")}
    # Patience that ran out begins anew; otherwise no further epoch could run.
    wait = 0 if schedule.stopped else schedule.wait
    return replace(parameters, learning_rate=rate, wait=wait, **state)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed Python's and numpy's global generators, from which Keras draws, and restore them."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
