"""Make the optimizer and the schedule of its rate from a user's parameters."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from boxest.training.schedule import RateFunction

if TYPE_CHECKING:
    import keras

_PLAIN = (int, float, str, bool, type(None))


def get(
    given: "str | Mapping[str, Any] | keras.Optimizer", model: "keras.Model", learning_rate: float
) -> "keras.Optimizer":
    """Return a new optimizer, built for this model; "momentum" is SGD with a momentum of 0.9.

    Raises
    ------
    ValueError
        If there is no optimizer with this name, or it scales the loss, consists of several, or was
        changed after its creation.
    """
    from keras import optimizers

    has_name = isinstance(given, optimizers.Optimizer)
    if isinstance(given, type):
        raise ValueError(f"optimizer={given!r} is a class: pass an object of it, or its name.")
    if isinstance(given, Mapping):
        given = _with_settings(dict(given))
    try:
        given = optimizers.SGD(momentum=0.9) if given == "momentum" else optimizers.get(given)
    except ValueError:
        raise ValueError(
            f"Unknown optimizer {given!r}. Give the name of a Keras optimizer, for example 'sgd' "
            "or 'adam', or an optimizer object."
        ) from None
    if hasattr(given, "optimizers"):
        raise ValueError(
            f"optimizer={given.name!r} contains several optimizers with their own learning rates, "
            "but here all weights share one. Pass one of them."
        )
    if isinstance(given, optimizers.LossScaleOptimizer) or given.loss_scale_factor is not None:
        raise ValueError(
            f"optimizer={given.name!r} expects a scaled loss, but here the loss is not scaled, so "
            "its steps would be too small. Pass one without loss_scale_factor; instead of a "
            "LossScaleOptimizer, pass the optimizer inside it."
        )
    # Keras numbers the names that it gives, and TensorFlow permanently keeps 30 KB for each
    # variable with a new name.
    name = given.name if has_name else type(given).__name__.lower()
    config = given.get_config() | {"learning_rate": float(learning_rate), "name": name}
    own = type(given).from_config(config)
    own.build(model.trainable_variables)
    refuse_lost_changes(given, own)
    return own


def refuse_lost_changes(given: "keras.Optimizer", own: "keras.Optimizer") -> None:
    """Refuse an optimizer whose copy, by the arguments of the constructor, lacks attributes.

    Raises
    ------
    ValueError
    """
    # Keras also keeps a cache.
    lost = {name for name in vars(given).keys() - vars(own).keys() if not name.endswith("_cache")}
    if lost:
        raise ValueError(
            f"optimizer={given.name!r} was changed after it was made ({', '.join(sorted(lost))}), "
            "and the copy that trains would lose the change. Make it in the method `build` of a "
            "subclass, where exclude_from_weight_decay(var_names=...) works."
        )
    if type(given).__module__.startswith("keras."):
        return
    copied = {name: value for name, value in vars(own).items() if _is_setting(name, value)}
    other = [name for name, value in copied.items() if vars(given).get(name, value) != value]
    if other:
        raise ValueError(
            f"optimizer={given.name!r} has a setting ({', '.join(sorted(other))}) that its copy, "
            f"which trains, has not: give {type(given).__name__} a method get_config that returns "
            "all arguments of its constructor."
        )


def _is_setting(name: str, value: Any) -> bool:
    """Whether an attribute of an optimizer is one of its settings; names and rates are ours."""
    not_set = name.startswith("_") or name in ("name", "built")
    return isinstance(value, _PLAIN) and not not_set


def named_settings(given: Any) -> str | None:
    """Return a text that identifies an optimizer; None if it may contain a user's class."""
    if isinstance(given, str):
        return given
    settings = given
    if type(given).__module__.startswith("keras."):
        settings = given.get_config() | {"learning_rate": None, "class": type(given).__name__}
    if not isinstance(settings, Mapping):
        return None
    return json.dumps(dict(settings), sort_keys=True) if _are_plain(settings) else None


def rate_function(learning_rate: Any, given: "str | keras.Optimizer") -> RateFunction | None:
    """Return the Keras schedule of the learning rate, given directly or in the optimizer.

    Raises
    ------
    ValueError
        If it is another kind of function, or a rate is to be found as well.
    """
    from keras import Optimizer
    from keras.optimizers import schedules

    if callable(learning_rate):
        if not isinstance(learning_rate, schedules.LearningRateSchedule):
            raise ValueError(
                "learning_rate must be a number, 'auto' or a "
                f"keras.optimizers.schedules.LearningRateSchedule; got {learning_rate!r}."
            )
        return RateFunction(learning_rate)
    config = given.get_config() if isinstance(given, Optimizer) else {}
    if not isinstance(config.get("learning_rate"), dict):
        return None
    if learning_rate == "auto":
        raise ValueError(
            f"learning_rate='auto' finds a constant rate, but the optimizer {given.name!r} has its "
            "own schedule. Use one or the other."
        )
    try:
        return RateFunction(schedules.deserialize(config["learning_rate"]))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The learning rate of the optimizer {given.name!r} cannot be copied ({error}). Pass "
            "the schedule as learning_rate instead."
        ) from error


def _are_plain(settings: Mapping[str, Any]) -> bool:
    return all(isinstance(value, _PLAIN) for value in settings.values())


def _with_settings(settings: dict[str, Any]) -> "keras.Optimizer":
    """Return an optimizer from a name with settings, which may come from a stranger's file."""
    from keras import optimizers

    name = settings.pop("name", None)
    if not isinstance(name, str) or not _are_plain(settings):
        raise ValueError(
            "An optimizer as a dict has its Keras name and plain settings, for example "
            f"{{'name': 'sgd', 'momentum': 0.5}}; got {settings | {'name': name}}."
        )
    if "learning_rate" in settings:
        raise ValueError(
            f"optimizer={settings | {'name': name}} has a learning_rate, which would have no "
            "effect: the parameter learning_rate of the estimator sets it."
        )
    try:
        return type(optimizers.get(name))(**settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"There is no optimizer {name!r} with {settings}: {error}") from None
