"""Many runs in one program: each is what it would be alone. Run by test_jax.py, on JAX."""

import functools
import importlib
import itertools
import math
import time
import types

import keras
import numpy as np
import pytest
from conftest import ON_JAX
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from boxest import BoxRegressor, fit_many
from boxest.estimator.image_regressor import ImageRegressor
from boxest.training import checkpoint as checkpoints

if keras.backend.backend() != "jax":
    pytest.skip(ON_JAX, allow_module_level=True)
# It imports JAX, which need not be installed.
stacks = importlib.import_module("boxest.training.stack")
jax = stacks.jax

# With a state, with one that does not begin at zero; what clips all gradients at once, and what
# does not update at each step. The other tests train by SGD without one, and the inclusive IoU.
OPTIMIZERS = [
    "adam",
    "adagrad",
    keras.optimizers.SGD(momentum=0.9, nesterov=True, global_clipnorm=0.1),
    keras.optimizers.Adam(use_ema=True, gradient_accumulation_steps=2),
]
LOSSES = ["ciou", "mse"]


@pytest.fixture(scope="module")
def data():
    from boxest import synthetic

    return synthetic.make(0, 90, seed=0, image_size=16)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """All runs at once, and each batch at once, whatever its size."""
    monkeypatch.setattr("boxest.system.backend._device", lambda: "A graphics card")


def runs(rates=(0.05, 0.01), seeds=(0, 1), **settings):
    settings = {"batch_size": 4, "epochs": 3, "network": dense} | settings
    return [
        BoxRegressor.paper(learning_rate=rate, random_state=seed, **settings)
        for rate in rates
        for seed in seeds
    ]


def fit_alone(estimators, data, **kwargs):
    return [estimator.fit(*data, **kwargs) for estimator in estimators]


def without_times(history):
    return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in history]


def assert_same(many, alone, rel=1e-4):
    assert len(many) == len(alone)
    for one, other in zip(many, alone, strict=True):
        assert [list(row) for row in one.history_] == [list(row) for row in other.history_]
        for row, expected in zip(*map(without_times, (one.history_, other.history_)), strict=True):
            assert row == pytest.approx(expected, rel=rel, nan_ok=True)
        for name in ("n_iter_", "diverged_", "stopped_early_", "seed_", "n_outputs_"):
            assert getattr(one, name) == getattr(other, name)
        assert one._schedule.wait == other._schedule.wait


def dense(image_shape, output_activation="linear", seed=0):
    """A network that compiles fast."""
    layers = keras.layers
    glorot = [keras.initializers.GlorotUniform(seed + i) for i in (0, 1)]
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Flatten(),
            layers.Dense(8, activation="relu", kernel_initializer=glorot[0]),
            layers.Dense(4, activation=output_activation, kernel_initializer=glorot[1]),
        ]
    )


# --- equal to the same run alone --------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o if type(o) is str else o.name)
def test_same_histories_as_alone_with_other_optimizers(data, optimizer):
    settings = {"rates": (1e-3, 3e-4), "seeds": (0,), "optimizer": optimizer}
    many = fit_many(runs(**settings), *data)
    assert_same(many, fit_alone(runs(**settings), data))
    assert many[0].history_[0]["train_loss"] != many[1].history_[0]["train_loss"]


@pytest.mark.parametrize("loss", LOSSES)
def test_same_histories_as_alone_with_other_losses(data, loss):
    settings = {"rates": (0.01,), "loss": loss}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 20, "loss": "giou", "optimizer": "adam"}, {"batch_size": 4096}],
    ids=["batches of 20", "one batch"],
)
@pytest.mark.usefixtures("as_on_a_gpu")
def test_same_histories_as_alone_where_all_runs_go_at_once(data, settings):
    settings = {"network": "paper", "rates": (0.05, 0.01), "seeds": (0,)} | settings
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))


def test_same_histories_as_alone_where_runs_take_turns(data):
    settings = {"batch_size": 16, "rates": (0.05,), "network": "paper"}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data), rel=1e-6)


