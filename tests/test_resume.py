"""Trainings that are interrupted and go on: to the same result, to the last bit."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile

import keras
import numpy as np
import pytest
from conftest import ROOT

from boxest import BoxRegressor
from boxest.system import backend, runtime
from boxest.training import checkpoint as checkpoints
from boxest.training.checkpoint import Checkpoint, State
from boxest.training.program import EpochProgram
from boxest.training.record import Training
from boxest.training.schedule import Schedule


def small(image_shape, *, output_activation, seed):
    """A network that is compiled in no time."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.MaxPooling2D(8),
            layers.Flatten(),
            layers.Dense(4, output_activation),
        ]
    )


SETTINGS = {
    "network": small,
    "epochs": 12,
    "learning_rate": 0.05,
    "random_state": 3,
    "xla": False,  # Compiled in a sixth of the time.
}


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch, by its number from 1."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            raise KeyboardInterrupt


def with_random_layers(image_shape, *, output_activation, seed):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(4),
        ]
    )


def without_times(rows):
    """Return rows as text, in which NaN equals NaN."""
    return [repr({k: v for k, v in row.items() if not k.endswith("_seconds")}) for row in rows]


def assert_same(a, b):
    assert without_times(a.history_) == without_times(b.history_)
    assert (a.n_iter_, a.diverged_, a.stopped_early_) == (b.n_iter_, b.diverged_, b.stopped_early_)
    variables = [[*r.model_.variables, *r.model_.optimizer.variables] for r in (a, b)]
    for one, other in zip(*variables, strict=True):
        assert np.array_equal(np.array(one), np.array(other)), one.path
    assert a._schedule == b._schedule


@pytest.fixture(scope="module")
def data(small_data):
    images, boxes = small_data
    return images[:150], boxes[:150]


@pytest.fixture(scope="module")
def whole(data):
    """The training of SETTINGS that nothing interrupts."""
    return BoxRegressor.paper(**SETTINGS).fit(*data)


@pytest.fixture(scope="module")
def state(data, tmp_path_factory):
    """What the training of SETTINGS leaves when it is interrupted after epoch 8."""
    path = tmp_path_factory.mktemp("state") / "training.npz"
    interrupt(path, data, 9, **SETTINGS)
    return path.read_bytes()


@pytest.fixture
def left(state, path):
    """A file with that state."""
    path.parent.mkdir()
    path.write_bytes(state)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "training.npz"


def interrupt(path, data, epoch, **settings):
    """Fit until the beginning of an epoch; the state is left behind."""
    regressor = BoxRegressor.paper(**settings, checkpoint=path, callbacks=[Interrupt(epoch)])
    with pytest.raises(KeyboardInterrupt):
        regressor.fit(*data)
    return regressor


def in_bfloat16(image_shape, *, output_activation, seed):
    """A network whose weights are in a type that numpy does not know by itself."""
    layers = keras.layers.Flatten(), keras.layers.Dense(4, dtype="bfloat16")
    return keras.Sequential([keras.Input(image_shape), *layers])


TRAININGS = {
    "the paper's network": {"network": "paper", "xla": True},
    "adam": {"optimizer": "adam", "batch_size": 64},
    "momentum": {"optimizer": keras.optimizers.SGD(momentum=0.9, nesterov=True)},
    "random layers": {
        "network": with_random_layers,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
    },
    "plateau": {"plateau_patience": 1, "plateau_min_delta": 0.1},
    "early stopping": {"stop_patience": 2, "learning_rate": 1.0, "epochs": 40},
    "no validation": {"validation_fraction": 0.0},
    "from a file": {"memory_limit": 0},
    "plain Keras": {"engine": "keras", "epochs": 4},
    "cosine": {"schedule": "cosine", "warmup_epochs": 1.5, "epochs": 4},
    "schedule of Keras": {
        "learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 20, 0.5),
        "epochs": 4,
    },
    "best weights": {"learning_rate": 1.0, "restore_best_weights": True, "epochs": 6},
    "averages": {
        "optimizer": keras.optimizers.Adam(use_ema=True, ema_momentum=0.9),
        "restore_best_weights": True,
        "epochs": 4,
    },
    "bfloat16": {"network": in_bfloat16, "optimizer": "momentum", "epochs": 4},
    "divergence": {"learning_rate": 1.5, "loss": "mean_squared_error", "epochs": 40},
}


