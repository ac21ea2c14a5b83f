"""What is added in one place is there everywhere."""

import keras
import numpy as np
import pytest
from conftest import ROOT

from boxest import BoxRegressor, boxes, networks, synthetic
from boxest.study import configuration, estimators, run_table

FILE = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def mean(image_shape, *, n_outputs=4, output_activation="linear", seed=0):
    """A box from the mean grey level: no network has fewer weights."""
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(n_outputs)]
    return keras.Sequential([keras.Input(image_shape), *layers])


def test_a_network_that_is_registered_trains_in_a_study_and_is_saved_and_loaded(
    tmp_path, monkeypatch
):
    grid = {"network": ["paper", "mean"], "batch_size": [16], "learning_rate": [0.1], "seeds": 1}
    keys = {"grid": grid, "settings": {"epochs": 1}}
    with pytest.raises(configuration.ConfigurationError, match=r"'mean' is not one of \['auto', "):
        configuration.read(keys, configuration.Schema(FILE))
    monkeypatch.setitem(networks.NETWORKS, "mean", mean)
    config = configuration.read(keys, configuration.Schema(FILE))
    (run,) = (run for run in run_table.runs(config) if run.settings["network"] == "mean")
    images, true = synthetic.make(0, 40, seed=0, image_size=16)
    regressor = estimators.make(run.settings, run.seed).fit(images, true)
    assert regressor.model_.count_params() == 8
    regressor.save(tmp_path / "model")
    loaded = BoxRegressor.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(images), regressor.predict(images))


def test_every_measure_is_a_loss_of_the_configuration():
    (names, _) = configuration.Schema(FILE).parameters["loss"]["anyOf"]
    assert boxes.MEASURES.keys() <= set(names["enum"])