def other_network(image_shape, output_activation="linear", seed=0):
    """Convolutions that stay convolutions, a normalisation over the batch, random layers."""
    layers = keras.layers
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(3, 5, strides=2, activation="tanh", kernel_initializer=initializer),
            layers.Conv2D(4, 3, strides=2, kernel_initializer=initializer),
            layers.BatchNormalization(),
            layers.Dropout(0.1, seed=seed),
            layers.Flatten(),
            layers.Dense(4, kernel_initializer=initializer, kernel_regularizer="l2"),
        ]
    )


def test_other_networks_their_state_and_their_penalties(data):
    settings = {"network": other_network, "loss": "mse", "seeds": (0,)}
    many, alone = fit_many(runs(**settings), *data), fit_alone(runs(**settings), data)
    assert_same(many, alone)
    for one, other in zip(many, alone, strict=True):
        for a, b in zip(one.model_.variables, other.model_.variables, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_normalisation_sees_a_smaller_last_batch_as_it_is(data):
    """Of 81 examples, the last batch has 1."""
    settings = {"network": other_network, "rates": (0.01,), "batch_size": 4, "epochs": 2}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))


def test_weights_validation_data_and_any_targets(data):
    images, boxes = data
    weights = np.random.default_rng(0).random(60)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)

    def regressors():
        return [ImageRegressor(random_state=seed, epochs=2, batch_size=8) for seed in (0, 1)]

    train = images[:60], area[:60], weights
    validation = images[60:], area[60:], np.arange(1, 31)
    many = fit_many(regressors(), *train, validation_data=validation)
    alone = fit_alone(regressors(), train, validation_data=validation)
    assert_same(many, alone)
    assert many[0].predict(images).shape == (90,)


class AgainstTheBatch(keras.losses.Loss):
    """A loss of a user's that compares each example with the others."""

    def call(self, y_true, y_pred):
        errors = keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
        return errors * errors / keras.ops.mean(errors)


def test_a_loss_of_a_user_compares_all_validation_examples(data):
    """They are evaluated in parts of 50, of which the last is filled up."""
    settings = {"loss": AgainstTheBatch(), "seeds": (0,)}
    many = fit_many(runs(**settings), *data, validation_data=data)
    assert_same(many, fit_alone(runs(**settings), data, validation_data=data))


def test_each_run_holds_out_a_share_of_its_own_or_none(data):
    settings = {"validation_fraction": 0.0}
    many = fit_many(runs(**settings), *data)
    assert_same(many, fit_alone(runs(**settings), data))
    assert "validation_loss" not in many[0].history_[0]


def test_each_run_sees_the_examples_changed_as_it_would_alone(data):
    settings = {"rates": (0.01,), "augmentation": "default", "epochs": 2}
    many = fit_many(runs(**settings), *data)
    assert_same(many, fit_alone(runs(**settings), data))
    plain = fit_many(runs(**settings | {"augmentation": None}), *data)
    assert plain[0].history_[0]["train_loss"] != many[0].history_[0]["train_loss"]


def test_images_that_are_changed_are_not_cut_into_patches(data):
    settings = {"network": "paper", "rates": (0.05,), "augmentation": {"zoom": 0.5}, "epochs": 1}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))


# --- each run ends by itself ------------------------------------------------------------------


def test_runs_stop_reduce_their_rate_and_end_where_they_would_alone(data):
    def estimators():
        several = runs(rates=(0.3, 0.1, 0.03), seeds=(0, 1, 2), epochs=25, stop_patience=2)
        several += runs(seeds=(3,), epochs=9, plateau_patience=1, plateau_min_delta=0.02)
        return several

    many, alone = fit_many(estimators(), *data), fit_alone(estimators(), data)
    assert_same(many, alone)
    assert len({one.n_iter_ for one in many}) > 3
    assert {one.stopped_early_ for one in many} == {True, False}
    assert many[-1].history_[-1]["learning_rate_now"] < 0.01


