"""Starting the backend, seen from outside: in processes of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import boxest
from boxest.system import runtime

FIT = """
import os, time
os.dup2(1, 2)
from boxest import BoxRegressor, synthetic
from boxest.system import backend, runtime
if {directory!r}:
    runtime.share_compiled_programs({directory!r})
X, y = synthetic.make(0, 40, seed=0, image_size=16)
regressor = BoxRegressor.paper(epochs=2, random_state=0).fit(X, y)
print([weights.tolist() for weights in regressor.model_.get_weights()])
"""


def test_threads_must_be_set_before_the_backend(python):
    code = "import boxest, keras\nboxest.set_threads(2)"
    with pytest.raises(AssertionError, match=r"set_threads\(2\) comes too late, .*tensorflow"):
        python(code)


def test_threads_must_be_positive():
    with pytest.raises(ValueError, match=r"threads must be an integer in 1\..*; got 0"):
        boxest.set_threads(0)
    with pytest.raises(TypeError, match=r"threads must be an integer; got 2\.5"):
        boxest.set_threads(2.5)


def test_the_last_number_of_threads_counts(monkeypatch):
    monkeypatch.setattr(runtime, "_refuse_if_started", lambda what: None)
    monkeypatch.setattr(os, "environ", {"XLA_FLAGS": "--xla_dump_to=here"})
    boxest.set_threads(1)
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=here --xla_cpu_multi_thread_eigen=false"
    boxest.set_threads(2)
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=here"
    assert os.environ["PJRT_NPROC"] == os.environ["TF_NUM_INTRAOP_THREADS"] == "2"


def test_backend_obeys_the_number_of_threads(python):
    """TensorFlow starts as many threads as it was told, and some of its own."""
    code = (
        "import os\nfrom boxest.system import backend, runtime\n"
        "runtime.set_threads({})\nbackend.start()\n"
        "import tensorflow as tf\n"
        "tf.linalg.matmul(tf.ones((500, 500)), tf.ones((500, 500)))\n"
        "print(backend.describe()['threads'], len(os.listdir('/proc/self/task')))"
    )
    one, three = (python(code.format(n), TF_NUM_INTRAOP_THREADS="") for n in (1, 3))
    assert (one.split()[0], three.split()[0]) == ("1", "3")
    assert int(three.split()[1]) > int(one.split()[1])


@pytest.mark.slow
def test_a_training_job_does_without_what_no_training_uses(python, tmp_path):
    code = f"""
import sys
from boxest.system import runtime
runtime.prepare(1)
with runtime.without_unused_packages():
    from boxest import BoxRegressor, synthetic
    from boxest.study import history
