"""boxest.shards: what is written comes back, and whatever is damaged is noticed."""

import dataclasses
import errno
import fcntl
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from PIL import Image
from strangers import header, seal

from boxest import shards, synthetic
from boxest.data import hdf5
from boxest.data.inputs import ShardImages
from boxest.data.shards import Meta, ShardError
from boxest.data.synthetic import BoxLaw, Scene

LAW = BoxLaw(min_side=2)


def make(start=0, stop=6, split="train", seed=0, size=8, scene=synthetic.CLEAN):
    """Content of a small shard."""
    images, boxes = synthetic.make(start, stop, seed=seed, image_size=size, law=LAW, scene=scene)
    return images, boxes, Meta(split, start, stop, seed, size, LAW, scene)


@pytest.fixture
def path(tmp_path):
    shards.write(tmp_path / "shard.h5", *make())
    return tmp_path / "shard.h5"


def write(tmp_path, **what):
    name = "-".join(f"{key}{value}" for key, value in what.items())
    shards.write(tmp_path / f"{name}.h5", *make(**what))
    return tmp_path / f"{name}.h5"


def test_what_is_written_comes_back(path):
    images, boxes, meta = make()
    shard = shards.read(path)
    np.testing.assert_array_equal(shard.images, images)
    np.testing.assert_array_equal(shard.boxes, boxes)
    assert (shard.images.dtype, shard.boxes.dtype) == (np.uint8, np.float64)
    assert shard.meta == meta
    assert shard.meta.law == BoxLaw("sides_uniform", 2, 8)
    assert shard.meta.n_images == 6


@pytest.mark.parametrize("box", [[np.nan] * 4, [5.0, 5.0, -3.0, -3.0], [0.5, 0.5, 0.2, 0.7]])
def test_boxes_that_are_none_are_refused_whatever_the_checksum(tmp_path, monkeypatch, box):
    images, boxes, meta = make()
    boxes[3] = box
    monkeypatch.setattr(shards, "check_boxes", np.asarray)
    shards.write(tmp_path / "shard.h5", images, boxes, meta)
    monkeypatch.undo()
    for read in (shards.read, shards.summary, lambda path: shards.load([path])):
        with pytest.raises(ShardError, match=r"shard\.h5: its checksum is right.*boxes are wrong"):
            read(tmp_path / "shard.h5")


def test_layout(tmp_path):
    images, boxes = synthetic.make(0, 100, seed=2**64 - 1)
    meta = Meta("test", 0, 100, 2**64 - 1, 128, BoxLaw())
    path = tmp_path / "new" / "shard.h5"
    shards.write(path, images, boxes, meta)
    expected = {
        "format": "boxest shard",
        "format_version": 3,
        "kind": "drawn boxes",
        "split": "test",
        "start": 0,
        "stop": 100,
        "seed": 2**64 - 1,
        "image_size": 128,
        "law": "sides_uniform",
        "min_side": 5,
        "max_side": 128,
        "scene": "{}",
    }
    with h5py.File(path) as file:
        assert set(file) == {"images", "boxes"}
        assert file["images"].chunks == (64, 128, 128)
        assert file["images"].compression == "gzip"
        assert file["images"].attrs["interpretation"] == "image"
        assert file["boxes"].attrs["columns"] == "x1, y1, x2, y2"
        assert dict(file.attrs) == expected
    with open(path, "rb") as file:
        said = json.loads(file.readline())
    assert len(said.pop("sha256")) == 64
    assert said == expected
    assert shards.read(path).meta == meta


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    time.sleep(1.1)  # HDF5 counts time stamps in seconds
    shards.write(tmp_path / "again.h5", *make())
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_summary(path):
    summary = shards.summary(path)
    assert summary["file"] == "shard.h5"
    assert (summary["split"], summary["start"], summary["stop"]) == ("train", 0, 6)
    assert summary["bytes"] == path.stat().st_size
    assert json.loads(path.read_bytes().partition(b"\n")[0])["sha256"] == summary["sha256"]


NOISY = Scene(noise=0.1, object_level=(0.5, 1), discs=1)


