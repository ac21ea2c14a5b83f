"""Files from strangers: refused with a reason, without running, following or unpacking anything."""

import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import pytest
import yaml
from conftest import ROOT
from strangers import parts, rewrite, seal, write_model, write_shard

from boxest import BoxRegressor, shards
from boxest.data import hdf5
from boxest.data.shards import ShardError
from boxest.estimator import saving
from boxest.estimator.saving import FileError
from boxest.study import configuration


@pytest.fixture
def shard(tmp_path):
    return write_shard(tmp_path / "shard.h5")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "original.boxest")


@pytest.fixture
def saved(model, tmp_path):
    return Path(shutil.copy(model, tmp_path / "a.boxest"))


def images_instead(file, data=None, **arguments):
    """Put another data set in the place of the images."""
    del file["images"]
    arguments = {"track_times": False, "compression": "gzip"} | arguments
    file.create_dataset("images", data=data, **arguments)


def link_instead(to):
    def change(file):
        del file["images"]
        file["images"] = to(file) if callable(to) else to

    return change


def dataset(**arguments):
    """Images that are stored in another way."""

    def change(file):
        images_instead(file, file["images"][:], **{"chunks": (6, 8, 8)} | arguments)

    return change


def typed(dtype, shape=(6, 8, 8), chunks=(6, 8, 8)):
    """Images of another type, of which nothing is written."""
    return lambda file: images_instead(file, shape=shape, dtype=dtype, chunks=chunks)


def deep_type(file):
    """A list of lists of lists ..., which h5py takes minutes to describe."""
    kind = h5py.h5t.NATIVE_INT8
    for _ in range(2000):
        kind = h5py.h5t.vlen_create(kind)
    del file["images"]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((6, 8, 8))
    properties.set_deflate()
    h5py.h5d.create(file.id, b"images", kind, h5py.h5s.create_simple((6, 8, 8)), properties)


def pipe(file):
    """Make a file that keeps whoever opens it waiting for ever."""
    path = Path(file.filename).with_name("pipe")
    os.mkfifo(path)
    return str(path)


def external_link(file):
    del file["images"]
    file["images"] = h5py.ExternalLink(pipe(file), "/images")


def external_storage(file):
    outside = [(pipe(file), 0, 6 * 8 * 8)]
    images_instead(file, shape=(6, 8, 8), dtype="u1", external=outside, compression=None)


def virtual(file):
    layout = h5py.VirtualLayout((6, 8, 8), "u1")
    layout[:] = h5py.VirtualSource(pipe(file), "images", (6, 8, 8))
    del file["images"]
    file.create_virtual_dataset("images", layout)


