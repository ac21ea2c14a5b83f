"""A Keras model on its way through a pickle."""

from typing import TYPE_CHECKING

from boxest import runtime

# Unpickling imports this module before it reads the model, so that Keras, started quietly, already
# knows the losses and the layers that the model names.
runtime.start_backend()
from boxest import losses  # noqa: E402, F401
from boxest.networks import layers  # noqa: E402, F401

if TYPE_CHECKING:
    import keras


class StoredModel:
    """Holds a model in the state of an estimator."""

    def __init__(self, model: "keras.Model"):
        self.model = model
