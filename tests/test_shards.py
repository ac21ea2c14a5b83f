"""boxest.shards: what is written comes back, and whatever is damaged is noticed."""

import dataclasses
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from boxest import hdf5, shards, synthetic
from boxest.shards import Meta, ShardError
from boxest.synthetic import BoxLaw, Scene

LAW = BoxLaw(min_side=2)
GOLDEN = "fe818e4b41852b99f33124f74568157a79c7c8775f88cc1ff5481a3e9c8dfcc6"


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
    shards.write(tmp_path / "new" / "shard.h5", images, boxes, meta)
    with h5py.File(tmp_path / "new" / "shard.h5") as file:
        assert set(file) == {"images", "boxes"}
        assert file["images"].chunks == (64, 128, 128)
        assert file["images"].compression == "gzip"
        assert file["images"].attrs["interpretation"] == b"image"
        assert file["boxes"].attrs["columns"] == b"x1, y1, x2, y2"
        attributes = dict(file.attrs)
    assert len(attributes.pop("sha256")) == 64
    assert attributes == {
        "format": b"boxest shard",
        "format_version": 1,
        "split": b"test",
        "start": 0,
        "stop": 100,
        "seed": 2**64 - 1,
        "image_size": 128,
        "law": b"sides_uniform",
        "min_side": 5,
        "max_side": 128,
    }
    assert shards.read(tmp_path / "new" / "shard.h5").meta == meta


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    time.sleep(1.1)  # HDF5 counts time stamps in seconds
    shards.write(tmp_path / "again.h5", *make())
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_summary(path):
    summary = shards.summary(path)
    assert summary["file"] == "shard.h5"
    assert (summary["split"], summary["start"], summary["stop"]) == ("train", 0, 6)
    assert summary["bytes"] == path.stat().st_size
    # The checksum is a function of the content alone; it changes with the format or the data.
    assert summary["sha256"] == GOLDEN


NOISY = Scene(noise=0.1, object_level=(0.5, 1), discs=1)


def test_a_scene_comes_back_and_stands_in_the_file(tmp_path):
    images, boxes, meta = make(scene=NOISY)
    shards.write(tmp_path / "noisy.h5", images, boxes, meta)
    shard = shards.read(tmp_path / "noisy.h5")
    assert shard.meta == meta
    assert shard.meta.scene == NOISY
    np.testing.assert_array_equal(shard.images, images)
    text = '{"discs": 1, "noise": 0.1, "object_level": [0.5, 1.0]}'
    with h5py.File(tmp_path / "noisy.h5") as file:
        assert file.attrs["scene"] == text.encode()
    assert shards.summary(tmp_path / "noisy.h5")["scene"] == text


def test_a_clean_shard_is_what_it_was_before_there_were_scenes(path):
    """Its checksum is in `test_summary`; readers of then found no other attributes."""
    with h5py.File(path) as file:
        assert "scene" not in file.attrs
    assert shards.read(path).meta.scene == synthetic.CLEAN


def test_shards_of_another_scene(path, tmp_path):
    shards.write(tmp_path / "noisy.h5", *make(6, 9, scene=NOISY))
    with pytest.raises(ShardError, match=r"scene is \{\} in the one and \{.discs.: 1"):
        shards.load([path, tmp_path / "noisy.h5"])
    assert len(shards.load([path], {"seed": 0})[0]) == 6
    assert len(shards.load([tmp_path / "noisy.h5"], {"scene": NOISY.text()})[0]) == 3
    for expected in ({"seed": 0}, {"scene": Scene(noise=0.2).text()}):
        with pytest.raises(ShardError, match=r"noisy.h5: .* its scene is .*expected \{"):
            shards.load([tmp_path / "noisy.h5"], expected)
    with pytest.raises(ShardError, match=r"its scene is \{\}, expected \{.noise.: 0.2"):
        shards.load([path], {"scene": Scene(noise=0.2).text()})


def test_load_joins_shards_in_order(tmp_path):
    paths = [write(tmp_path, start=a, stop=b) for a, b in ((10, 13), (3, 9), (9, 10))]
    images, boxes = shards.load(paths)
    expected_images, expected_boxes, _ = make(3, 13)
    np.testing.assert_array_equal(images, expected_images)
    np.testing.assert_array_equal(boxes, expected_boxes)
    images, _ = shards.load(iter(paths[:1]))
    np.testing.assert_array_equal(images, expected_images[7:])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"start": 7, "stop": 9}, r"0\.\.5 and .*start7-stop9\.h5 7\.\.8: there is a gap"),
        ({"start": 5, "stop": 9}, "they overlap"),
        ({"start": 0, "stop": 6, "split": "train"}, "they overlap"),
        ({"start": 6, "stop": 9, "seed": 1}, "seed is 0 in the one and 1 in the other"),
        ({"start": 6, "stop": 9, "size": 9}, "image_size is 8 in the one and 9"),
        ({"start": 6, "stop": 9, "split": "test"}, "split is train in the one and test"),
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


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"x1,y1,x2,y2\n" * 1000])
def test_other_files(tmp_path, content):
    path = tmp_path / "shard.h5"
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"shard\.h5: .*not an HDF5 file.*run snakemake again"):
        shards.read(path)
    with pytest.raises(ShardError, match=r"shard\.h5: "):
        shards.load([path])


