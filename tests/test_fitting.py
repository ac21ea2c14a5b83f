"""What is built before a training."""

import keras
import pytest

from boxest import BoxRegressor, fitting


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
    with pytest.raises(ValueError, match=r"expects a loss that is scaled.*without loss_scale_f"):
        fitting.optimizer(optimizer, model, 0.1)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_keras_scales_no_loss_by_itself(small_data, engine):
    """It would in half precision, and put its own optimizer around the given one."""
    images, boxes = (part[:64] for part in small_data)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        regressor = BoxRegressor.paper(network=dense, engine=engine, epochs=1, random_state=0)
        regressor.fit(images, boxes)
    finally:
        keras.config.set_dtype_policy(policy)
    assert type(regressor.model_.optimizer) is keras.optimizers.SGD
    assert 0 < regressor.history_[0]["train_loss"] < 1