@pytest.mark.filterwarnings("ignore:The training diverged")
@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS.keys())
def test_an_interrupted_training_ends_as_if_nothing_had_happened(data, path, settings):
    settings = SETTINGS | settings
    whole = BoxRegressor.paper(**settings).fit(*data)
    if whole.n_iter_ > 1:
        interrupt(path, data, whole.n_iter_ // 2 + 1, **settings)
        assert path.exists()
    resumed = BoxRegressor.paper(**settings, checkpoint=path).fit(*data)
    assert_same(resumed, whole)
    assert list(path.parent.iterdir()) == []


def test_it_goes_on_where_it_was_and_says_so(data, path, capsys):
    for epoch in (1, 2, 9):
        interrupt(path, data, epoch, **SETTINGS)
    BoxRegressor.paper(**SETTINGS, checkpoint=path, verbose=2).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Resumed after epoch 8."
    assert [line.split()[1] for line in lines[1:]] == ["9", "10", "11", "12"]


def test_a_training_that_had_ended_is_not_trained_further(data, path):
    with Checkpoint(path) as checkpoint:
        ended = BoxRegressor.paper(**SETTINGS, checkpoint=checkpoint).fit(*data)
        checkpoint.flush()
    with Checkpoint(path) as checkpoint:
        again = BoxRegressor.paper(**SETTINGS, checkpoint=checkpoint).fit(*data)
    assert_same(again, ended)
    assert again.seconds_["train"] == ended.seconds_["train"]
    assert path.exists(), "a checkpoint that is given open is removed by its owner alone"


def test_seconds_add_up_and_leave_out_what_was_lost(data, path, monkeypatch):
    train, calls, now = EpochProgram.__call__, [], [0.0]

    def clock():
        now[0] += 0.001
        return now[0]

    def slow_and_interrupted(program, order, *rates):
        calls.append(order)
        if len(calls) == 6:
            now[0] += 1000
            raise KeyboardInterrupt
        return train(program, order, *rates)

    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(EpochProgram, "__call__", slow_and_interrupted)
    with pytest.raises(KeyboardInterrupt):
        BoxRegressor.paper(**SETTINGS, checkpoint=path).fit(*data)
    resumed = BoxRegressor.paper(**SETTINGS, checkpoint=path).fit(*data)
    rows = resumed.history_
    assert resumed.seconds_["train"] == pytest.approx(sum(row["train_seconds"] for row in rows))
    assert 0 < resumed.seconds_["train"] < 1000


def test_warm_start_goes_on_from_an_interruption(data, path):
    def fitted():
        return BoxRegressor.paper(**SETTINGS, warm_start=True).fit(*data)

    whole = fitted().fit(*data)
    begun = fitted().set_params(checkpoint=path, callbacks=[Interrupt(20)])
    with pytest.raises(KeyboardInterrupt):
        begun.fit(*data)
    resumed = fitted().set_params(checkpoint=path).fit(*data)
    assert [row["epoch"] for row in resumed.history_] == list(range(1, 25))
    assert_same(resumed, whole)


# --- states that cannot be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.02}, r"learning_rate: 0\.05, now 0\.02"),
        ({"random_state": 4}, "random_state: 3, now 4; another layers and first weights"),
        ({"epochs": 10}, "epochs: 12, now 10"),
        ({"optimizer": "adam"}, 'optimizer: "sgd", now "adam"'),
        ({"validation_fraction": 0.2}, "another training examples; another validation examples"),
    ],
    ids=str,
)
def test_a_state_of_another_training_is_left_aside(data, left, change, message):
    settings = SETTINGS | change
    with pytest.warns(
        UserWarning, match=f"belongs to another training .*{message}.*starts from the beginning"
    ):
        other = BoxRegressor.paper(**settings, checkpoint=left).fit(*data)
    assert [row["epoch"] for row in other.history_] == list(range(1, settings["epochs"] + 1))
    assert not left.exists()
    # Whoever changed the settings by mistake can go on with it.
    os.replace(left.with_name(f"{left.name}.other"), left)
    begun = BoxRegressor.paper(**SETTINGS, checkpoint=left, verbose=1).fit(*data)
    assert_same(begun, BoxRegressor.paper(**SETTINGS).fit(*data))


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("backend_version", "0.1"),
        ("keras_version", "3.0"),
        ("device", "A graphics card"),
        ("threads", 99),
        ("machine", "another processor"),
    ],
)
def test_a_state_of_another_machine_is_left_aside(data, left, monkeypatch, what, other):
    if what == "machine":
        monkeypatch.setattr(runtime, "machine", lambda: other)
    else:
        found = backend.describe() | {what: other}
        monkeypatch.setattr(backend, "describe", found.copy)
    with pytest.warns(UserWarning, match=rf"belongs to another training \((another )?{what}"):
        BoxRegressor.paper(**SETTINGS, checkpoint=left).fit(*data)