def edit(path):
    """Open a shard to spoil it, in the layout that it has."""
    return h5py.File(path, "r+", libver=("v110", "v110"))


def change_images(path, **arguments):
    """Put another dataset in the place of the images."""
    with edit(path) as file:
        attributes = dict(file["images"].attrs)
        del file["images"]
        file.create_dataset("images", **arguments).attrs.update(attributes)


def set_attribute(name, value):
    def change(file):
        file.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value

    return change


def swap(file):
    file.attrs["start"], file.attrs["stop"] = file.attrs["stop"], file.attrs["start"]


def delete(name):
    def change(file):
        del file[name]

    return change


def delete_attribute(name):
    def change(file):
        del file.attrs[name]

    return change


def one_pixel(file):
    file["images"][3, 2, 1] ^= 255


def one_coordinate(file):
    file["boxes"][0, 0] += 1e-9


def swap_columns(file):
    file["boxes"].attrs["columns"] = np.bytes_(b"y1, x1, y2, x2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute("format", b"other"), "no boxest shard"),
        (delete_attribute("format"), "no boxest shard"),
        (
            set_attribute("format_version", np.uint64(3)),
            "format version 3, and this version of boxest reads 1 and 2",
        ),
        (
            set_attribute("format_version", np.uint64(2)),
            "its attributes make no sense: 'height'",
        ),
        (set_attribute("seed", np.uint64(1)), "do not match the checksum"),
        (set_attribute("split", b"test"), "do not match the checksum"),
        (set_attribute("law", b"corners_uniform"), "do not match the checksum"),
        (set_attribute("sha256", b"0" * 64), "do not match the checksum"),
        (delete_attribute("sha256"), "other attributes"),
        (set_attribute("note", b"mine"), "other attributes"),
        (set_attribute("law", b"mine"), "make no sense: The box law must be one of"),
        (set_attribute("seed", np.bytes_(b"0")), "make no sense"),
        (set_attribute("scene", b'{"noise": 0.1}'), "do not match the checksum"),
        (set_attribute("scene", b"{}"), "other attributes"),
        (set_attribute("scene", b'{"noise":0.1}'), "other attributes"),
        (set_attribute("scene", b'{"noise": 0.1, "noise": 0.2}'), "other attributes"),
        (set_attribute("scene", b'{"noise": 2}'), "make no sense: noise must be a number"),
        (set_attribute("scene", b'{"moon": 1}'), "make no sense: A scene has no 'moon'"),
        (set_attribute("scene", np.uint64(1)), "make no sense: A scene is a text of JSON"),
        (set_attribute("scene", b"[" * 900), "make no sense: "),
        (set_attribute("scene", b"[" * 60_000), "make no sense: A scene is a text of JSON"),
        (set_attribute("seed", 1.0), "'seed' is neither a whole number of 8 bytes nor a text"),
        (set_attribute("seed", np.uint64([1, 2])), "'seed' is neither"),
        (set_attribute("split", "train"), "'split' is neither .* a text of fixed length"),
        (delete_attribute("seed"), "make no sense: 'seed'"),
        (swap, "make no sense: A shard needs 0 <= start < stop; got 6 and 0"),
        (set_attribute("stop", np.uint64(2**40)), "make no sense: .*more than 2147483648 bytes"),
        (
            set_attribute("stop", np.uint64(7)),
            r"images should be uint8 of shape \(7, 8, 8\), and is not",
        ),
        (delete("images"), r"should hold \['boxes', 'images'\] and nothing else, not \['boxes'\]"),
        (lambda file: file.create_group("more"), "and nothing else"),
        (one_pixel, "do not match the checksum"),
        (one_coordinate, "do not match the checksum"),
        (swap_columns, "boxes has other attributes"),
    ],
)
def test_changed_files(path, change, message):
    with edit(path) as file:
        change(file)
    with pytest.raises(ShardError, match=rf"shard\.h5: .*{message}.*Delete the file"):
        shards.read(path)


@pytest.mark.parametrize(
    "to", [h5py.SoftLink("/boxes"), h5py.ExternalLink("copy.h5", "/images"), h5py.SoftLink("/no")]
)
def test_links_are_not_followed(path, tmp_path, to):
    shutil.copy(path, tmp_path / "copy.h5")
    with edit(path) as file:
        del file["images"]
        file["images"] = to
    with pytest.raises(ShardError, match="it has a link to somewhere else"):
        shards.read(path)


def test_data_outside_the_file_are_not_read(path, tmp_path):
    images = make()[0]
    images.tofile(tmp_path / "outside")
    outside = [(str(tmp_path / "outside"), 0, images.nbytes)]
    change_images(path, shape=images.shape, dtype="u1", external=outside)
    with pytest.raises(ShardError, match=r"images is (not stored|of a kind)"):
        shards.read(path)