X, y = synthetic.make(0, 8, seed=0, image_size=16)
regressor = BoxRegressor.paper(epochs=1, random_state=0).fit(X, y, followed=X[:2])
history.write({str(tmp_path)!r}, regressor, {{}}, (X, y))
history.save({str(tmp_path / "model.boxest")!r}, regressor)
seldom = {{"pandas", "matplotlib", "jax", "scipy.stats._stats_py"}}
print(*(seldom | {{"keras"}}) & set(sys.modules))
import matplotlib.pyplot, pandas
"""
    assert python(code) == "keras\n"


@pytest.mark.parametrize(
    "use",
    [
        "from seldom import half",
        "from seldom import *",
        "import seldom.part as half",
        "import seldom as half",
    ],
)
def test_what_is_seldom_used_is_imported_at_its_first_use(tmp_path, monkeypatch, use):
    (tmp_path / "seldom").mkdir()
    (tmp_path / "seldom" / "__init__.py").write_text("__all__ = ['half']\nhalf = real = 0.5\n")
    (tmp_path / "seldom" / "part.py").write_text("import seldom\nreal = seldom.half\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(runtime, "_only_trains", True)
    monkeypatch.setattr(runtime, "_UNUSED", ())
    monkeypatch.setattr(runtime, "_SELDOM_USED", ("seldom",))
    try:
        with runtime.without_unused_packages():
            import seldom
        assert not hasattr(seldom, "__file__")  # as Python asks when it looks for a traceback
        found = {}
        exec(use, found)
        half = found["half"]
        assert (half if isinstance(half, float) else half.real) == 0.5
        assert sys.modules["seldom"].__file__ == str(tmp_path / "seldom" / "__init__.py")
        with pytest.raises(AttributeError, match="'seldom' has no attribute 'third'"):
            _ = seldom.third
    finally:
        for name in ("seldom", "seldom.part"):
            sys.modules.pop(name, None)


def test_jax_is_imported_where_keras_runs_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "_only_trains", True)
    monkeypatch.setattr(runtime, "_UNUSED", ("jax",))
    monkeypatch.setattr(runtime, "_SELDOM_USED", ())
    monkeypatch.delitem(sys.modules, "jax", raising=False)

    def hidden():
        with runtime.without_unused_packages():
            return "jax" in sys.modules

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert not hidden()
    monkeypatch.delenv("KERAS_BACKEND")
    assert hidden()
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert not hidden()
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "keras.json").rename(tmp_path / "elsewhere.json")
    assert hidden()
    (tmp_path / "somewhere").mkdir()
    (tmp_path / "elsewhere.json").rename(tmp_path / "somewhere" / "keras.json")
    assert not hidden()


def test_start_leaves_garbage_collection_as_it_was(python):
    code = (
        "import gc\nbefore = gc.get_threshold()\n"
        "from boxest.system import backend\nbackend.start()\n"
        "print(gc.isenabled(), gc.get_threshold() == before, gc.get_freeze_count())"
    )
    assert python(code).split() == ["True", "True", "0"]


@pytest.mark.slow
def test_a_process_of_our_own_never_looks_through_its_imports_again(python):
    code = (
        "import gc\nfrom boxest.system import backend, garbage\n"
        "garbage.spare_this_process()\nbackend.start()\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    assert python(code).split() == ["True", "True"]


@pytest.mark.parametrize(
    "begun",
    [
        "from boxest.system import logs\nwith logs.to_file('/dev/stdout'):\n    pass",
        "import sys\nsys.argv = ['boxest', '--version']\nfrom boxest.cli import boxest\nboxest()",
    ],
    ids=["job", "command"],
)
def test_processes_of_our_own_end_without_a_collection(python, begun):
    # What is registered first runs last at the end.
    first = "import atexit, gc\natexit.register(lambda: print('frozen', gc.get_freeze_count()))\n"
    assert int(python(first + begun).split("frozen ")[1]) > 1000


# --- GPUs ------------------------------------------------------------------------------------

TAKE = "from boxest.system import runtime\nprint(runtime.take_gpu(), flush=True)\ninput()"


@pytest.fixture
def taking(tmp_path):
    """Start processes that take a GPU and keep it; none is needed, they are only counted."""
    processes = []

    def take(gpus):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": gpus, "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-W", "always", "-c", TAKE]
        process = subprocess.Popen(command, env=environment, text=True, **pipes)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield take
    for process in processes:
        process.kill()
        process.communicate()


def test_each_process_takes_a_gpu_of_its_own_until_it_ends(taking):
    (first, one), (_, two), (third, none) = (taking("3, GPU-5") for _ in range(3))
    assert (one, two, none) == ("3", "GPU-5", "None")
    third.kill()
    assert "Other processes use all 2 GPUs" in third.communicate()[1]
    first.kill()
    first.wait()
    assert taking("3,GPU-5")[1] == "3"


@pytest.mark.parametrize("gpus", ["", "2"])
def test_with_one_gpu_or_none_nothing_is_taken(taking, gpus):
    assert [taking(gpus)[1] for _ in range(2)] == ["None", "None"]


def test_gpus_are_those_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(runtime, "_DRIVER", tmp_path)
    assert runtime._visible_gpus() == []
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    assert runtime._visible_gpus() == ["0", "1"]


def test_a_gpu_must_be_taken_before_the_backend(python):
    with pytest.raises(AssertionError, match=r"take_gpu\(\) comes too late, .*tensorflow"):
        python("import keras\nfrom boxest.system import runtime\nruntime.take_gpu()")


# --- threads ---------------------------------------------------------------------------------

BUSIEST = """
import os
from boxest.system import backend, runtime

def seconds():
    lines = {t: open(f'/proc/self/task/{t}/stat').read() for t in os.listdir('/proc/self/task')}
    fields = {t: line.rsplit(')', 1)[1].split() for t, line in lines.items()}
    return {t: int(field[11]) + int(field[12]) for t, field in fields.items()}

runtime.set_threads(%d)
backend.start()
import jax, jax.numpy as jnp

def products(x):
    for _ in range(5):
        x = jnp.tanh(x @ x)
    return x

products, ones = jax.jit(products), jnp.ones((1000, 1000))
products(ones).block_until_ready()
before = seconds()
for _ in range(10):
    products(ones).block_until_ready()