def test_a_loss_that_is_set_otherwise_is_another_training(data, path):
    """Huber's configuration lacks its delta."""
    interrupt(path, data, 9, **SETTINGS, loss=keras.losses.Huber(1.0))
    with pytest.warns(UserWarning, match="belongs to another training .*loss"):
        BoxRegressor.paper(**SETTINGS, loss=keras.losses.Huber(0.1), checkpoint=path).fit(*data)


def test_a_layer_that_is_set_otherwise_is_another_training(data, path):
    def settings(rate):
        def network(image_shape, *, output_activation, seed):
            layers = keras.layers.Flatten(), keras.layers.Dropout(rate), keras.layers.Dense(4)
            return keras.Sequential([keras.Input(image_shape), *layers])

        return SETTINGS | {"network": network}

    interrupt(path, data, 9, **settings(0.1))
    with pytest.warns(UserWarning, match=r"\(another layers and first weights\)"):
        BoxRegressor.paper(**settings(0.5), checkpoint=path).fit(*data)


def test_other_examples_are_another_training(data, left):
    images = data[0].copy()
    images[7, 3, 3] ^= 1
    with pytest.warns(UserWarning, match="another training examples"):
        BoxRegressor.paper(**SETTINGS, checkpoint=left).fit(images, data[1])


def truncate(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.fault
def test_no_damage_to_a_state_goes_unnoticed(tmp_path):
    """Every bit of a small one, and headers of arrays that are larger than a buffer."""
    path = tmp_path / "state.npz"
    arrays = [np.arange(20_000, dtype=np.float32).reshape(2000, 10), np.ones(3)]
    with Checkpoint(path) as checkpoint:
        checkpoint.begin({"a": 1})
        checkpoint.offer(State({"epoch": 1}, arrays))
        checkpoint.flush()
    content = path.read_bytes()
    small = 400  # bytes at either end, where all but the numbers is
    places = [*range(small), *range(len(content) - small, len(content))]
    damaged = [
        content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :]
        for i in places
        for bit in (0, 3, 6)
    ]
    damaged += [content.replace(b"(2000, 10)", b"(1000, 10)"), content.replace(b"<f4", b"<f2")]
    begun_anew = 0
    for one in damaged:
        path.write_bytes(one)
        with Checkpoint(path) as checkpoint, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = checkpoint.begin({"a": 1})
        if state is None:
            begun_anew += 1
        else:
            assert state.about == {"epoch": 1}
            for array, expected in zip(state.arrays, arrays, strict=True):
                assert array.dtype == expected.dtype
                np.testing.assert_array_equal(array, expected)
    assert begun_anew > len(damaged) / 2


@pytest.mark.parametrize("name", ["thesis.txt", "model.zip"])
def test_a_file_of_another_kind_is_not_overwritten(data, tmp_path, name):
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("chapter", "one")
    else:
        path.write_text("chapter one")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"{name} is a file of another kind"):
        BoxRegressor.paper(**SETTINGS, checkpoint=path).fit(*data)
    assert path.read_bytes() == before


def test_what_goes_on_can_be_interrupted_and_goes_on_in_the_same_process(data, path):
    settings = SETTINGS | {"warm_start": True, "epochs": 4}
    whole = BoxRegressor.paper(**settings).fit(*data).fit(*data)
    regressor = BoxRegressor.paper(**settings, checkpoint=path)
    for first_epoch in (1, 5):
        regressor.set_params(callbacks=[Interrupt(first_epoch + 2)])
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*data)
        regressor.set_params(callbacks=None).fit(*data)
    assert_same(regressor, whole)


def test_partial_fit_after_an_interrupted_fit_begins_anew(data, path):
    regressor = interrupt(path, data, 3, **SETTINGS)
    regressor.set_params(checkpoint=None, callbacks=None).partial_fit(*data)
    assert [row["epoch"] for row in regressor.history_] == [1]