def test_schedules_averages_and_best_weights_are_those_of_each_run(data):
    def estimators():
        averaging = keras.optimizers.Adam(use_ema=True, ema_momentum=0.9)
        settings = {"rates": (0.05,), "network": dense, "optimizer": averaging}
        return [
            *runs(seeds=(0,), schedule="cosine", warmup_epochs=1, **settings),
            *runs(seeds=(1,), restore_best_weights=True, schedule="constant", **settings),
        ]

    many, alone = fit_many(estimators(), *data), fit_alone(estimators(), data)
    assert_same(many, alone)
    for one, other in zip(many, alone, strict=True):
        assert one.best_epoch_ == other.best_epoch_
        np.testing.assert_allclose(one.predict(data[0]), other.predict(data[0]), atol=1e-5)


@pytest.mark.parametrize(("network", "optimizer"), [("profile", "adam"), ("roi", "sgd")])
def test_networks_that_are_graphs_of_layers(data, network, optimizer):
    """With Adam, `roi` makes much of the rounding of some dozens of updates."""
    settings = {"network": network, "optimizer": optimizer, "rates": (0.01, 0.003), "seeds": (0,)}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data), rel=1e-3)


@pytest.mark.parametrize(("network", "gpu"), [("paper", False), (other_network, True)])
def test_a_run_that_diverges_ends_and_leaves_the_others(data, network, gpu, request):
    if gpu:
        request.getfixturevalue("as_on_a_gpu")
    settings = {"rates": (0.01, 1e20, 0.02), "seeds": (0,), "network": network, "loss": "mse"}
    with pytest.warns(ConvergenceWarning, match="smaller learning_rate than 1e") as warned:
        many = fit_many(runs(**settings), *data)
    assert [one.category for one in warned].count(ConvergenceWarning) == 1
    assert [one.diverged_ for one in many] == [False, True, False]
    assert not math.isfinite(many[1].history_[-1]["validation_loss"])
    assert many[1].n_iter_ < 3
    with pytest.warns(ConvergenceWarning):
        alone = fit_alone(runs(**settings), data)
    assert_same(many, alone)
    assert np.isfinite(many[0].predict(data[0])).all()


def test_a_run_whose_last_update_made_its_weights_useless_has_diverged(data):
    settings = {"rates": (1e-9, 1e38), "seeds": (0,), "epochs": 1, "batch_size": 90}
    settings |= {"loss": "mean_absolute_percentage_error", "validation_fraction": 0}
    with pytest.warns(ConvergenceWarning, match="a weight, is not a finite number"):
        many = fit_many(runs(**settings), *data)
    assert math.isfinite(many[1].history_[0]["train_loss"])
    assert [one.diverged_ for one in many] == [False, True]


# --- what is left -----------------------------------------------------------------------------


def test_estimators_are_fitted_as_by_fit(data, tmp_path):
    estimators = runs(seeds=(0,), network="paper")
    many = fit_many(estimators, *data, verbose=0)
    assert all(a is b for a, b in zip(many, estimators, strict=True))
    alone = fit_alone(runs(seeds=(0,), network="paper"), data)
    for one, other in zip(many, alone, strict=True):
        assert set(vars(one)) == set(vars(other))
        np.testing.assert_allclose(one.predict(data[0]), other.predict(data[0]), atol=1e-5)
        assert one.score(*data) == pytest.approx(other.score(*data), rel=1e-4)
        states = [[*e.model_.optimizer.variables] for e in (one, other)]
        for a, b in zip(*states, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)
    many[1].save(tmp_path / "one.boxest")
    loaded = BoxRegressor.load(tmp_path / "one.boxest")
    assert np.array_equal(loaded.predict(data[0]), many[1].predict(data[0]))
    for both in (many, alone):
        both[0].set_params(warm_start=True, epochs=2).fit(*data)
    assert_same(many[:1], alone[:1])