def test_a_scene_comes_back_and_stands_in_the_file(tmp_path):
    images, boxes, meta = make(scene=NOISY)
    shards.write(tmp_path / "noisy.h5", images, boxes, meta)
    shard = shards.read(tmp_path / "noisy.h5")
    assert shard.meta == meta
    assert shard.meta.scene == NOISY
    np.testing.assert_array_equal(shard.images, images)
    text = '{"discs": 1, "noise": 0.1, "object_level": [0.5, 1.0]}'
    assert shards.summary(tmp_path / "noisy.h5")["scene"] == text


def test_shards_of_another_scene(path, tmp_path):
    shards.write(tmp_path / "noisy.h5", *make(6, 9, scene=NOISY))
    with pytest.raises(ShardError, match=r"scene is \{\} in one and \{.discs.: 1"):
        shards.load([path, tmp_path / "noisy.h5"])
    assert len(shards.load([path], {"seed": 0})[0]) == 6
    assert len(shards.load([tmp_path / "noisy.h5"], {"scene": NOISY.text()})[0]) == 3
    for expected in ({"seed": 0}, {"scene": Scene(noise=0.2).text()}):
        with pytest.raises(ShardError, match=r"noisy.h5 is .* its scene is .*expected \{"):
            shards.load([tmp_path / "noisy.h5"], expected)
    with pytest.raises(ShardError, match=r"its scene is \{\}, expected \{.noise.: 0.2"):
        shards.load([path], {"scene": Scene(noise=0.2).text()})


def test_load_joins_shards_in_order(tmp_path):
    paths = [write(tmp_path, start=a, stop=b) for a, b in ((10, 13), (3, 9), (9, 10))]
    images, boxes = shards.load(paths)
    expected_images, expected_boxes, _ = make(3, 13)
    np.testing.assert_array_equal(images, expected_images)
    np.testing.assert_array_equal(boxes, expected_boxes)
    for one in (paths[0], str(paths[0]), iter(paths[:1])):
        np.testing.assert_array_equal(shards.load(one)[0], expected_images[7:])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"start": 7, "stop": 9}, r"0\.\.5 and .*start7-stop9\.h5 7\.\.8: there is a gap"),
        ({"start": 5, "stop": 9}, "they overlap"),
        ({"start": 0, "stop": 6, "split": "train"}, "they overlap"),
        ({"start": 6, "stop": 9, "seed": 1}, "seed is 0 in one and 1 in the other"),
        ({"start": 6, "stop": 9, "size": 9}, "image_size is 8 in one and 9"),
        ({"start": 6, "stop": 9, "split": "test"}, "split is train in one and test"),
    ],
)
def test_shards_that_do_not_fit(path, tmp_path, other, message):
    with pytest.raises(ShardError, match=message):
        shards.load([path, write(tmp_path, **other)])


def test_shards_of_another_law(path, tmp_path):
    images, boxes, meta = make(6, 9)
    law = BoxLaw("corners_uniform", 2)
    shards.write(tmp_path / "other.h5", images, boxes, dataclasses.replace(meta, law=law))
    with pytest.raises(ShardError, match=r"shard\.h5 and .*other\.h5 .*law is sides_uniform"):
        shards.load([path, tmp_path / "other.h5"])


def test_nothing_to_load():
    with pytest.raises(ValueError, match="no shards to load"):
        shards.load([])


def test_what_cannot_be_written(tmp_path):
    images, boxes, meta = make()
    path = tmp_path / "shard.h5"
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(6, 8, 8\).*got float64"):
        shards.write(path, images / 255, boxes, meta)
    with pytest.raises(ValueError, match=r"for indices 0\.\.5; got uint8 of shape \(5, 8, 8\)"):
        shards.write(path, images[1:], boxes, meta)
    with pytest.raises(ValueError, match=r"boxes must be float64 of shape \(6, 4\)"):
        shards.write(path, images, boxes[1:], meta)
    with pytest.raises(ValueError, match="looks like pixels"):
        shards.write(path, images, boxes * 8, meta)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"stop": 0}, ValueError, "0 <= start < stop; got 0 and 0"),
        ({"start": -1}, ValueError, "0 <= start < stop; got -1 and 6"),
        ({"stop": 2**31}, ValueError, "make more and smaller shards"),
        ({"image_size": 1}, ValueError, "min_side"),
        ({"split": 1}, TypeError, "split must be a str"),
        ({"split": "x" * 101}, ValueError, "split may have at most 100 letters"),
        ({"scene": Scene(texture=0.1)}, ValueError, "texture_scale .* an eighth of the image size"),
        ({"start": 0.5}, TypeError, "integer"),
    ],
)
def test_what_meta_refuses(change, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(make()[2], **change)


def test_absent_files_are_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        shards.read(tmp_path / "absent.h5")
    with pytest.raises(IsADirectoryError):
        shards.read(tmp_path)


def rewritten(path):
    """Write an HDF5 file with other chunks and filters, as h5repack does."""
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=make()[0], chunks=(2, 8, 8), compression="lzf")


