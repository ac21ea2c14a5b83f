"""Estimators in files and pickles."""

from typing import TYPE_CHECKING, Any, Self

from sklearn.utils.validation import check_is_fitted

from boxest.estimator.pickling import copied, stored
from boxest.system import versions

if TYPE_CHECKING:
    import os

# Programs are compiled again, contexts belong to a running fit, and callbacks may hold anything.
_NOT_STORED = ("_trainer", "_predictor", "_callback_fit_ctx", "callbacks_")


class Storable:
    """What an estimator needs to be stored, beside the state that scikit-learn stores."""

    def save(self, path: "str | os.PathLike") -> None:
        """Write the fitted estimator to one file; see `boxest.estimator.saving.save`."""
        from boxest.estimator import saving

        check_is_fitted(self)
        saving.save(self, path)

    def export(self, path: "str | os.PathLike", *, format: str | None = None) -> None:
        """Write the network for other programs, ONNX or SavedModel; see `estimator.export`."""
        from boxest.estimator.export import export

        export(self, path, format=format)

    @classmethod
    def load(cls, path: "str | os.PathLike") -> Self:
        """Read what `save` wrote, from a stranger too; see `boxest.estimator.saving.load`."""
        from boxest.estimator import saving

        return saving.load(cls, path)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made again when it is needed, and say which versions this is."""
        state = super().__getstate__()
        state = {name: stored(value) for name, value in state.items() if name not in _NOT_STORED}
        return state | {"_versions": versions.current()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, and warn where other versions stored it."""
        state = dict(state)
        versions.check(state.pop("_versions", {}), f"This {type(self).__name__}")
        super().__setstate__(state)
        if "model_" in state:
            self._compile(self.model_, self.model_.loss)

    def __copy__(self) -> Self:
        """Share the network: what `stored` wraps, `copy.copy` would leave wrapped."""
        new = object.__new__(type(self))
        vars(new).update((name, vars(self)[name]) for name in vars(self) if name not in _NOT_STORED)
        return new

    def __sklearn_clone__(self) -> Self:
        """Clone as scikit-learn does, with copies of Keras' objects that have lost nothing."""
        parameters = self.get_params(deep=False)
        copies = {
            name: copied(value) for name, value in parameters.items() if stored(value) is not value
        }
        bare = object.__new__(type(self))
        vars(bare).update(vars(self) | dict.fromkeys(copies))
        return super(Storable, bare).__sklearn_clone__().set_params(**copies)
