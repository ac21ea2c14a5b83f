"""Small files as a stranger may send them, for the tests that spoil them."""

import hashlib
import json
import zipfile

import h5py

from boxest import BoxRegressor, shards, synthetic

IMAGES, BOXES = synthetic.make(0, 6, seed=0, image_size=8, law=synthetic.BoxLaw(min_side=2))
META = shards.Meta("train", 0, 6, 0, 8, synthetic.BoxLaw(min_side=2))


def write_shard(path):
    """Write six images of 8 px."""
    shards.write(path, IMAGES, BOXES, META)
    return path


def seal(path, change=None, **fields):
    """Change a shard, and put a header before it that is right about all that follows."""
    if change:
        with h5py.File(path, "r+") as file:
            change(file)
    content = path.read_bytes()
    rest = content[shards.HEADER_BYTES :]
    table = json.loads(content.partition(b"\n")[0]) | fields
    table["sha256"] = hashlib.sha256(rest).hexdigest()
    path.write_bytes(header(json.dumps(table)) + rest)


def header(line):
    """Return the header of a shard that begins with a line."""
    lines = f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n"
    return lines.encode().ljust(shards.HEADER_BYTES, b"\0")


def write_model(path):
    """Write a network for images of 16 px, trained for one epoch."""
    X, y = synthetic.make(0, 40, seed=0, image_size=16)
    regressor = BoxRegressor.paper(epochs=1, random_state=0, xla=False, validation_fraction=0)
    regressor.fit(X, y).save(path)
    return path


def parts(path):
    """Return the parts of an archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, content, compression=zipfile.ZIP_STORED):
    """Write an archive of (name, part)."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, part in content:
            archive.writestr(name, part)
