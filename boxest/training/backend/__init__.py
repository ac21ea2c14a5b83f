"""The parts of training that differ between TensorFlow and JAX.

Each backend is one module with the same four functions, and ``ALWAYS_XLA``, which says whether it
has no other compiler; everything else is Keras.

================================  ===========================================================
``put(array)``                    the array, resident on the device
``get(tensor)``                   the tensor as a numpy array; waits until it is computed
``compile(f, xla)``               ``f``, compiled
``compile_epoch(program, xla)``   all updates of an epoch: ``epoch(examples, pieces)`` trains
                                  the program's network in the order of the pieces, triples of
                                  an order, the learning rate of each step, and a number of
                                  steps, and returns the sums
================================  ===========================================================
"""

from importlib import import_module
from types import ModuleType

from boxest.system.backend import supported


def load() -> ModuleType:
    """Return the module for the backend that Keras runs on; see `system.backend.supported`."""
    return import_module(f"boxest.training.backend.{supported()}")
