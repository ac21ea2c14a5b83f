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
    with pytest.raises(ValueError, match=r"'resnet'. Choose one of \['auto', 'marginal', 'paper'"):
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
@pytest.mark.parametrize("name", sorted(networks.LEAST_PARAMETERS))
def test_no_network_has_fewer_parameters_than_the_least(name, shape):
    if name in ("paper", "roi"):  # They take none below 8 px.
        shape = (max(shape[0], 8), max(shape[1], 8), shape[2])
    least = networks.least_parameters(name, shape, 4)
    assert 0 < least <= networks.build(name, shape).count_params()


# --- profile and roi -------------------------------------------------------------------------


def layer_of(layer, *inputs):
    return np.asarray(layer(*(np.asarray(values, "float32") for values in inputs)))


def test_a_profile_holds_the_largest_means_of_runs_and_the_mean():
    from boxest.networks.layers import Profile

    rng = np.random.default_rng(0)
    images = rng.random((3, 8, 5, 2))
    expected = []
    for window in (1, 4):
        runs = np.stack([images[:, i : i + window].mean(1) for i in range(9 - window)])
        expected.append(runs.max(0))
    # Sixteen pixels are more than a column has: it is one run.
    expected += [images.mean(1), images.mean(1)]
    along_x = layer_of(Profile("x"), images)
    np.testing.assert_allclose(along_x, np.concatenate(expected, -1), rtol=1e-6)
    along_y = layer_of(Profile("y"), images.swapaxes(1, 2))
    np.testing.assert_allclose(along_y, along_x, rtol=1e-6)


def test_a_profile_of_a_box_is_its_extent():
    from boxest.networks.layers import Profile

    images = np.zeros((1, 32, 24, 1))
    images[:, 10:30, 5:12] = 1
    x, y = (layer_of(Profile(axis), images)[0] for axis in ("x", "y"))
    for values, length, extent in ((x, 24, slice(5, 12)), (y, 32, slice(10, 30))):
        inside = np.zeros(length)
        inside[extent] = 1
        assert np.array_equal(values[:, 0], inside)
        assert np.array_equal(values[:, 1], inside)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"axis": "z"}, "got 'z'"), ({"axis": "x", "windows": (1, 3)}, r"powers of 2.*\(1, 3\)")],
)
def test_other_profiles_are_refused(options, message):
    from boxest.networks.layers import Profile

    with pytest.raises(ValueError, match=message):
        Profile(**options)


def test_a_soft_argmax_is_the_place_of_a_clear_peak_and_the_middle_of_none():
    from boxest.networks.layers import SoftArgmax

    scores = np.zeros((1, 5, 3))
    scores[0, 0, 0] = scores[0, 3, 1] = 100
    np.testing.assert_allclose(layer_of(SoftArgmax(), scores), [[0, 0.75, 0.5]], atol=1e-6)


def test_a_profile_network_starts_with_a_box_that_is_one():
    """Neither flipped nor empty, whatever the seed: plain IoU has no gradient for those."""
    image = np.zeros((1, 32, 32, 1), "float32")
    image[:, 8:24, 8:24] = 1
    for seed in range(5):
        model = networks.build("profile", (32, 32, 1), seed=seed)
        x1, y1, x2, y2 = model.predict(image, verbose=0)[0]
        assert min(x2 - x1, y2 - y1) > 0.05


def test_slopes_are_added_along_the_line():
    from boxest.networks.layers import Slope

    values = layer_of(Slope((-2, 4)), np.ones((1, 3, 2)))
    assert np.array_equal(values, [[[1, 1], [0, 3], [-1, 5]]])


def test_a_window_is_the_box_enlarged_around_its_centre():
    from boxest.networks.layers import Window

    boxes = [[0.2, 0.4, 0.6, 0.5], [0.6, 0.5, 0.2, 0.4]]
    windows = [[0.05, 0.325, 0.75, 0.575], [0.35, 0.4, 0.45, 0.5]]
    np.testing.assert_allclose(layer_of(Window(1.5, 0.1), boxes), windows, atol=1e-6)


def test_a_crop_is_the_mean_of_the_pixels_under_each_cell():
    """Whole pixels, halves of them, and what lies outside the image."""
    from boxest.networks.layers import Crop

    image = np.arange(16.0).reshape(1, 4, 4, 1)
    whole = layer_of(Crop(2), image, [[0, 0, 1, 1]])[0, ..., 0]
    np.testing.assert_allclose(whole, [[2.5, 4.5], [10.5, 12.5]])
    half = layer_of(Crop(2), image, [[0.125, 0.25, 0.625, 0.75]])[0, ..., 0]
    np.testing.assert_allclose(half, [[4.5, 5.5], [8.5, 9.5]])
    outside = layer_of(Crop(2), image, [[-1, 0, 1, 1]])[0, ..., 0]
    np.testing.assert_allclose(outside, [[0, 3.5], [0, 11.5]])