OTHER_FILES = {
    "empty.h5": (lambda path: path.touch(), "it is empty"),
    "rewritten.h5": (rewritten, "open it with h5py and pass its data sets"),
    "array.npy": (lambda path: np.save(path, make()[0]), "an array of numpy: pass numpy.load"),
    "photo.png": (
        lambda path: Image.new("L", (8, 8)).save(path),
        "a picture: .*convert them.*photographs.predict",
    ),
    "boxes.csv": (lambda path: path.write_text("x1,y1\n" * 1000), "or its beginning is damaged"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files(tmp_path, name):
    """What they are is said, and nothing about deleting what may be the user's only copy."""
    make_file, message = OTHER_FILES[name]
    make_file(tmp_path / name)
    for read in (shards.read, lambda path: shards.load([path])):
        with pytest.raises(ShardError, match=rf"{name}: this is not a shard.*{message}") as error:
            read(tmp_path / name)
        assert "delete" not in str(error.value).lower()
        assert error.value.path == tmp_path / name


LARGE = {"stop": 2**21, "image_size": 32, "max_side": 32}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format_version": 4}, "format version 4, but this version of boxest reads 3: make it"),
        ({"kind": "photographs"}, "is invalid: 'height'"),
        ({"kind": ["photographs"]}, "is invalid: values must be integers or texts"),
        ({"seed": True}, "is invalid: values must be integers"),
        ({"seed": 1.0}, "is invalid: values must be integers"),
        ({"seed": "0"}, "is invalid"),
        ({"seed": 10**400}, "is invalid: A seed must be in"),
        ({"start": 6, "stop": 0}, "is invalid: A shard needs 0 <= start < stop; got 6 and 0"),
        ({"stop": 2**40}, "is invalid: .*more than 2147483648 bytes"),
        ({"law": "mine"}, "is invalid: The box law must be one of"),
        ({"scene": '{"moon": 1}'}, "is invalid: A scene has no 'moon'"),
        ({"scene": '{"noise":0.1}'}, "has other fields than a shard"),
        ({"scene": "[" * 900}, "is invalid"),
        ({"note": "mine"}, "has other fields than a shard: .*'note'"),
        (LARGE, "the file is too small for 2097152 images"),
        ({"stop": 7}, r"images is not stored in chunks of \(7, 8, 8\)"),
    ],
)
def test_headers_that_make_no_sense(path, fields, message):
    """Their checksums are right."""
    seal(path, **fields)
    with pytest.raises(ShardError, match=rf"shard\.h5: .*{message}"):
        shards.read(path)


@pytest.mark.parametrize("rest", ["", "[" * 2000, ', "a": "' + "x" * 5000 + '"}'])
def test_headers_that_are_no_table(path, rest):
    path.write_bytes(header('{"format": "boxest shard"' + rest))
    with pytest.raises(ShardError, match=r"shard\.h5: its header is invalid|is damaged"):
        shards.read(path)


# --- damage -------------------------------------------------------------------------------------


@pytest.fixture
def unread(monkeypatch):
    """Make sure that no file reaches the HDF5 library."""
    monkeypatch.setattr(hdf5, "read_into", lambda *_: pytest.fail("The HDF5 library was asked."))


@pytest.mark.fault
def test_any_flipped_bit_is_noticed(path, unread):
    """Of the header every byte with something in it, and of the rest one in forty."""
    whole = path.read_bytes()
    begin = whole.index(b"\0") + 10
    for at in [*range(begin), *range(begin, len(whole), 41), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(ShardError, match=r"shard\.h5: .*(is|or its beginning is) damaged"):
            shards.read(path)


@pytest.mark.fault
def test_any_truncation_is_noticed(path, unread):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ShardError, match=r"shard\.h5: .*(damaged|too small|it is empty)"):
            shards.read(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ShardError, match="does not match the checksum"):
        shards.read(path)


