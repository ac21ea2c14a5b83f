import numpy as np
import pytest

from boxest import networks

# Fig. 2 of the paper, row by row.
FIG_2 = [
    ("max_pooling2d (MaxPooling2D)", (None, 64, 64, 1), 0),
    ("conv2d (Conv2D)", (None, 64, 64, 4), 40),
    ("max_pooling2d_1 (MaxPooling2D)", (None, 32, 32, 4), 0),
    ("conv2d_1 (Conv2D)", (None, 32, 32, 4), 148),
    ("max_pooling2d_2 (MaxPooling2D)", (None, 16, 16, 4), 0),
    ("flatten (Flatten)", (None, 1024), 0),
    ("dense (Dense)", (None, 16), 16400),
    ("dense_1 (Dense)", (None, 4), 68),
]


def test_paper_network_is_that_of_fig_2():
    model = networks.paper((128, 128, 1))
    assert networks.layer_table(model) == FIG_2
    assert model.count_params() == 16_656


@pytest.mark.parametrize("shape", [(8, 8, 1), (33, 50, 1), (64, 128, 3)])
def test_paper_network_takes_any_image_size(shape):
    model = networks.paper(shape)
    assert model.predict(np.zeros((2, *shape), "float32"), verbose=0).shape == (2, 4)


def test_images_that_cannot_be_halved_three_times_are_refused():
    with pytest.raises(ValueError, match="at least 8×8 px, got 7×128 px"):
        networks.paper((7, 128, 1))


@pytest.mark.parametrize(("activation", "low", "high"), [("sigmoid", 0, 1), ("tanh", -1, 1)])
def test_output_activation_bounds_the_output(activation, low, high):
    model = networks.paper((16, 16, 1), output_activation=activation)
    output = model.predict(np.full((4, 16, 16, 1), 1e3, "float32"), verbose=0)
    assert low <= output.min() <= output.max() <= high


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="Unknown output_activation 'softsine'"):
        networks.paper((16, 16, 1), output_activation="softsine")


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'resnet'. Choose one of \['auto', 'paper'"):
        networks.build("resnet", (16, 16, 1))


def test_own_function_must_end_in_a_box():
    import keras

    def five(image_shape, **_):
        return keras.Sequential(
            [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(5)]
        )

    with pytest.raises(ValueError, match=r"4 numbers per image.*\(None, 5\)"):
        networks.build(five, (16, 16, 1))


def weights(seed):
    return np.concatenate([w.ravel() for w in networks.paper((16, 16, 1), seed=seed).get_weights()])


def test_initial_weights_are_a_function_of_the_seed():
    assert np.array_equal(weights(3), weights(3))
    assert not np.isclose(weights(3), weights(4)).all()


def test_layers_of_equal_shape_start_differently():
    """A seed per layer: otherwise two layers of one shape would start with the same weights."""
    first, second = (networks.paper((16, 16, 4)).get_layer(name) for name in ("conv2d", "conv2d_1"))
    assert not np.isclose(first.kernel, second.kernel).any()


def test_initial_weights_are_glorot_uniform():
    kernel = np.asarray(networks.paper((128, 128, 1)).get_layer("dense").kernel)
    limit = np.sqrt(6 / (1024 + 16))
    assert np.abs(kernel).max() <= limit
    assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("n_outputs", [1, 4, 7])
def test_any_number_of_outputs(n_outputs):
    model = networks.build("paper", (16, 16, 1), n_outputs=n_outputs)
    assert model.output_shape == (None, n_outputs)


def test_auto_is_the_paper_network_where_it_fits():
    auto, paper = (networks.build(name, (16, 16, 1), seed=2) for name in ("auto", "paper"))
    assert networks.layer_table(auto) == networks.layer_table(paper)
    assert all(
        np.array_equal(a, b) for a, b in zip(auto.get_weights(), paper.get_weights(), strict=True)
    )
    small = networks.build("auto", (1, 10, 1), n_outputs=2)
    assert [type(layer).__name__ for layer in small.layers] == ["Flatten", "Dense", "Dense"]


@pytest.mark.parametrize("shape", [(1, 10, 1), (7, 300, 1), (8, 8, 1), (8, 8, 3), (33, 50, 2)])
def test_no_network_has_fewer_parameters_than_the_least(shape):
    assert networks.least_parameters(shape) <= networks.build("auto", shape).count_params()