def test_leftovers_of_killed_writers_are_swept_and_nothing_else(path):
    path.parent.mkdir()
    left = path.with_name(f".4711-0123abcd-{path.name}")
    stays = [
        path.with_name(name + path.name)
        for name in (".notes-20251128-", ".4711-0123abcdef-", ".4711-NOTES000-", "4711-0123abcd-")
    ]
    for file in [left, *stays]:
        file.write_text("mine")
    with Checkpoint(path):
        assert not left.exists()
        assert all(file.read_text() == "mine" for file in stays)


@pytest.mark.fault
@pytest.mark.parametrize("damage", [truncate, flip, lambda _: b"", lambda content: content[:50]])
def test_a_damaged_state_is_left_aside(data, left, whole, damage):
    left.write_bytes(damage(left.read_bytes()))
    with pytest.warns(
        UserWarning, match=r"training\.npz cannot be read .*starts from the beginning"
    ):
        regressor = BoxRegressor.paper(**SETTINGS, checkpoint=left).fit(*data)
    assert_same(regressor, whole)


@pytest.mark.fault
def test_training_goes_on_where_its_state_cannot_be_written(data, path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "atomic_path", full)
    monkeypatch.setattr(checkpoints, "FIRST", 0.0)
    with pytest.warns(UserWarning, match="cannot be written .*No space left.*continues without it"):
        regressor = BoxRegressor.paper(**SETTINGS, checkpoint=path).fit(*data)
    assert regressor.n_iter_ == 12


FULL = """
import resource, sys
from boxest.training.checkpoint import Checkpoint, State
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with Checkpoint(sys.argv[1]) as state:
    state.begin({})
    state.offer(State({"epoch": 1}, []))
    state.flush()
print("went on")
"""


@pytest.mark.fault
def test_training_goes_on_where_not_a_byte_can_be_written(tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "state.npz")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    assert "cannot be written ([Errno 27]" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_training_goes_on_where_no_lock_can_be_made(data, tmp_path):
    (tmp_path / "state").write_text("a file where the directory should be")
    with pytest.warns(UserWarning, match=r"cannot be (locked|written)") as warned:
        regressor = BoxRegressor.paper(**SETTINGS, checkpoint=tmp_path / "state" / "a.npz").fit(
            *data
        )
    assert regressor.n_iter_ == 12
    assert "cannot be locked" in str(warned[0].message)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_seed_is_needed(data, path, random_state):
    with pytest.raises(ValueError, match="needs an int as random_state"):
        BoxRegressor.paper(checkpoint=path, random_state=random_state).fit(*data)
    assert not path.parent.exists()


def test_a_clock_that_goes_backwards_does_no_harm(data, path, whole, monkeypatch):
    start = time.time()
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: start - 3600 * next(ticks))
    monkeypatch.setattr(checkpoints, "FIRST", 0.0)
    interrupt(path, data, 9, **SETTINGS)
    resumed = BoxRegressor.paper(**SETTINGS, checkpoint=path).fit(*data)
    monkeypatch.undo()
    assert_same(resumed, whole)
    assert min(resumed.seconds_.values()) >= 0


# --- how often it is written ------------------------------------------------------------------


def test_writing_takes_a_hundredth_of_the_time_at_most(tmp_path, monkeypatch):
    now, writings = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])

    def slow(*_):
        writings.append(now[0])
        now[0] += 0.1

    monkeypatch.setattr(checkpoints, "_write", slow)
    with Checkpoint(tmp_path / "state.npz") as checkpoint:
        checkpoint.begin({})
        for epoch in range(1000):
            now[0] += 0.5
            checkpoint.offer(State({"epoch": epoch}, []))
    assert writings[0] == 1.0
    assert np.diff(writings).min() >= 10
    assert 0.1 * len(writings) < 0.012 * now[0]


def test_a_state_does_not_copy_the_rows_of_a_history_that_grows():
    training = Training(history=[{"epoch": 1}, {"epoch": 2}])
    about = training.state(Schedule(0.1))
    training.history.append({"epoch": 3})
    assert [row["epoch"] for row in about["history"]] == [1, 2]
    assert all(a is b for a, b in zip(about["history"], training.history, strict=False))


# --- one training at a time -------------------------------------------------------------------


def test_another_fit_on_the_same_file_waits(tmp_path):
    path, order = tmp_path / "state.npz", []

    def second():
        with Checkpoint(path):
            order.append("second")

    def first():
        with Checkpoint(path):
            thread.start()
            while not warned:
                time.sleep(0.01)
            order.append("first")
        thread.join()

    thread = threading.Thread(target=second)
    with pytest.warns(UserWarning, match=rf"Process {os.getpid()} on .* waits for it") as warned:
        first()
    assert order == ["first", "second"]


