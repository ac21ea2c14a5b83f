"""Share compiled programs among successive trainings of the same kind.

A backend keeps everything that it compiled with XLA as long as the process lives, about 40 MB each
time, so a search over hundreds of fits would run out of memory. Compiling also takes seconds. Here,
the programs of a finished training wait for the next one of the same kind. They train their own
network; before and after each call, its variables are exchanged with those of the training.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.system.backend import device
from boxest.training import layout
from boxest.training.backend import load
from boxest.training.predictor import Predictor
from boxest.training.program import EpochProgram, UnfoldedProgram, by_name

if TYPE_CHECKING:
    import keras

# Number of kinds of training whose programs wait; the oldest ones are dropped first.
KINDS = 8


class Programs:
    """The compiled programs of a network.

    Parameters
    ----------
    model : keras.Model
        The model that the programs train, unless `serve` names another one.
    optimizer : keras.Optimizer
        Built for the model.
    xla : bool or "auto"
        As for `Predictor`.
    program_class : type, default=EpochProgram
    **settings
        As for `EpochProgram`.
    """

    def __init__(
        self,
        model: "keras.Model",
        optimizer: "keras.Optimizer",
        *,
        xla: bool | str,
        program_class: type = EpochProgram,
        **settings: Any,
    ):
        self.variables = [*model.variables, *optimizer.variables]
        self.predictor = Predictor(model, xla=xla, whole=settings["augmentation"] is not None)
        self._class, self._settings = program_class, settings | {"optimizer": optimizer}
        self._pairs: list[tuple[keras.Variable, keras.Variable]] = []

    def serve(self, model: "keras.Model", optimizer: "keras.Optimizer") -> None:
        """From now on, train another network with the same layers and another optimizer."""
        theirs = [*model.variables, *optimizer.variables]
        self._pairs[:] = zip(theirs, self.variables, strict=True)

    @functools.cached_property
    def measure(self) -> Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]:
        """From targets and outputs, by name, the loss and the measures of each example."""
        loss, backend = self._settings["loss"], load()
        measured = by_name(loss, self._settings["measures"])

        def values(targets, outputs):
            return [function(targets, outputs) for function in measured.values()]

        # Compiled, it runs once in Python, where a user's loss may do anything. XLA would take
        # longer to compile it than it saves.
        if not layout.is_of_a_user(loss):
            values = backend.compile(values, xla=False)

        def measure(targets: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
            found = values(backend.put(targets.astype(np.float32)), backend.put(outputs))
            return dict(zip(measured, map(backend.get, found), strict=True))

        return measure

    @functools.cached_property
    def program(self) -> EpochProgram:
        """The program that trains for an epoch."""
        return self._new(self._class, self.predictor.trunk)

    @functools.cached_property
    def unfolded(self) -> EpochProgram | None:
        """The same for images that are cut into patches once; None if that gains nothing."""
        if self._class is not EpochProgram or device() != "cpu":
            return None
        if self._settings["augmentation"] is not None:
            return None
        from boxest.training.graph import unfolded

        trunk = unfolded(self.predictor.trunk)
        return trunk and self._new(UnfoldedProgram, trunk)

    def _new(self, program_class: type, trunk: "keras.Model") -> EpochProgram:
        program = program_class(trunk, **self._settings, xla=self.predictor.xla)
        program.pairs = self._pairs
        return program


class Waiting:
    """Programs that wait for the next training of their kind; each serves one at a time."""

    def __init__(self, n_kinds: int = KINDS):
        # Python may release a failed training at any moment, also in the block of the lock.
        self._n_kinds, self._lock = n_kinds, threading.RLock()
        self._programs: OrderedDict[Hashable, Programs] = OrderedDict()

    def take(self, kind: Hashable, make: Callable[[], Programs]) -> Programs:
        """Return the waiting programs of a kind, or new ones."""
        with self._lock:
            programs = self._programs.pop(kind, None)
        return make() if programs is None else programs

    def give_back(self, kind: Hashable, programs: Programs) -> None:
        """Let programs wait, without the network that they last served."""
        programs._pairs.clear()
        with self._lock:
            self._programs[kind] = programs
            while len(self._programs) > self._n_kinds:
                self._programs.popitem(last=False)


WAITING = Waiting()