def unknown_filter(file):
    """Number 32015 is Zstandard, which HDF5 looks for among the plugins."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((6, 8, 8))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    del file["images"]
    space = h5py.h5s.create_simple((6, 8, 8))
    made = h5py.h5d.create(file.id, b"images", h5py.h5t.STD_U8LE, space, properties)
    made.write_direct_chunk((0, 0, 0), b"not what a filter made", 0)


def chunk(content):
    """Images whose only chunk is this."""
    return lambda file: file["images"].id.write_direct_chunk((0, 0, 0), content)


CHUNKS = "images is not stored in chunks of"
GZIP = "images should be packed only with gzip"
UNLIKE = "images should be uint8 of shape"
HOSTILE = {
    "external link": (external_link, "images is a link to another place"),
    "soft link": (link_instead(h5py.SoftLink("/boxes")), "images is a link to another place"),
    "cycle": (link_instead(lambda file: file["/"]), "images is not a data set"),
    "one data set twice": (link_instead(lambda file: file["boxes"]), CHUNKS),
    "group": (lambda file: file.create_group("more"), "nothing else"),
    "no images": (lambda file: file.pop("images"), "nothing else"),
    "external storage": (external_storage, CHUNKS),
    "virtual": (virtual, CHUNKS),
    "references": (typed(h5py.ref_dtype), UNLIKE),
    "compound": (typed([("a", "u1"), ("b", "f8")]), UNLIKE),
    "enum": (typed(h5py.enum_dtype({"a": 0}, "u1")), UNLIKE),
    "texts": (typed(h5py.string_dtype()), UNLIKE),
    "lists": (typed(h5py.vlen_dtype("u1")), UNLIKE),
    "signed": (typed("i1"), UNLIKE),
    "deep type": (deep_type, UNLIKE),
    "huge shape": (typed("u1", (2**40, 2**10, 2**10)), UNLIKE),
    "other shape": (typed("u1", (7, 8, 8)), UNLIKE),
    "other rank": (typed("u1", (6, 64), (6, 64)), CHUNKS),
    "no shape": (lambda file: images_instead(file, h5py.Empty("u1"), compression=None), CHUNKS),
    "other chunks": (dataset(chunks=(2, 8, 8)), CHUNKS),
    "in one piece": (dataset(chunks=None, compression=None), CHUNKS),
    "not packed": (dataset(compression=None), GZIP),
    "lzf": (dataset(compression="lzf"), GZIP),
    "shuffled": (dataset(shuffle=True), GZIP),
    "unknown filter": (unknown_filter, GZIP),
    "nothing written": (typed("u1"), "images is not stored in the file"),
    "bomb": (chunk(zlib.compress(bytes(2**28))), "images has chunks of more than 397 bytes"),
    "no gzip": (chunk(bytes(100)), "h5py cannot read it"),
}


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_shard(shard, change, message):
    """Their digests are right: somebody made them so."""
    seal(shard, change)
    assert shard.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(ShardError, match=rf"shard\.h5: .*{message}"):
            shards.read(shard)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.fault
def test_chunks_that_overlap(shard, monkeypatch):
    """One chunk that stands for many would make a small file large."""
    monkeypatch.setattr(hdf5, "CHUNK_BYTES", 64)
    write_shard(shard)
    content = bytearray(shard.read_bytes())
    index = content.index(b"TREE\x01\x00\x06\x00") + 24  # A leaf with six chunks.
    for entry in range(index, index + 6 * 48, 48):
        content[entry : entry + 4] = (len(content) // 2).to_bytes(4, "little")
    shard.write_bytes(content)
    seal(shard)
    with pytest.raises(ShardError, match="images is not stored in the file"):
        shards.read(shard)


@pytest.mark.fault
def test_shard_loads_no_plugin(shard, tmp_path):
    """HDF5 looks for filters among shared libraries, and runs what it finds; boxest does not."""
    seal(shard, unknown_filter)
    (tmp_path / "plugins").mkdir()
    shutil.copy(h5py.h5z.__file__, tmp_path / "plugins" / "libtrap.so")
    loads = {}
    for reader in (
        "import h5py; h5py.File({path!r})['images'][:]",
        "from boxest import shards; shards.read({path!r})",
    ):
        done = subprocess.run(
            [sys.executable, "-c", reader.format(path=str(shard))],
            env=os.environ | {"HDF5_PLUGIN_PATH": str(tmp_path / "plugins"), "LD_DEBUG": "files"},
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        loads[reader.split()[1]] = b"libtrap.so" in done.stderr
    assert loads == {"h5py;": True, "boxest": False}


READERS = {"shard": shards.read, "model": BoxRegressor.load}


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_pipes_and_devices_do_not_keep_a_reader_waiting(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", "/dev/zero", "/dev/null"):
        with pytest.raises(OSError, match=r"not a regular file, but a pipe, a device.*: '/"):
            read(path)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        read(tmp_path)


def test_symbolic_links_to_files_are_files(shard, saved, tmp_path):
    for name, path in {"shard": shard, "model": saved}.items():
        (tmp_path / name).symlink_to(path)
        READERS[name](tmp_path / name)


# --- models -------------------------------------------------------------------------------------


def bomb_in(compression):
    """Numbers that are 64 MiB of zeros."""
    return lambda path, content: rewrite(
        path, (content | {"arrays": bytes(2**26)}).items(), compression
    )


def named(name):
    return lambda path, content: rewrite(path, [(name, b""), *content.items()])


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return lambda path, content: rewrite(path, (content | {"estimator.json": value}).items())


def patched(signature, at, value):
    """Change a header of the archive: a claim about the part that comes first in it."""

    def change(path, _):
        whole = bytearray(path.read_bytes())
        start = whole.index(signature) + at
        whole[start : start + len(value)] = value
        path.write_bytes(whole)

    return change


def twice(path, content):
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite(path, [*content.items(), ("arrays", b"")])


def about(**changes):
    def change(path, content):
        table = json.loads(content["estimator.json"])
        for name, value in changes.items():
            table[name] = table[name] | value if isinstance(value, dict) else value
        text(json.dumps(table))(path, content)

    return change


CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
LARGER = "is compressed, or larger than the file"
SHAPE = "its image shape is"
MODELS = {
    "deflate bomb": (bomb_in(zipfile.ZIP_DEFLATED), LARGER),
    "bzip2 bomb": (bomb_in(zipfile.ZIP_BZIP2), LARGER),
    "lzma bomb": (bomb_in(zipfile.ZIP_LZMA), LARGER),
    "claims to be large": (patched(CENTRAL, 20, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"), LARGER),
    "claims to be small": (patched(CENTRAL, 24, b"\x01\x00\x00\x00"), LARGER),
    "claims to be encrypted": (patched(CENTRAL, 8, b"\x01\x00"), "encrypted"),
    "claims to be elsewhere": (patched(CENTRAL, 42, b"\xff\xff\xff\x7f"), "damaged"),
    "unknown compression": (patched(CENTRAL, 10, b"\x63\x00"), LARGER),
    "way out": (named("../../estimator.json"), "and nothing else"),
    "way to the root": (named("/etc/passwd"), "and nothing else"),
    "name twice": (twice, "and nothing else"),
    "nothing": (lambda path, _: rewrite(path, []), "and nothing else"),
    "deep text": (text("[" * 10**6), "recursion|does not hold a table"),
    "deeper text": (text('{"a":' * 10**5 + "1" + "}" * 10**5), "recursion|format"),
    "no table": (text("[1, 2]"), "does not hold a table"),
    "long number": (text("1" * 10**5), "digits"),
    "not UTF-8": (text(b'{"format": "\xff"}'), "decode"),
    "not JSON": (text("{'format': 1}"), "Expecting"),
    "empty table": (text("{}"), "it has the format None None"),
    "other version": (about(format_version=5), "it has the format 'boxest estimator' 5"),
    "version as text": (about(format_version="2"), "it has the format 'boxest estimator' '2'"),
    "another key": (about(shell="rm"), "should be a table of format"),
    "huge image": (about(image_shape=[10**6, 10**6, 1]), SHAPE),
    "wide image": (about(image_shape=[8, 10**12, 1]), SHAPE),
    "image of many channels": (about(image_shape=[8, 8, 2**40]), SHAPE),
    "image beyond 64 bits": (about(image_shape=[2**63, 2**63, 2**63]), SHAPE),
    "negative image": (about(image_shape=[-16, -16, 1]), SHAPE),
    "image of truth": (about(image_shape=[16, 16, True]), SHAPE),
    "image of text": (about(image_shape="16"), "its image_shape is '16'"),
    "other features": (about(fitted={"n_features_in_": 255}), "have 255 features"),
    "no outputs": (about(fitted={"n_outputs_": 0}), "it has 0 outputs"),
    "huge seed": (about(fitted={"seed_": -1}), "damaged"),
    "network by path": (about(parameters={"network": "../net.py"}), "Unknown network"),
    "object": (
        about(parameters={"optimizer": {"module": "subprocess", "class_name": "Popen"}}),
        "its parameter optimizer is",
    ),
    "object in a list": (about(parameters={"callbacks": [{"class_name": "x"}]}), "callbacks is"),
    "code": (about(parameters={"output_activation": "__import__('os')"}), "Unknown output_act"),
    "function": (about(parameters={"loss": "os.system"}), "loss must be one of|Unknown loss"),
    "many outputs": (about(fitted={"n_outputs_": 400}), "it has 400 outputs"),
    "file to be overwritten": (
        about(parameters={"checkpoint": "thesis.txt"}),
        "its parameter checkpoint should be null",
    ),
    "rate": (about(parameters={"learning_rate": float("nan")}), "'learning_rate' parameter"),
    "rate as text": (about(schedule={"learning_rate": "0.1"}), "its learning_rate is '0.1'"),
    "infinite rate": (about(schedule={"learning_rate": float("inf")}), "learning rate inf"),
    "history": (about(fitted={"history_": [1]}), "its history has 1 instead of a table"),
}


@pytest.mark.fault
@pytest.mark.parametrize(("change", "message"), MODELS.values(), ids=MODELS)
def test_hostile_model(saved, change, message):
    change(saved, parts(saved))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=rf"(?s)a\.boxest is not a saved .*({message})"):
            BoxRegressor.load(saved)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.fault
def test_a_text_that_would_fill_the_memory_is_not_read(saved, monkeypatch):
    monkeypatch.setattr(saving, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(FileError, match=r"estimator\.json has more than the allowed 1000 bytes"):
        BoxRegressor.load(saved)


# --- configurations -----------------------------------------------------------------------------

CONFIGS = [
    ("grid: {seeds: 1000000000}", "1000000000 is greater than the maximum of 100000"),
    ("best: {seeds: 1000000000}", "1000000000 is greater than the maximum of 100000"),
    ("grid: {seeds: 90000}", "more than 100000 runs, which is too many to plan"),
    ("data: {images: 1000000000, shard_size: 1}", "need 1000000000 files, but at most 10000"),
    ("data: {images: 1e18}", "'1e18' is not of type 'integer'"),
    ("data: {images: 1.0e+18}", "data.images: 1e+18 is not of type 'integer'"),
    ("data: {images: 10000.0}", "data.images: 10000.0 is not of type 'integer'"),
    ("data: {seed: -1}", "-1 is less than the minimum of 0"),
    ("data: {seed: 18446744073709551616}", "is greater than the maximum of 18446744073709551615"),
    ("data: {split: [.nan, 0.5, 0.5]}", "data.split.0: nan is not of type 'number'"),
    ("data: {split: [0.8, 0.2]}", "is too short"),
    ("data: {box_law: sides_uniform}", "'sides_uniform' is not of type 'object'"),
    ("data: {scene: noisy}", "'noisy' is not of type 'object'"),
    ("data: {scene: {nois: 0.1}}", "unknown key 'nois'; did you mean noise?"),
    ("data: {scene: {noise: .nan}}", "data.scene.noise: nan is not of type 'number'"),
    ("data: {scene: {discs: 1000000}}", "1000000 is greater than the maximum of 100"),
    ("data: {scene: {lines: 3.0}}", "data.scene.lines: 3.0 is not of type 'integer'"),
    ("data: {scene: {object_level: [0.5]}}", "is too short"),
    ("data: {scene: {object_level: [1, 0]}}", "data.scene: object_level must be the lowest and"),
    ("data: {scene: {object_level: [0, 0]}}", "data.scene: A background level of 0 leaves no"),
    ("data: [1]", "is not of type 'object'"),
    ("settings: {epochs: true}", "True is not of type 'integer'"),
    ("settings: {epochs: 9999999999}", "9999999999 is greater than the maximum of 100000"),
    ("execution: {threads: 0}", "0 is less than the minimum of 1"),
    ("settings: {xla: maybe}", "'maybe' is not one of ['auto', True, False]"),
    ("grid: {batch_size: [16, 16]}", "is there twice"),
    ("grid: {learning_rate: [1, 1.0]}", "is there twice"),
    ("grid: {batch_size: [99999999999999999999]}", "is greater than the maximum of 2147483647"),
    ("grid: {batch_size: []}", "grid.batch_size has no value"),
    ("grid: {learning_rate: [-0.1]}", "grid.learning_rate: -0.1 is not one of"),
    ("grid: {learning_rate: [1.0e+39]}", "grid.learning_rate: 1e+39 is not one of"),
    ("best: {plateau_factor: .nan}", "best.plateau_factor: nan is not of type 'number'"),
    ("best: {learning_rate: .nan}", "best.learning_rate: nan is not one of"),
    ("results: ..", "'..' does not match"),
    ("results: ../../etc", "'../../etc' does not match"),
    ("results: a/./b", "'a/./b' does not match"),
    ("results: a//b", "'a//b' does not match"),
    ("results: -rf", "'-rf' does not match"),
    ("results: '{x}'", "'{x}' does not match"),
    ("results: '$(id)'", "'$(id)' does not match"),
    ('results: "a\\n"', "'a\\n' does not match"),
    ("results: ''", "'' does not match"),
    (f"results: {'a' * 300}", "is too long"),
    ("results: 5", "5 is not of type 'string'"),
    ("results:", "None is not of type 'string'"),
    ("1: 2", "unknown key 1"),
    ("__class__: x", "unknown key '__class__'"),
]


SCHEMA = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")


@pytest.mark.parametrize(("overlay", "message"), CONFIGS)
def test_hostile_configuration(overlay, message):
    from snakemake.utils import update_config

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    update_config(config, yaml.safe_load(overlay))
    with pytest.raises(configuration.ConfigurationError, match=re.escape(message)) as error:
        configuration.read(config, SCHEMA)
    assert len(str(error.value)) < 800


@pytest.mark.parametrize(
    "results", ["results/a.b-c_1", "/scratch/me/study/", "with a space/x", ".hidden/x", "..a"]
)
def test_ordinary_directories_are_taken(results):
    assert configuration.read({"results": results}, SCHEMA)["results"] == results