def test_time_is_shared_and_said_to_be(data):
    many = fit_many(runs(), *data)
    for one in many:
        assert (one.runtime_["engine"], one.runtime_["runs_together"]) == ("stacked", 4)
        assert one.seconds_["train"] == sum(row["train_seconds"] for row in one.history_) > 0
        assert one.seconds_ == pytest.approx(many[0].seconds_)
        assert list(one.seconds_) == ["import", "data", "compile", "train", "evaluation"]


def test_compiling_anew_is_time_of_compiling(data, monkeypatch):
    compile, seconds = stacks.Stack.compile, []

    def timed(*args):
        before = time.perf_counter()
        compile(*args)
        seconds.append(time.perf_counter() - before)

    monkeypatch.setattr(stacks.Stack, "compile", timed)
    monkeypatch.setattr(stacks.Stack, "narrow", lambda *_: time.sleep(0.1))
    many = fit_many(runs(network=dense), *data)
    assert sum(one.seconds_["compile"] for one in many) >= seconds[0] + 3 * 0.1


def test_a_line_per_epoch(data, capsys):
    fit_many(runs(), *data, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [["epoch", str(i), "4", "of"] for i in (1, 2, 3)]


# --- groups, memory, patches ------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "width"), [(1, 5), (5, 3), (16, 1)])
def test_on_a_cpu_sixteen_examples_are_in_work_at_once(data, widths, batch_size, width):
    fit_many(runs(seeds=range(5), rates=(0.1,), batch_size=batch_size, epochs=1), *data)
    assert widths == [width]


@pytest.fixture
def widths(monkeypatch):
    """The widths that were compiled for."""
    seen, compile = [], stacks.Stack._compile

    def watched(self, width):
        seen.append(width)
        compile(self, width)

    monkeypatch.setattr(stacks.Stack, "_compile", watched)
    return seen


@pytest.mark.parametrize(
    ("batch_size", "n_validation", "larger"), [(40, 9, "training"), (1, 90, "evaluation")]
)
@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_stack_is_split_where_it_exceeds_the_memory(
    data, widths, monkeypatch, batch_size, n_validation, larger
):
    """Ten runs need more than there is, four less: their greatest equal parts are 4, 4 and 2."""
    settings = {"seeds": range(5), "batch_size": batch_size, "epochs": 2, "network": "paper"}
    validation = {"validation_data": [part[:n_validation] for part in data]}
    needed, memory = [], stacks._memory
    monkeypatch.setattr(stacks, "_memory", lambda c: needed.append(memory(c)) or needed[-1])
    monkeypatch.setattr(stacks, "_free_memory", lambda: 1e12)
    at_once = fit_many(runs(**settings), *data, **validation)
    assert widths == [10]
    training, evaluation = needed
    assert (evaluation > training) == (larger == "evaluation")
    free = 0.45 * max(needed)
    monkeypatch.setattr(stacks, "_free_memory", lambda: free)
    many = fit_many(runs(**settings), *data, **validation)
    assert widths == [10, 10, 4]
    assert max(needed[-2:]) <= free
    assert_same(many, at_once)


def test_each_group_is_put_back_before_the_next_begins(data, monkeypatch):
    calls, compile = [], stacks.Stack._compile

    def logged(name, function):
        return lambda *args: calls.append(name) or function(*args)

    def watched(self, width):
        compile(self, width)
        for name in ("_train", "_put_back"):
            setattr(self, name, logged(name, getattr(self, name)))

    monkeypatch.setattr(stacks.Stack, "_compile", watched)
    fit_many(runs(batch_size=16, epochs=1), *data)
    assert calls == ["_train", "_put_back"] * 4


def test_a_compiler_without_an_account_is_taken_to_need_nothing():
    assert stacks._memory(types.SimpleNamespace(memory_analysis=lambda: None)) == 0


def test_free_memory_is_what_the_device_says(monkeypatch):
    class Device:
        def __init__(self, stats):
            self.memory_stats = lambda: stats

    for stats, free in (({"bytes_limit": 1000, "bytes_in_use": 200}, 640), (None, math.inf)):
        monkeypatch.setattr(stacks.jax, "local_devices", lambda stats=stats: [Device(stats)])
        assert stacks._free_memory() == free


def _ignore(*_):
    pass


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_stack_becomes_narrower_where_that_pays(data, widths, monkeypatch):
    """Nine of ten runs stop early; the compiler is said to take no time, and then a lot."""

    def estimators():
        patient, *others = runs(seeds=range(10), rates=(0.3,), epochs=12, stop_patience=1)
        return [patient.set_params(stop_patience=None), *others]

    fitted = []
    for seconds in (1e9, -1.0):
        constant = property(lambda _, seconds=seconds: seconds, _ignore)
        monkeypatch.setattr(stacks.Stack, "_compile_seconds", constant, raising=False)
        widths.clear()
        fitted.append(fit_many(estimators(), *data))
        assert widths[0] == 10
        assert seconds < 0 or len(widths) == 1
    monkeypatch.undo()
    assert 1 < len(widths) <= 5
    assert all(2 * after <= before for before, after in itertools.pairwise(widths))
    assert_same(*fitted)


def test_patches_are_kept_where_they_fit_in_memory(data, monkeypatch):
    """90 images of 16 px are 8×8 behind the first pooling: 5,760 bytes."""
    settings = {"rates": (0.05,), "network": "paper", "memory_limit": 6000}
    seen, init = [], stacks.Stack.__init__

    def watched(self, *args, unfold):
        seen.append(unfold)
        init(self, *args, unfold=unfold)

    monkeypatch.setattr(stacks.Stack, "__init__", watched)
    as_they_are = fit_many(runs(**settings), *data)
    unfolded = fit_many(runs(**settings | {"memory_limit": 4 * 5760}), *data)
    assert seen == [False, True]
    assert_same(unfolded, as_they_are, rel=1e-6)


# --- interruptions ----------------------------------------------------------------------------


def interrupt(monkeypatch, epoch):
    """Interrupt a training once, in the epoch with this number."""
    train, begun = stacks.Stack.train, itertools.count(1)

    def interrupted(self, *args):
        if next(begun) == epoch:
            raise KeyboardInterrupt
        return train(self, *args)

    monkeypatch.setattr(stacks.Stack, "train", interrupted)


def test_interrupted_runs_go_on_where_they_were(data, tmp_path, monkeypatch, capsys):
    def estimators():
        settings = {"epochs": 10, "optimizer": "adam", "restore_best_weights": True}
        several = runs(rates=(0.3, 0.1), stop_patience=1, **settings)
        return several + runs(rates=(1e20,), seeds=(0,), **settings)

    whole = fit_many(estimators(), *data)
    path = tmp_path / "state.npz"
    interrupt(monkeypatch, epoch=5)
    with pytest.raises(KeyboardInterrupt):
        fit_many(estimators(), *data, checkpoint=path)
    assert path.exists()
    capsys.readouterr()
    resumed = fit_many(estimators(), *data, checkpoint=path, verbose=1)
    assert capsys.readouterr().out.startswith("Resumed after epoch 4.\nepoch   5")
    assert_same(resumed, whole, rel=0)
    assert [one.best_epoch_ for one in resumed] == [one.best_epoch_ for one in whole]
    for one, other in zip(resumed, whole, strict=True):
        for a, b in zip(one.model_.variables, other.model_.variables, strict=True):
            assert np.array_equal(a, b, equal_nan=True)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_the_networks_of_the_last_epoch(data, monkeypatch):
    """They had their initial weights, without a word."""
    two = fit_many(runs(epochs=2), *data)
    interrupt(monkeypatch, epoch=3)
    several = runs(epochs=9)
    with pytest.raises(KeyboardInterrupt):
        fit_many(several, *data)
    for one, other in zip(several, two, strict=True):
        assert np.array_equal(one.predict(data[0]), other.predict(data[0]))


def test_each_network_is_built_once(data, monkeypatch):
    building, built = importlib.import_module("boxest.estimator.building"), []
    new_model = building.new_model
    monkeypatch.setattr(
        building, "new_model", lambda *a, **k: built.append(a) or new_model(*a, **k)
    )
    fit_many(runs(network="paper"), *data)
    assert len(built) == 4


def test_a_state_of_other_runs_is_left_aside(data, tmp_path):
    with checkpoints.Checkpoint(tmp_path / "state.npz") as state:
        fit_many(runs(), *data, checkpoint=state)
        state.flush()
        with pytest.warns(UserWarning, match="another run 1; another run 3"):
            many = fit_many(runs(seeds=(0, 2)), *data, checkpoint=state)
    assert_same(many, fit_many(runs(seeds=(0, 2)), *data), rel=0)


# --- what cannot be trained together ----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 16}, "batch_size must be the same in all estimators, got 4 and 16"),
        ({"network": "auto"}, "network must be the same in all estimators, got .* and 'auto'"),
        ({"loss": "mse"}, "loss must be the same"),
        ({"optimizer": "adam"}, "optimizer must be the same"),
        ({"validation_fraction": 0.2}, "validation_fraction must be the same"),
        ({"engine": "keras"}, "needs engine='compiled', got 'keras'"),
        ({"warm_start": True}, "needs warm_start=False, got True"),
        ({"callbacks": [keras.callbacks.Callback()]}, "needs callbacks=None"),
        ({"checkpoint": "a.npz"}, "needs checkpoint=None, got 'a.npz'"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
    ids=str,
)
def test_estimators_that_do_not_fit_together_are_named(data, change, message):
    first, second = runs(rates=(0.1,))
    with pytest.raises(ValueError, match=message):
        fit_many([first, second.set_params(**change)], *data)
    assert not hasattr(first, "model_")


def test_other_errors_say_what_to_do(data, tmp_path):
    (one,) = runs(rates=(0.1,), seeds=(0,))
    with pytest.raises(ValueError, match=r"at least one BoxRegressor or ImageRegressor; got \[\]"):
        fit_many([], *data)
    with pytest.raises(ValueError, match=r"got \['int'\]"):
        fit_many([1], *data)
    with pytest.raises(ValueError, match="the same estimator twice"):
        fit_many([one, one], *data)
    with pytest.raises(ValueError, match="of one class, got BoxRegressor and Other"):
        fit_many([one, type("Other", (BoxRegressor,), {})(**one.get_params())], *data)
    with pytest.raises(ValueError, match="exceed memory_limit=100 bytes"):
        fit_many([clone(one).set_params(memory_limit=100)], *data)
    with pytest.raises(ValueError, match="int as random_state of each estimator, got None"):
        fit_many([clone(one).set_params(random_state=None)], *data, checkpoint=tmp_path / "a.npz")
    with pytest.raises(ValueError, match="y to be passed"):
        fit_many([one], data[0])


def test_networks_that_a_function_makes_different_are_named(data):
    def growing(image_shape, output_activation="linear", seed=0):
        layers = keras.layers.Flatten(), keras.layers.Dense(3 + seed), keras.layers.Dense(4)
        return keras.Sequential([keras.Input(image_shape), *layers])

    with pytest.raises(ValueError, match="have different shapes"):
        fit_many(runs(rates=(0.1,), network=growing), *data)


def test_objects_of_keras_are_the_same_if_they_are_alike(data):
    def estimator(seed=0, momentum=0.9, delta=1.0):
        optimizer, loss = keras.optimizers.SGD(momentum=momentum), keras.losses.Huber(delta)
        settings = {"optimizer": optimizer, "loss": loss, "network": dense}
        return runs(rates=(0.01,), seeds=(seed,), **settings)[0]

    many = fit_many([estimator(), estimator(seed=1), clone(estimator(seed=2))], *data)
    assert len({one.history_[0]["train_loss"] for one in many}) == 3
    with pytest.raises(ValueError, match="loss must be the same"):
        fit_many([estimator(), estimator(delta=0.6)], *data)
    with pytest.raises(ValueError, match="optimizer must be the same"):
        fit_many([estimator(), estimator(momentum=0.8)], *data)


def test_functions_are_the_same_as_themselves_alone(data):
    def network(units):
        return functools.partial(other_dense, units=units)

    fit_many([run for _ in range(2) for run in runs(network=network(5), epochs=1)], *data)
    for one, other in ((network(5), network(6)), (dense, lambda *args, **kw: dense(*args, **kw))):
        first, second = runs(rates=(0.1,), network=one)
        with pytest.raises(ValueError, match="network must be the same"):
            fit_many([first, second.set_params(network=other)], *data)


def other_dense(image_shape, units, output_activation="linear", seed=0):
    layers = keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(4)
    return keras.Sequential([keras.Input(image_shape), *layers])


def test_what_an_estimator_knew_of_other_data_is_forgotten(data):
    first, second = runs(rates=(0.1,), network=dense, epochs=1)
    second.feature_names_in_ = np.array(["a", "b"], dtype=object)
    fit_many([first, second], *data)
    assert not hasattr(second, "feature_names_in_")
    assert second.n_features_in_ == first.n_features_in_ == 256


def test_xla_is_always_used(data):
    (one,) = fit_many(runs(rates=(0.1,), seeds=(0,), epochs=1, network=dense, xla=False), *data)
    assert one.runtime_["xla"] is True


def test_seeds_are_drawn_as_by_one_fit_after_the_other(data):
    def estimators():
        state = np.random.RandomState(5)
        return [BoxRegressor.paper(random_state=state, epochs=1, batch_size=8) for _ in range(2)]

    many, alone = fit_many(estimators(), *data), fit_alone(estimators(), data)
    assert [one.seed_ for one in many] == [one.seed_ for one in alone]
    assert many[0].seed_ != many[1].seed_


def of_bfloat16(image_shape, output_activation="linear", seed=0):
    layers = keras.layers.Flatten(), keras.layers.Dense(4, dtype="mixed_bfloat16")
    return keras.Sequential([keras.Input(image_shape), *layers])


def test_outputs_in_another_precision_are_evaluated_as_they_are_predicted(data):
    settings = {"network": of_bfloat16, "loss": "mse", "rates": (0.01,), "epochs": 1}
    for one in fit_many(runs(**settings), *data, validation_data=data):
        loss = np.mean((one.predict(data[0]) - data[1]) ** 2)
        assert one.history_[-1]["validation_loss"] == pytest.approx(loss, rel=1e-4)


def with_frozen_branches(image_shape, output_activation="linear", seed=0):
    """If one layer replaced the first convolution and its pooling, it would follow the second."""
    layers, image = keras.layers, keras.Input(image_shape)
    branches = []
    for number, pooling in enumerate((layers.MaxPooling2D, layers.AveragePooling2D)):
        start = keras.initializers.GlorotUniform(seed + number)
        convolution = layers.Conv2D(2, 3, padding="same", kernel_initializer=start)
        convolution.trainable = False
        branches.append(layers.Flatten()(pooling(2)(convolution(image))))
    last = layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed))
    return keras.Model(image, last(layers.Concatenate()(branches)))


def test_frozen_layers_keep_their_places(data):
    settings = {"network": with_frozen_branches, "rates": (0.05,), "epochs": 2}
    assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_a_user_may_have_asked_for_double_precision(data, floatx):
    jax.config.update("jax_enable_x64", True)
    keras.config.set_dtype_policy(keras.config.dtype_policy())  # That of the layers stays.
    keras.config.set_floatx(floatx)
    try:
        settings = {"rates": (0.05,), "seeds": (0,), "epochs": 2}
        assert_same(fit_many(runs(**settings), *data), fit_alone(runs(**settings), data))
    finally:
        keras.config.set_floatx("float32")
        jax.config.update("jax_enable_x64", False)