def test_many_processes_never_hold_a_lock_at_once(tmp_path):
    """Each notes that it is inside, and would see another's note."""
    code = """
import sys, time, random, warnings
from pathlib import Path
from boxest.training.checkpoint import Checkpoint
warnings.simplefilter("ignore")
inside = Path(sys.argv[1]) / "inside"
for _ in range(20):
    with Checkpoint(Path(sys.argv[1]) / "state.npz"):
        inside.touch(exist_ok=False)
        time.sleep(0.002 * random.random())
        inside.unlink()
    time.sleep(0.002 * random.random())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "state.npz"
    code = (
        "import sys, time\nfrom boxest.training.checkpoint import Checkpoint\n"
        "with Checkpoint(sys.argv[1]):\n    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    process.kill()
    process.communicate()
    with Checkpoint(path):  # A warning, that it waits, would be an error here.
        pass


def test_file_systems_without_locks_are_used_without(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.warns(
        UserWarning, match="cannot be locked .*No locks available.*continues without it"
    ):
        checkpoint.__enter__()
    checkpoint.begin({"a": 1})
    checkpoint.offer(State({}, []))
    checkpoint.flush()
    checkpoint.__exit__()
    assert (tmp_path / "state.npz").exists()


# --- processes that are really killed ---------------------------------------------------------

FIT = """
import sys, time
from boxest import BoxRegressor, synthetic
from boxest.system import signals
from boxest.system import backend, runtime
runtime.set_threads(1)
backend.start()
import keras
from boxest.training import checkpoint
checkpoint.FIRST, checkpoint.SHARE = 0.0, 1

class Pause(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == int(sys.argv[3]):
            print("paused", flush=True)
            time.sleep(10**6)

with checkpoint.Checkpoint(sys.argv[1]) as state:
    signals.leave_promptly(state.flush)
    images, boxes = synthetic.make(0, 100, seed=0, image_size=16)
    regressor = BoxRegressor.paper(
        epochs=9, batch_size=4, learning_rate=0.01, random_state=0, xla=False,
        checkpoint=state, verbose=2, callbacks=[Pause()],
    )
    regressor.fit(images, boxes)
    state.remove()
regressor.set_params(checkpoint=None, callbacks=None).save(sys.argv[2])
"""


def start(state, model, pause_after=-1):
    return subprocess.Popen(
        [sys.executable, "-c", FIT, str(state), str(model), str(pause_after)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.fault
@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_to_the_same_bits(tmp_path):
    """By kill -9, then by SIGTERM, then by Ctrl-C, each two or three epochs later."""
    state, model = tmp_path / "state.npz", tmp_path / "model.boxest"
    undisturbed = start(tmp_path / "other.npz", tmp_path / "undisturbed.boxest")
    resumed = []
    for by, epochs in ((signal.SIGKILL, 3), (signal.SIGTERM, 5), (signal.SIGINT, 8), (None, -1)):
        process = start(state, model, epochs)
        if by:
            while (line := process.stdout.readline()) != "paused\n":
                assert line, process.stderr.read()
                resumed += re.findall(r"Resumed after epoch (\d+)", line)
            process.send_signal(by)
        output, errors = process.communicate()
        assert errors == (f"Interrupted by {by.name}.\n" if by and by != signal.SIGKILL else "")
        status = {signal.SIGKILL: -signal.SIGKILL, None: 0}
        assert process.returncode == (status[by] if by in status else 128 + by)
    resumed += re.findall(r"Resumed after epoch (\d+)", output)
    # What was killed had perhaps not written its last epochs.
    assert 1 <= int(resumed[0]) <= 3
    assert resumed[1:] == ["5", "8"]
    assert not state.exists()
    assert undisturbed.communicate()[1] == ""
    assert_same(BoxRegressor.load(model), BoxRegressor.load(tmp_path / "undisturbed.boxest"))


LONG_CALL = """
import hashlib, sys
import numpy as np
from boxest.system import signals
from boxest.training.checkpoint import Checkpoint, State
with Checkpoint(sys.argv[1]) as state:
    signals.leave_promptly(state.flush)
    state.begin({})
    state.offer(State({"epoch": 7}, []))
    np.linalg.svd(np.random.default_rng(0).random((600, 600)))
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@pytest.mark.fault
@pytest.mark.parametrize("stderr", [None, "/dev/full"])
def test_a_call_that_takes_minutes_does_not_delay_leaving(tmp_path, stderr):
    """Nor do threads that a library has started before, or a disk that has no room for a word."""
    path = tmp_path / "state.npz"
    command = [sys.executable, "-c", LONG_CALL, str(path)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    environment = os.environ | threads
    environment.pop("PYTHONUNBUFFERED", None)
    with open(stderr or os.devnull, "w") as full:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=full, text=True, env=environment
        )
    assert process.stdout.readline() == "busy\n"
    time.sleep(0.5)
    process.terminate()
    # The call takes a quarter of an hour.
    assert process.wait(300) == 128 + signal.SIGTERM
    process.stdout.close()
    assert checkpoints._read(path)[1].about == {"epoch": 7}


KILLED_WHILE_WRITING = """
import os, signal, sys
from boxest.system import files
from boxest.training.checkpoint import Checkpoint, State
with Checkpoint(sys.argv[1]) as state:
    state.begin({})
    state.offer(State({"epoch": 1}, []))
    state.flush()
    files._flush = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    state.offer(State({"epoch": 2}, []))
    state.flush()
"""


@pytest.mark.fault
def test_a_kill_while_the_state_is_written_leaves_the_state_before(tmp_path):
    """Written to the last byte, but not under its name yet."""
    path = tmp_path / "state.npz"
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*-state.npz"))) == 1
    with Checkpoint(path) as checkpoint:
        assert checkpoint.begin({}).about == {"epoch": 1}
        assert list(tmp_path.glob(".*-state.npz")) == []


def test_followed_predictions_are_those_of_each_epoch_also_after_an_interruption(path, data):
    X, y = data

    def fit(**settings):
        return BoxRegressor.paper(**SETTINGS | {"epochs": 4} | settings).fit(X, y, followed=X[:3])

    whole = fit()
    two = BoxRegressor.paper(**SETTINGS | {"epochs": 2}).fit(X, y)
    assert whole.followed_.shape == (4, 3, 4)
    np.testing.assert_array_equal(whole.followed_[-1], whole.predict(X[:3]))
    np.testing.assert_array_equal(whole.followed_[1], two.predict(X[:3]))
    assert "followed" not in whole.history_[0]
    assert two.followed_.size == 0
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=path, callbacks=[Interrupt(3)])
    np.testing.assert_array_equal(fit(checkpoint=path).followed_, whole.followed_)


