"""Training on examples that are read a buffer at a time."""

import keras
import numpy as np
import pytest

from boxest import losses, networks
from boxest.training import stream
from boxest.training.predictor import Predictor, at_once
from boxest.training.program import EpochProgram, rest


@pytest.fixture
def small_buffers(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 16)
    monkeypatch.setattr(stream, "BUFFER", 64)


@pytest.mark.parametrize("n_examples", [1, 63, 64, 65, 200, 1000])
@pytest.mark.parametrize("batch_size", [1, 5, 16, 48, 300])
def test_order_has_every_example_once_and_needs_a_buffer_at_a_time(
    small_buffers, n_examples, batch_size
):
    order = stream.buffered_order(n_examples, batch_size, seed=1, epoch=2)
    batch_size = min(batch_size, n_examples)
    assert order.shape == (-(-n_examples // batch_size), batch_size)
    assert np.array_equal(np.sort(order[order >= 0]), np.arange(n_examples))
    assert (order.ravel()[:n_examples] >= 0).all()
    buffer, block = stream.buffer_size(batch_size), stream.block_size(batch_size)
    for start in range(0, n_examples, buffer):
        part = order.ravel()[start : start + buffer]
        assert len(np.unique(part[part >= 0] // block)) <= buffer // block


def test_order_is_shuffled_within_and_across_buffers_by_seed_and_epoch(small_buffers):
    order = stream.buffered_order(1000, 4, seed=1, epoch=2)
    assert np.array_equal(order, stream.buffered_order(1000, 4, seed=1, epoch=2))
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not np.array_equal(order, stream.buffered_order(1000, 4, **other))
    first = np.sort(order.ravel()[:64])
    assert first[-1] - first[0] > 64
    assert np.mean(np.diff(order.ravel()) == 1) < 0.1


@pytest.fixture
def blocks():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (n, 3, 2), np.uint8) for n in (4, 1, 700)]


def test_features_are_read_back(blocks):
    file, whole = stream.FeatureFile(blocks), np.concatenate(blocks)
    assert (len(file), file.shape, file.dtype) == (705, (705, 3, 2), np.uint8)
    for rows in (slice(None), slice(3, 8), slice(700, 900), slice(5, 5)):
        assert np.array_equal(file[rows], whole[rows])


@pytest.mark.parametrize("rows", [[0], [3, 4, 600, 704], range(0, 705, 2), range(512, 600)])
def test_chosen_rows_are_another_file(blocks, rows):
    rows = np.array(rows)
    chosen = stream.FeatureFile(blocks)[rows]
    assert np.array_equal(chosen[:], np.concatenate(blocks)[rows])


def test_only_what_exceeds_the_limit_goes_to_a_file(blocks):
    whole = np.concatenate(blocks)
    kept = stream.keep(blocks, limit=whole.nbytes)
    assert isinstance(kept, np.ndarray)
    assert np.array_equal(kept, whole)
    kept = stream.keep(blocks, limit=whole.nbytes - 1)
    assert isinstance(kept, stream.FeatureFile)
    assert np.array_equal(kept[:], whole)


@pytest.mark.parametrize(
    ("row_bytes", "block", "buffer"),
    # Features of the paper's images; colour photographs of 1024 px; larger than a buffer should be.
    [(4096, 512, 16_384), (3 * 2**20, 32, 64), (2**29, 32, 32)],
)
def test_buffers_of_large_images_hold_few(row_bytes, block, buffer):
    assert stream.block_size(32, row_bytes) == block
    assert stream.buffer_size(32, row_bytes) == buffer


def test_a_buffer_is_not_larger_than_the_data():
    """It had 16,384 rows, of whatever size: gigabytes for a few photographs."""

    class Program:
        augmentation = None

        def put(self, features, *others):
            self.rows = len(features)

        def compile(self, order, rest):
            assert order.shape == (5, 8)

    program = stream.StreamedProgram(Program())
    images = stream.FeatureFile([np.zeros((38, 4, 4, 1), np.uint8)])
    program.put(images, np.zeros((38, 4), np.float32), np.ones(38, np.float32))
    program.compile(stream.buffered_order(38, 8, seed=0, epoch=1), 6)
    assert program.program.rows == 40


def test_few_large_images_are_predicted_at_once():
    assert at_once(1000, (128, 128, 3)) == 1000
    assert at_once(1000, (1024, 1024, 3)) == 21
    assert at_once(50, (20_000, 20_000, 3)) == 1


@pytest.mark.parametrize("batch_size", [8, 20])
def test_streamed_training_equals_resident_training_in_the_same_order(
    small_data, small_buffers, batch_size
):
    images, boxes = small_data[0][:150, ..., None], small_data[1][:150].astype("float32")
    weights = np.linspace(0.5, 1.5, 150).astype("float32")
    results = []
    for streamed in (False, True):
        model = networks.paper((32, 32, 1), seed=1)
        optimizer = keras.optimizers.SGD(0.05)
        optimizer.build(model.trainable_variables)
        predictor = Predictor(model)
        features = predictor.features(images)
        loss = losses.BoxLoss()
        program = EpochProgram(predictor.trunk, optimizer, loss, {"iou": loss.call}, xla=True)
        if streamed:
            program = stream.StreamedProgram(program)
            features = stream.FeatureFile([features[:100], features[100:]])
        program.put(features, boxes, weights)
        orders = [stream.buffered_order(150, batch_size, seed=1, epoch=e) for e in (1, 2)]
        program.compile(orders[0], rest(orders[0]))
        means = [program(order, np.full(len(order), 0.05)) for order in orders]
        results.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    assert means[1]["loss"] < means[0]["loss"]


def test_estimator_streams_what_exceeds_its_memory_limit(small_data, small_buffers):
    from boxest import BoxRegressor

    X, y = small_data
    regressors = [
        BoxRegressor.paper(epochs=4, learning_rate=0.02, random_state=0, memory_limit=limit).fit(
            X, y
        )
        for limit in (2**29, 1000, 1000)
    ]
    resident, streamed, again = ([r["train_loss"] for r in one.history_] for one in regressors)
    assert streamed == again != resident
    assert streamed[-1] == pytest.approx(resident[-1], rel=0.1)
    assert streamed[-1] < streamed[0]
    assert [one.history_[-1]["updates"] for one in regressors] == [4 * 29] * 3
    assert "validation_loss" in regressors[1].history_[0]


def test_streams_with_plain_keras_too(small_data, small_buffers):
    from boxest import BoxRegressor

    X, y = small_data[0][:100], small_data[1][:100]
    losses = []
    for engine in ("compiled", "keras"):
        regressor = BoxRegressor.paper(
            epochs=2, learning_rate=0.01, random_state=0, memory_limit=0, engine=engine
        )
        losses.append([row["train_loss"] for row in regressor.fit(X, y).history_])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_features_in_bfloat16_are_read_back():
    features = keras.ops.convert_to_numpy(keras.ops.cast(np.arange(6.0).reshape(3, 2), "bfloat16"))
    kept = stream.keep([features], limit=0)
    assert np.array_equal(kept[1:], features[1:])