def test_virtual_datasets_are_not_read(path, tmp_path):
    shutil.copy(path, tmp_path / "copy.h5")
    layout = h5py.VirtualLayout((6, 8, 8), "u1")
    layout[:] = h5py.VirtualSource(tmp_path / "copy.h5", "images", (6, 8, 8))
    with edit(path) as file:
        del file["images"]
        file.create_virtual_dataset("images", layout)
    with pytest.raises(ShardError, match=r"images is (not stored|of a kind)"):
        shards.read(path)


@pytest.mark.parametrize("dtype", ["i1", "u2", "f4"])
def test_other_types_are_not_converted(path, dtype):
    change_images(path, data=make()[0].astype(dtype))
    with pytest.raises(ShardError, match="images should be uint8"):
        shards.read(path)


@pytest.mark.parametrize("shape", [(6, 64), (8, 8, 6), (5, 8, 8), ()])
def test_other_shapes(path, shape):
    change_images(path, data=np.zeros(shape, np.uint8))
    with pytest.raises(ShardError, match=r"images should be uint8 of shape \(6, 8, 8\)"):
        shards.read(path)


def test_a_group_is_no_dataset(path):
    with edit(path) as file:
        del file["images"]
        file.create_group("images")
    with pytest.raises(ShardError, match="images is of a kind that boxest does not write"):
        shards.read(path)


def check_damage(path, content, original):
    """Read a damaged file: either that is an error, or everything read is right."""
    path.write_bytes(content)
    try:
        shard = shards.read(path)
    except ShardError:
        return True
    np.testing.assert_array_equal(shard.images, original.images)
    np.testing.assert_array_equal(shard.boxes, original.boxes)
    assert shard.meta == original.meta
    return False


@pytest.mark.fault
def test_truncated_files(path):
    whole, original = path.read_bytes(), shards.read(path)
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        assert check_damage(path, whole[:length], original)


@pytest.mark.fault
@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("chunk", [2**20, 100])
def test_flipped_bits(path, monkeypatch, chunk, step):
    """An earlier layout of HDF5 made the library loop for ever on some of these."""
    monkeypatch.setattr(hdf5, "CHUNK_BYTES", chunk)
    shards.write(path, *make())
    whole, original = path.read_bytes(), shards.read(path)
    detected = 0
    for bit in range(0, 8 * len(whole), step):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        detected += check_damage(path, bytes(damaged), original)
    # The rest is padding and free space.
    assert detected > 0.6 * 8 * len(whole) / step


@pytest.mark.fault
@pytest.mark.parametrize("size", [16, 512])
def test_overwritten_blocks(path, size):
    whole, original = path.read_bytes(), shards.read(path)
    rng = np.random.default_rng(0)
    for start in range(0, len(whole) - size, 61):
        for block in (bytes(size), rng.bytes(size)):
            check_damage(path, whole[:start] + block + whole[start + size :], original)


def test_a_writer_that_fails_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(shards, "_checksum", lambda *_, **__: 1 / 0)
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
images, boxes = synthetic.make(0, 2000, seed=0)
shards.write(sys.argv[1], images, boxes, shards.Meta("train", 0, 2000, 0, 128, synthetic.BoxLaw()))
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
    assert left.stat().st_size > 10_000
    with pytest.raises(ShardError):
        shards.read(left)


def test_reading_needs_no_lock(path):
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="unable to lock file"):
            h5py.File(path)
        assert shards.read(path).meta.stop == 6


@pytest.mark.fault
def test_readers_beside_a_writer_see_whole_shards_only(tmp_path, python):
    """One process replaces a shard again and again, three read it: always the one or the other."""
    code = f"""
import multiprocessing, os
from boxest import shards, synthetic
PATH, DONE = {str(tmp_path / "shard.h5")!r}, {str(tmp_path / "done")!r}
LAW = synthetic.BoxLaw(min_side=2)
def content(seed):
    made = synthetic.make(0, 40, seed=seed, image_size=32, law=LAW)
    return *made, shards.Meta("train", 0, 40, seed, 32, LAW)
def write(n=0):
    while not os.path.exists(DONE):
        n += 1
        shards.write(PATH, *content(n % 2))
def read(_):
    seen = []
    while len(seen) < 100 or len(set(seen)) < 2:
        shard = shards.read(PATH)
        images, boxes, meta = content(shard.meta.seed)
        assert (shard.images == images).all() and (shard.boxes == boxes).all()
        seen.append(meta.seed)
    return len(seen)
if __name__ == "__main__":
    shards.write(PATH, *content(0))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        writer = pool.apply_async(write)
        print(sum(pool.map(read, range(3), chunksize=1)))
        open(DONE, "w").close()
        writer.get()
"""
    assert int(python(code)) >= 300
    assert sorted(os.listdir(tmp_path)) == ["done", "shard.h5"]


def test_writing_needs_no_lock(path):
    """Neither on the file that is replaced, nor any of the HDF5 library."""
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shards.write(path, *make(6, 12))
    assert shards.read(path).meta.start == 6