spent = [after - before.get(thread, 0) for thread, after in seconds().items()]
print(max(spent) / sum(spent))
"""


@pytest.mark.jax
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for times of threads")
def test_jax_obeys_the_number_of_threads(python):
    """All is done by one thread, or a share by each of two, on a busy machine not the half."""
    pytest.importorskip("jax")
    one, two = (
        float(python(BUSIEST % threads, KERAS_BACKEND="jax", XLA_FLAGS="")) for threads in (1, 2)
    )
    assert one > 0.95
    assert two < 0.95


def test_settings_of_the_user_are_respected(python):
    code = (
        "import os\nfrom boxest.system import runtime\nruntime.quiet()\n"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    assert python(code, TF_CPP_MIN_LOG_LEVEL="0") == "0\n"


@pytest.fixture(scope="module")
def plain(python):
    """What a fit prints that shares no programs."""
    return python(FIT.format(directory=None))


@pytest.fixture(scope="module")
def shared(python, tmp_path_factory):
    """Return a directory with the programs of a fit, and what the fit has printed.

    Files of others are there and elsewhere; there is a blank in its path.
    """
    directory = tmp_path_factory.mktemp("results") / "of an old study"
    directory.mkdir()
    for foreign in (directory / "mine.pb", directory.parent / "thesis.txt"):
        foreign.write_text("mine")
    return directory, python(FIT.format(directory=str(directory)))


def entries(directory):
    named = directory.glob("*/xla_compile_cache__*.pb.checked")
    return {path: path.stat().st_mtime_ns for path in named}


@pytest.mark.slow
def test_compiled_programs_are_shared_with_the_same_bits(python, plain, shared):
    directory, cold = shared
    made = entries(directory)
    assert len(made) >= 2
    warm = python(FIT.format(directory=str(directory)))
    assert plain == cold == warm
    assert entries(directory) == made


@pytest.mark.slow
@pytest.mark.fault
def test_damaged_compiled_programs_are_made_again(python, shared, tmp_path):
    directory, cold = shared
    copied = shutil.copytree(directory, tmp_path / "copied")
    assert entries(copied)
    for path in entries(copied):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert python(FIT.format(directory=str(copied))) == cold


@pytest.mark.slow
@pytest.mark.fault
def test_where_programs_cannot_be_written_they_are_done_without(python, plain, tmp_path):
    """The backend's directory is a file: TensorFlow's own error would end the training."""
    spoil = "    (place,) = runtime._programs._places\n    place.rmdir()\n    place.touch()\nX, y"
    code = FIT.format(directory=str(tmp_path))
    assert python(code.replace("X, y", spoil, 1)) == plain


@pytest.mark.slow
def test_shared_programs_are_forgotten_and_nothing_else(python, shared, tmp_path):
    copied = shutil.copytree(shared[0].parent, tmp_path / "results") / shared[0].name
    assert entries(copied)
    code = (
        "from boxest.system import runtime\n"
        f"runtime.share_compiled_programs({str(copied)!r})\n"
        "print(runtime.forget_compiled_programs())"
    )
    assert python(code) == "True\n"
    assert list(copied.glob("*/*.checked")) == []
    mine = [copied / "mine.pb", copied.parent / "thesis.txt"]
    assert [path.read_text() for path in mine] == ["mine", "mine"]


def test_nothing_is_deleted_where_nothing_is_shared():
    assert runtime.forget_compiled_programs() is False


def test_greetings_are_shown_when_the_backend_cannot_start(python):
    code = (
        "import os\nfrom boxest.system import backend\n"
        "with backend._greetings_withheld():\n"
        "    os.write(2, b'greeting'); raise ImportError('no backend')"
    )
    with pytest.raises(AssertionError, match=r"greeting(.|\n)*no backend"):
        python(code)


def test_programs_of_another_machine_are_not_used(monkeypatch):
    first = runtime.machine()
    monkeypatch.setattr("platform.processor", lambda: "another")
    assert runtime.machine() != first


def test_processors_of_arm_are_told_apart_by_what_they_can_do(monkeypatch):
    found = []
    for features in ("fp asimd", "fp asimd sve"):
        text = f"BogoMIPS\t: 2100.00\nFeatures\t: {features}\nCPU part\t: 0xd40\n"
        monkeypatch.setattr(runtime, "Path", lambda *_, text=text: Mock(read_text=lambda: text))
        found.append(runtime.machine())
    assert found[0] != found[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_programs_for_other_threads_are_not_used(monkeypatch, tmp_path, threads):
    monkeypatch.setattr(runtime, "_refuse_if_started", lambda what: None)
    monkeypatch.setattr(runtime, "_programs", None)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    entries = []
    for number in (2, threads):
        runtime.set_threads(number)
        monkeypatch.setattr(runtime, "CompiledPrograms", lambda _, name: Mock(own=name))
        runtime.share_compiled_programs(tmp_path)
        entries.append(runtime._programs.own)
    assert entries[0] != entries[1]