def test_a_resumed_training_may_follow_other_images(path, data):
    X, y = data
    settings = SETTINGS | {"epochs": 3, "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        BoxRegressor.paper(**settings, callbacks=[Interrupt(3)]).fit(X, y, followed=X[:3])
    followed = BoxRegressor.paper(**settings).fit(X, y, followed=X[5:9]).followed_
    assert followed.shape == (3, 4, 4)
    assert np.isnan(followed[:2]).all()
    assert np.isfinite(followed[2]).all()


def test_patience_may_be_a_number_of_numpy(path, data, monkeypatch):
    monkeypatch.setattr(checkpoints, "FIRST", 0)
    settings = {"epochs": 1, "stop_patience": np.int64(3), "plateau_min_delta": np.float32(0.5)}
    settings |= {"plateau_patience": np.int32(2), "checkpoint": path}
    regressor = BoxRegressor.paper(**SETTINGS | settings).fit(*data)
    assert (regressor.n_iter_, path.exists()) == (1, False)


def test_a_warm_start_after_more_epochs_is_another_training(data, path):
    """Its first weights may be the same: here, those after the first epoch are the best."""

    def fitted(epochs):
        settings = SETTINGS | {"learning_rate": 1.0, "loss": "mse", "schedule": "constant"}
        settings |= {"epochs": epochs, "restore_best_weights": True, "warm_start": True}
        return BoxRegressor.paper(**settings).fit(*data).set_params(epochs=2, checkpoint=path)

    one, two = fitted(1), fitted(2)
    assert two.best_epoch_ == 1
    with pytest.raises(KeyboardInterrupt):
        one.set_params(callbacks=[Interrupt(3)]).fit(*data)
    with pytest.warns(UserWarning, match="another training .*earlier epochs: 1, now 2"):
        two.fit(*data)
    assert [row["epoch"] for row in two.history_] == [1, 2, 3, 4]
