"""What is built before a training."""

import keras
import pytest

from boxest import networks
from boxest.estimator import optimizers


def dense(image_shape, *, output_activation, seed):
    layers = keras.layers.Flatten(), keras.layers.Dense(4, dtype="float32")
    return keras.Sequential([keras.Input(image_shape), *layers])


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(loss_scale_factor=1024.0),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    ],
    ids=["factor", "around another"],
)
def test_optimizers_that_expect_a_scaled_loss_are_refused(optimizer):
    """They divide the gradients by a factor that the loss is not multiplied by."""
    model = dense((8, 8, 1), output_activation="linear", seed=0)
    with pytest.raises(ValueError, match=r"expects a scaled loss.*without loss_scale_f"):
        optimizers.get(optimizer, model, 0.1)


class Halved(keras.optimizers.SGD):
    """Its constructor has an argument that its configuration lacks."""

    def __init__(self, learning_rate=0.01, factor=1.0, **options):
        super().__init__(learning_rate, **options)
        self.factor = factor


class Whole(Halved):
    def get_config(self):
        return super().get_config() | {"factor": self.factor}


def test_settings_that_the_copy_of_an_optimizer_lacks_are_refused():
    """It trained with the default."""
    model = dense((8, 8, 1), output_activation="linear", seed=0)
    with pytest.raises(
        ValueError, match=r"a setting \(factor\) .* give Halved a method get_config"
    ):
        optimizers.get(Halved(factor=0.5), model, 0.1)
    assert optimizers.get(Halved(), model, 0.1).factor == 1.0
    assert optimizers.get(Whole(factor=0.5), model, 0.1).factor == 0.5


@pytest.mark.parametrize("given", ["adam", {"name": "adam", "beta_1": 0.8}])
def test_names_of_variables_are_not_counted_up(given):
    def paths():
        model = networks.build("paper", (16, 16, 1))
        optimizer = optimizers.get(given, model, 0.1)
        return [variable.path for variable in [*model.variables, *optimizer.variables]]

    assert paths() == paths()