def test_a_crop_of_two_channels_crops_each():
    from boxest.networks.layers import Crop

    image = np.random.default_rng(0).random((2, 6, 9, 2))
    windows = [[0.1, 0.2, 0.7, 0.9], [0.4, 0, 0.5, 0.3]]
    both = layer_of(Crop(3), image, windows)
    for channel in (0, 1):
        one = layer_of(Crop(3), image[..., channel : channel + 1], windows)
        np.testing.assert_allclose(both[..., channel : channel + 1], one, atol=1e-6)


def test_a_box_is_put_back_where_its_window_is():
    from boxest.networks.layers import Placed

    box = layer_of(Placed(), [[0, 0.25, 0.5, 1]], [[0.2, 0.4, 0.6, 0.5]])
    np.testing.assert_allclose(box, [[0.2, 0.425, 0.4, 0.5]], atol=1e-6)


def test_layer_tables_of_profile_and_roi_are_those_of_the_documentation():
    tables = {name: networks.layer_table(networks.build(name, (128, 128, 1))) for name in NEW}
    assert sum(row.parameters for row in tables["profile"]) == 220
    assert sum(row.parameters for row in tables["roi"]) == 20_876
    assert ("places (SoftArgmax)", (None, 2), 0) in tables["profile"]
    assert ("crop (Crop)", (None, 16, 16, 1), 0) in tables["roi"]


NEW = ("profile", "roi", "marginal")


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("shape", [(32, 32, 1), (33, 50, 1), (64, 128, 3), (8, 8, 1)])
def test_networks_of_edges_take_images_of_any_shape(name, shape):
    model = networks.build(name, shape)
    images = np.random.default_rng(0).random((2, *shape)).astype("float32")
    boxes = model.predict(images, verbose=0)
    assert boxes.shape == (2, 4)
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("name", NEW)
def test_outputs_that_are_no_box_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' returns the 4 edges of a box.* not 2 numbers"):
        networks.build(name, (16, 16, 1), n_outputs=2)
    with pytest.raises(ValueError, match="must be 'linear', got 'sigmoid'"):
        networks.build(name, (16, 16, 1), output_activation="sigmoid")
    with pytest.raises(ValueError, match="Unknown output_activation 'softsine'"):
        networks.build(name, (16, 16, 1), output_activation="softsine")


@pytest.mark.parametrize("name", NEW)
def test_first_weights_of_networks_of_edges_are_a_function_of_the_seed(name):
    one, same, other = (networks.build(name, (16, 16, 1), seed=seed) for seed in (3, 3, 4))
    kernels = [v for v in one.variables if "kernel" in v.path]
    assert all(np.array_equal(a, b) for a, b in zip(one.variables, same.variables, strict=True))
    for variable in kernels:
        (theirs,) = (v for v in other.variables if v.path == variable.path)
        assert not np.isclose(variable, theirs).all()


def test_images_that_roi_cannot_halve_are_refused():
    with pytest.raises(ValueError, match=r"'roi'.*at least 8×8 px, got 7×128 px"):
        networks.build("roi", (7, 128, 1))


@pytest.mark.parametrize(
    ("shape", "scale"), [((16, 24, 1), (1, 1)), ((15, 18, 3), (20 / 18, 16 / 15))]
)
def test_marginal_places_reach_from_the_first_edge_of_the_image_to_the_last(shape, scale):
    """An image that cannot be halved twice is enlarged: the edge of that one lies outside."""
    model = networks.build("marginal", shape)
    for axis in ("x", "y"):
        model.get_layer(f"scores_{axis}").kernel.assign(np.zeros((4, 48, 2)))
        model.get_layer(f"slope_{axis}").slope.assign([-1e4, 1e4])
    box = model.predict(np.random.default_rng(0).random((1, *shape)), verbose=0)[0]
    np.testing.assert_allclose(box, [0, 0, *scale], atol=1e-6)


def test_marginal_moves_with_the_object():
    """Shifted by whole cells, far from the borders, an object has the same features elsewhere."""
    model = networks.build("marginal", (128, 128, 1))
    for axis in ("x", "y"):  # Black has no features, and so no score.
        scores = model.get_layer(f"scores_{axis}")
        scores.kernel.assign(1000 * np.abs(np.asarray(scores.kernel)))
        model.get_layer(f"slope_{axis}").slope.assign([0, 0])
    image = np.zeros((2, 128, 128, 1), "float32")
    texture = np.random.default_rng(0).random((16, 20, 1))
    image[0, 48:64, 52:72] = texture
    image[1, 56:72, 48:68] = texture
    first, second = model.predict(image, verbose=0)
    np.testing.assert_allclose(second - first, np.array([-4, 8, -4, 8]) / 128, atol=1e-3)
