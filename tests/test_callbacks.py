"""Keras callbacks; those of scikit-learn are in test_sklearn.py."""

import numpy as np
import pytest

from boxest import BoxRegressor, synthetic
from boxest.training import stream

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


def quick(*callbacks, **parameters):
    parameters = {"epochs": 3, "random_state": 0, "xla": False} | parameters
    return BoxRegressor.paper(callbacks=list(callbacks), **parameters)


class Recorder(keras.callbacks.Callback):
    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at = stop_at
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append(("begin", self.params["epochs"]))

    def on_train_end(self, logs=None):
        self.seen.append(("end", logs["val_loss"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs)
        self.model.stop_training = epoch == self.stop_at


class PerBatch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def raising_on_nan():
    callback = keras.callbacks.TerminateOnNaN()
    callback.raise_error = True  # Older versions of Keras have no such argument.
    return callback


def test_they_are_called_and_left_untouched(data):
    recorder = Recorder(stop_at=1)
    regressor = quick(recorder).fit(*data)
    assert recorder.seen == []
    assert recorder.model is None
    (copy,) = regressor.callbacks_
    last = regressor.history_[-1]
    assert copy.seen[:2] == [("begin", 3), 0]
    assert copy.seen[-3:] == [
        1,
        {
            "loss": last["train_loss"],
            "iou_loss": last["train_iou_loss"],
            "inclusive_iou_loss": last["train_inclusive_iou_loss"],
            "val_loss": last["validation_loss"],
            "val_iou_loss": last["validation_iou_loss"],
            "val_inclusive_iou_loss": last["validation_inclusive_iou_loss"],
        },
        ("end", last["validation_loss"]),
    ]
    assert (regressor.n_iter_, regressor.stopped_early_) == (2, True)


def test_looking_on_changes_nothing(data):
    X, y = data
    watched, alone = quick(Recorder()).fit(X, y), quick().fit(X, y)
    assert np.array_equal(watched.predict(X), alone.predict(X))


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1)),
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None),
    ],
    ids=["schedule", "none"],
)
def test_learning_rate_of_callbacks_is_honoured(data, callback):
    regressor = quick(callback, plateau_patience=None).fit(*data)
    rates = [row["learning_rate_now"] for row in regressor.history_]
    scheduled = isinstance(callback, keras.callbacks.LearningRateScheduler)
    assert rates == pytest.approx([0.5, 0.25, 0.5 / 3] if scheduled else [0.1] * 3)


class Faster(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = 0.5


def test_learning_rate_set_before_the_first_epoch(data):
    regressor = quick(Faster(), schedule="constant").fit(*data)
    assert [row["learning_rate_now"] for row in regressor.history_] == [0.5] * 3
    with pytest.raises(ValueError, match=r"set the learning rate to 0.5, but here the schedule"):
        quick(Faster(), schedule="cosine").fit(*data)


def test_learning_rate_set_at_the_end_of_an_epoch(data):
    callback = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=10)
    regressor = quick(callback, plateau_patience=None).fit(*data)
    rates = [row["learning_rate_now"] for row in regressor.history_]
    assert rates == pytest.approx([0.1, 0.1, 0.05])


def test_early_stopping_restores_the_best_weights(data):
    X, y = data
    callback = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=1, restore_best_weights=True
    )
    regressor = quick(callback, epochs=5).fit(X, y)
    assert regressor.n_iter_ == 2
    assert np.array_equal(regressor.predict(X), quick(epochs=1).fit(X, y).predict(X))


def test_checkpoints_are_written(data, tmp_path):
    path = tmp_path / "{epoch}.weights.h5"
    quick(keras.callbacks.ModelCheckpoint(path, save_weights_only=True)).fit(*data)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"{epoch}.weights.h5" for epoch in (1, 2, 3)
    ]


def test_epochs_are_counted_on(data):
    regressor = quick(Recorder(), epochs=2, warm_start=True).fit(*data).fit(*data)
    assert [seen for seen in regressor.callbacks_[0].seen if isinstance(seen, int)] == [2, 3]


def test_batches_are_seen_by_the_keras_engine_alone(data):
    with pytest.raises(ValueError, match=r"PerBatch has hooks .* each batch.*Use engine='keras'"):
        quick(PerBatch()).fit(*data)
    regressor = quick(PerBatch(), epochs=1, engine="keras").fit(*data)
    assert regressor.callbacks_[0].batches == [0, 1, 2, 3]


def test_a_rate_set_in_a_batch_stays_as_in_keras(data):
    class Halving(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    halving = quick(Halving(), epochs=3, engine="keras", schedule="constant").fit(*data)
    rates = [row["learning_rate_now"] for row in halving.history_]
    assert rates == pytest.approx([0.1, 0.1 / 2**4, 0.1 / 2**8])


def test_those_of_an_earlier_training_are_not_called(data):
    regressor = quick(PerBatch(), epochs=1, engine="keras", warm_start=True).fit(*data)
    (earlier,) = regressor.callbacks_
    regressor.set_params(callbacks=None).fit(*data)
    assert earlier.batches == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.LambdaCallback(on_train_batch_end=print),
        keras.callbacks.ModelCheckpoint("a.weights.h5", save_weights_only=True, save_freq=2),
        raising_on_nan(),
    ],
    ids=["lambda", "frequent", "error"],
)
def test_batch_hooks_of_keras_own_callbacks_are_refused(data, callback):
    with pytest.raises(ValueError, match="has hooks for each batch"):
        quick(callback).fit(*data)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_hooks_per_batch_of_an_evaluation_are_refused(data, engine):
    """Neither engine calls them."""
    hooked = type("Hooked", (keras.callbacks.Callback,), {"on_test_batch_end": lambda *_: None})()
    for callback in (hooked, keras.callbacks.LambdaCallback(on_test_batch_begin=print)):
        with pytest.raises(ValueError, match=r"for each batch of an evaluation.*on_test_end"):
            quick(callback, engine=engine).fit(*data)


def test_callbacks_know_the_number_of_batches(data):
    steps = []
    callback = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: None)
    regressor = quick(callback, epochs=1, batch_size=25, validation_fraction=0).fit(*data)
    steps.append(regressor.callbacks_[0].params["steps"])
    regressor.set_params(batch_size=100).fit(*data)
    steps.append(regressor.callbacks_[0].params["steps"])
    assert steps == [3, 1]


def test_what_is_no_callback_is_refused(data):
    with pytest.raises(ValueError, match="callbacks must hold Keras callbacks; got 'early'"):
        quick("early").fit(*data)


def test_a_backup_of_keras_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="use the parameter checkpoint, which resumes exactly"):
        quick(keras.callbacks.BackupAndRestore(str(tmp_path))).fit(*data)


def test_batches_read_from_a_file_are_counted_through_the_epoch(data, monkeypatch):
    """A buffer holds one batch of four; a rate that is set in one stays in the next."""

    class Halving(PerBatch):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch)
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    for name in ("BLOCK", "BUFFER"):
        monkeypatch.setattr(stream, name, 16)
    settings = {"epochs": 2, "engine": "keras", "schedule": "constant", "memory_limit": 0}
    halving = quick(Halving(), **settings).fit(*data)
    assert halving.callbacks_[0].batches == [0, 1, 2, 3] * 2
    assert halving.history_[1]["learning_rate_now"] == pytest.approx(0.1 / 2**4)