def test_a_change_by_another_program_is_noticed(path, unread):
    with h5py.File(path, "r+") as file:
        file["images"][3, 2, 1] ^= 255
    with pytest.raises(ShardError, match="damaged, or another program has changed it"):
        shards.read(path)


# --- writers and readers ------------------------------------------------------------------------


def test_a_writer_that_fails_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(shards, "_header", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shards.write(path, *make(6, 12))
    assert os.listdir(path.parent) == ["shard.h5"]
    assert path.read_bytes() == before


@pytest.mark.fault
def test_a_writer_that_is_killed_leaves_no_shard(tmp_path):
    code = """
import pathlib, sys
from boxest import shards, synthetic
def write_half_and_wait(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    print("writing", flush=True)
    sys.stdin.read()
pathlib.Path.write_bytes = write_half_and_wait
images, boxes = synthetic.make(0, 20, seed=0)
shards.write(sys.argv[1], images, boxes, shards.Meta("train", 0, 20, 0, 128, synthetic.BoxLaw()))
"""
    path = tmp_path / "shard.h5"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"writing\n"
        writer.kill()
        writer.wait()
    assert writer.returncode == -signal.SIGKILL
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert left.stat().st_size > 1000
    with pytest.raises(ShardError):
        shards.read(left)


def test_reading_needs_no_lock(path):
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="unable to lock file"):
            h5py.File(path)
        assert shards.read(path).meta.stop == 6


def test_readers_beside_a_writer_see_whole_shards_only(path):
    """One thread replaces a shard again and again, three read it: always the one or the other."""
    contents = [make(seed=seed) for seed in (0, 1)]
    done = []

    def write():
        while len(done) < 3:
            for content in contents:
                shards.write(path, *content)

    def read():
        seen = []
        while len(seen) < 30 or len(set(seen)) < 2:
            shard = shards.read(path)
            images, boxes, meta = contents[shard.meta.seed]
            np.testing.assert_array_equal(shard.images, images)
            np.testing.assert_array_equal(shard.boxes, boxes)
            assert shard.meta == meta
            seen.append(meta.seed)
        done.append(seen)

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(write), *(pool.submit(read) for _ in range(3))]:
            job.result()
    assert os.listdir(path.parent) == ["shard.h5"]


@pytest.mark.parametrize("size", [8, 128])
def test_noise_that_gzip_makes_larger(tmp_path, size):
    images = np.random.default_rng(0).integers(0, 256, (70, size, size), dtype=np.uint8)
    _, boxes, meta = make(stop=70, size=size)
    shards.write(tmp_path / "noise.h5", images, boxes, meta)
    assert (tmp_path / "noise.h5").stat().st_size > images.nbytes
    np.testing.assert_array_equal(shards.read(tmp_path / "noise.h5").images, images)


def test_threads_read_at_once(tmp_path, monkeypatch):
    """Beside others that read with h5py: some of its functions do without its lock."""
    monkeypatch.setattr(hdf5, "CHUNK_BYTES", 64)
    path, images = write(tmp_path, stop=40), make(stop=40)[0]

    def read(number):
        if number % 3:
            return shards.read(path).images
        with h5py.File(path, locking=False) as file:
            return file["images"][:]

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(read, range(200)):
            np.testing.assert_array_equal(found, images)


def test_no_file_stays_open(path):
    """So shards can be read in processes that are forked, and by what is pickled."""
    before = h5py.h5f.get_obj_count()
    images = ShardImages([path])
    list(images.blocks())
    assert h5py.h5f.get_obj_count() == before
    again = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(next(again.blocks()), next(images.blocks()))


@pytest.mark.fault
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_disk_that_fails_is_no_damage(path, error):
    class Failing(io.FileIO):
        def readinto(self, _):
            raise error

    images, boxes, _ = make()
    with pytest.raises(type(error)), Failing(path) as stream:
        hdf5.read_into(stream, {"images": images, "boxes": boxes})


def test_writing_needs_no_lock(path):
    """Neither on the file that is replaced, nor any of the HDF5 library."""
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shards.write(path, *make(6, 12))
    assert shards.read(path).meta.start == 6
