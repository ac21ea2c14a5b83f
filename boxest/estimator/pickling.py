"""Pickle and copy estimators with their Keras objects.

Keras pickles its objects by their configuration. So it loses attributes that are not in it (the
delta of a `keras.losses.Huber`), and users' classes that it does not know. Here, a loss keeps its
attributes, and a network keeps the classes that its configuration names: by reference, as usual for
pickle, so that another process imports them again.
"""

import copy
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from boxest.estimator import building, optimizers
from boxest.system import backend, versions

if TYPE_CHECKING:
    import keras


# Left out, because programs are compiled again, contexts belong to a running fit, and callbacks may
# hold anything.
_NOT_STORED = ("_trainer", "_predictor", "_callback_fit_ctx", "callbacks_")


class PicklingMixin:
    """Extends scikit-learn's pickling, copying and cloning of estimators."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again on demand, and add the versions."""
        state = super().__getstate__()
        state = {name: stored(value) for name, value in state.items() if name not in _NOT_STORED}
        return state | {"_versions": versions.current()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, and warn if other versions stored it."""
        state = dict(state)
        versions.check(state.pop("_versions", {}), f"This {type(self).__name__}")
        super().__setstate__(state)
        if "model_" in state:
            building.compile_for_keras(self, self.model_, self.model_.loss)

    def __copy__(self) -> Self:
        """Make a shallow copy that shares the network; `copy.copy` would keep it wrapped."""
        new = object.__new__(type(self))
        vars(new).update((name, vars(self)[name]) for name in vars(self) if name not in _NOT_STORED)
        return new

    def __sklearn_clone__(self) -> Self:
        """Clone as scikit-learn does, with complete copies of Keras objects."""
        parameters = self.get_params(deep=False)
        copies = {
            name: copied(value) for name, value in parameters.items() if stored(value) is not value
        }
        bare = object.__new__(type(self))
        vars(bare).update(vars(self) | dict.fromkeys(copies))
        return super(PicklingMixin, bare).__sklearn_clone__().set_params(**copies)


class Stored:
    """Stands for a network, a loss or an optimizer in the state of an estimator.

    Unpickling or deep-copying it returns the object itself, or an equal one.
    """

    def __init__(self, value: Any):
        self.value = value

    def __reduce__(self) -> tuple:
        import keras

        if isinstance(self.value, keras.Model):
            restore, parts = _model, _parts_of_model(self.value)
        elif isinstance(self.value, keras.Optimizer):
            restore, parts = _optimizer, _parts_of_optimizer(self.value)
            _refuse_lost_changes(self.value, *parts)
        else:
            restore, parts = _loss, (type(self.value), vars(self.value))
        return _restored, (_Backend(), restore, *parts)


class _Backend:
    """Starts Keras quietly when it is unpickled, before any class that imports Keras."""

    def __reduce__(self) -> tuple:
        return backend.start, ()


def _restored(_: None, restore: Callable, *parts: Any) -> Any:
    return restore(*parts)


def stored(value: Any) -> Any:
    """Return the stored form of a parameter or attribute: the value itself, or a `Stored`."""
    # If Keras was not imported, this is not a Keras object.
    keras = sys.modules.get("keras")
    if keras and isinstance(value, (keras.Model, keras.Loss, keras.Optimizer)):
        return Stored(value)
    return value


def copied(value: Any) -> Any:
    """Return a deep copy of a parameter of an estimator."""
    return copy.deepcopy(stored(value))


def _loss(kind: type, attributes: dict[str, Any]) -> "keras.Loss":
    loss = kind.__new__(kind)
    vars(loss).update(attributes)
    return loss


def _parts_of_optimizer(optimizer: "keras.Optimizer") -> tuple:
    config = optimizer.get_config()
    values = backend.values_of(optimizer.variables) if optimizer.built else None
    return type(optimizer), config, _classes(config), values


def _optimizer(
    kind: type, config: dict, classes: dict, values: list | None, variables: Iterable = ()
) -> "keras.Optimizer":
    import keras

    with keras.saving.custom_object_scope(classes):
        optimizer = kind.from_config(config)
    if values is not None and variables:
        optimizer.build(variables)
        # Otherwise layers were frozen or unfrozen since, and the next training uses a new
        # optimizer.
        if [value.shape for value in values] == [tuple(v.shape) for v in optimizer.variables]:
            backend.assign(optimizer.variables, values)
    return optimizer


def _refuse_lost_changes(optimizer: "keras.Optimizer", *parts: Any) -> None:
    """Refuse an optimizer that `fit` refuses: `fit` would see its copy, which lacks the change."""
    import keras

    own = _optimizer(*parts[:3], None)
    if optimizer.built:
        own.build([keras.Variable(0.0)])
    optimizers.refuse_lost_changes(optimizer, own)


def _parts_of_model(model: "keras.Model") -> tuple:
    import keras

    config = keras.saving.serialize_keras_object(model)
    # The estimator that restores it compiles it again, with a loss that has kept its attributes.
    config.pop("compile_config", None)
    optimizer = model.optimizer and _parts_of_optimizer(model.optimizer)
    return (
        config,
        _classes(config, backend.all_layers(model)),
        backend.values_of(model.variables),
        optimizer,
        stored(getattr(model, "loss", None)),
    )


def _model(
    config: dict, classes: dict[str, Any], values: list, optimizer: tuple | None, loss: Any
) -> "keras.Model":
    import keras

    with keras.saving.custom_object_scope(classes):
        model = keras.saving.deserialize_keras_object(config, safe_mode=False)
    backend.assign(model.variables, values)
    if optimizer:
        model.optimizer = _optimizer(*optimizer, model.trainable_variables)
    model.loss = loss
    return model


def _classes(config: dict, layers: Iterable = ()) -> dict[str, Any]:
    """Return the classes and functions in a configuration that do not belong to Keras.

    Raises
    ------
    ValueError
        If one is not found.
    """
    there = {(type(layer).__module__, type(layer).__name__): type(layer) for layer in layers}
    found = {}
    for module, name, registered_name in _names(config):
        found[registered_name] = there.get((module, name)) or getattr(
            sys.modules.get(module), name, None
        )
        if found[registered_name] is None:
            raise ValueError(
                f"{module}.{name}, which a network or an optimizer uses, cannot be copied or "
                "pickled: define it at the top level of a module."
            )
    return found


def _names(config: Any) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and registered name of what in a configuration is not Keras'."""
    if isinstance(config, dict):
        module = config.get("module")
        is_object = "class_name" in config and isinstance(module, str)
        if is_object and module.split(".")[0] not in ("keras", "builtins"):
            is_function = config["class_name"] == "function"
            name = config["config"] if is_function else config["class_name"]
            yield module, name, config.get("registered_name") or name
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for part in config:
            yield from _names(part)
