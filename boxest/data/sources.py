"""The sources of the images of a study, and how to write each shard independently.

A section ``data`` of a configuration, completed with the defaults of the schema, names its
``source``:

- "photographs": ``folder``, ``boxes`` (a table in any format of `boxest.annotations`), and, if
  needed, ``label``, ``several``, ``coordinates`` and ``columns``;
- "arrays": ``file``, an ``.npz`` or HDF5 file, the names of its arrays as ``images`` and ``boxes``,
  if their shapes are not unique, and ``coordinates``;
- "shards": ``train``, ``validation`` and ``test``, lists of files or patterns such as ``a/*.h5``.

Photographs and arrays also have ``image_size`` (one size, or height and width), ``channels``,
``mode``, ``split`` (shares, a column, or three lists), ``seed``, and ``shards``, the number of
files (and jobs) for each part.

`shard_names` and `check` read no picture and only need plain Python, for a Snakefile. `write_plan`
makes the table of originals, ``images.csv``; with it, `write_shard` makes any single shard. The
same data, seed and split give the same bytes, in any order and on any machine.
"""

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxest.data.splits import PARTS
from boxest.system.files import walk

if TYPE_CHECKING:
    import numpy as np

    from boxest.data.array_files import Arrays
    from boxest.data.photographs.packing import Form

# Options for reading a table of boxes; see `boxest.annotations.read`.
_OPTIONS = ("label", "several", "coordinates", "columns")
_FILES = {"photographs": ("folder", "boxes"), "arrays": ("file",)}


def shard_names(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names of the shards of each part, without reading anything.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration; only ``shards`` is used.

    Examples
    --------
    >>> shard_names({"source": "arrays", "file": "a.npz", "shards": 2})["train"]
    ['train-000', 'train-001']
    """
    return {part: [f"{part}-{number:03d}" for number in range(data["shards"])] for part in PARTS}


def inputs(data: Mapping[str, Any]) -> list[str]:
    """Return the files and folders from which a plan and its shards are made.

    A folder of boxes comes with its files, because editing one does not change the folder's date.
    Snakemake would look for wildcards in names with braces.
    """
    split = data["split"]
    lists = [part for part in split if isinstance(part, str)] if not isinstance(split, str) else []
    named = [str(data[name]) for name in _FILES[data["source"]]]
    has_folder = data["source"] == "photographs" and os.path.isdir(named[1])
    inside = walk(named[1]) if has_folder else ()
    files = sorted(str(file) for file in inside if file.is_file())
    return named + lists + [file for file in files if not {"{", "}"} & set(file)]


def files(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the files of the source "shards" by part, sorted by name.

    Raises
    ------
    ValueError
        If a part has no file, or a file is missing.
    """
    found = {}
    for part in PARTS:
        patterns = data.get(part) or []
        found[part] = []
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            # A name with brackets may be meant as it is.
            is_name = os.path.exists(pattern) or not glob.has_magic(pattern)
            paths = [pattern] if is_name else sorted(glob.glob(pattern))
            missing = [path for path in paths or [pattern] if not os.path.isfile(path)]
            if missing:
                wrong = "is a folder, not a file" if os.path.isdir(missing[0]) else "does not exist"
                raise ValueError(f"config: data.{part}: {missing[0]} {wrong}.")
            found[part] += paths
        if not found[part]:
            raise ValueError(
                f"config: data.{part} names no file, but the source 'shards' needs files for all "
                "three parts."
            )
    return found


def check(data: Mapping[str, Any]) -> None:
    """Refuse a section that names missing files, before anything is read.

    Raises
    ------
    ValueError
        The message names the key, the value, and what is expected.
    """
    source = data["source"]
    if source == "shards":
        files(data)
        return
    for name in _FILES[source]:
        if not data.get(name):
            raise ValueError(f"config: data.{name} is required for the source {source!r}.")
    for path in inputs(data):
        if not os.path.exists(path):
            raise ValueError(f"config: data: {path} does not exist.")


def write_plan(data: Mapping[str, Any], path: str | os.PathLike) -> list[str]:
    """Write the table of originals, which assigns each picture to a shard.

    This reads the boxes, and the beginning of each picture.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration.
    path : path-like
        The table, a CSV file. `boxest.photographs.originals` expects the name ``images.csv`` in the
        folder of the shards.

    Returns
    -------
    list of str
        Sentences that say how the boxes were read, and what was left out.

    Raises
    ------
    ValueError
        If boxes or pictures are invalid (see `boxest.photographs.convert`), or a part of the data
        set would have too few of them.
    OSError
        If a file cannot be opened.

    Warns
    -----
    UserWarning
        As `boxest.photographs.convert`.
    """
    import warnings

    from boxest.data.photographs import matching, packing
    from boxest.system.files import write_text

    split = data["split"]
    column = split if isinstance(split, str) else None
    folder = None
    if data["source"] == "arrays":
        arrays = _arrays(data)
        table, form, keys = arrays.table(), _form(data, arrays), arrays.digests()
    else:
        folder = matching.open_folder(data["folder"])
        options = {name: data[name] for name in _OPTIONS}
        boxes = matching.boxes_of(data["boxes"], folder, split=column, **options)
        table, form = matching.measure(boxes, folder), _form(data)
        keys = matching.digests(table["image"], folder.path)
    plan, text = packing.lay_out(
        table, form, split=split, seed=data["seed"], n_shards=data["shards"]
    )
    lacking = [part for part in PARTS if not (plan.table["split"] == part).any()]
    if lacking:
        raise ValueError(
            f"config: data.split leaves no image for {' and '.join(lacking)}, but a study needs "
            f"all three parts. Images: {len(table)}."
        )
    remarks = table.attrs.get("remarks", ())
    for remark in [*remarks, *matching.shared(plan.table, table["image"], keys)]:
        warnings.warn(remark, stacklevel=2)
    plan.shards()
    write_text(path, text)
    return matching.report(table, **matching.facts(table, folder))


def write_shard(
    data: Mapping[str, Any], plan: str | os.PathLike, name: str, path: str | os.PathLike
) -> None:
    """Write one shard.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration, as for `write_plan`.
    plan : path-like
        The table that `write_plan` wrote.
    name : str
        Of the shard, one of `shard_names`.
    path : path-like
        The file to write.

    Raises
    ------
    ValueError
        If a picture is damaged or of an unsupported kind.
    OSError
        If a file cannot be opened, or the disk is full.
    """
    from boxest.data import image_files
    from boxest.data.photographs import image_table, matching, packing

    rows, checksum = image_table.read_table(plan)
    with matching.gathered():
        if data["source"] == "arrays":
            arrays = _arrays(data)
            form, read = _form(data, arrays), arrays.read
        else:
            folder, form = Path(data["folder"]), _form(data)

            def read(image: str, channels: int, size: tuple[int, int]) -> "np.ndarray":
                return image_files.read(folder / image, channels, size)

        packing.Plan(rows, form, data["seed"], checksum).write_shard(name, path, read)


def _arrays(data: Mapping[str, Any]) -> "Arrays":
    from boxest.data.array_files import Arrays

    split = data["split"]
    return Arrays(
        data["file"],
        data["images"],
        data["boxes"],
        coordinates=data["coordinates"],
        split=split if isinstance(split, str) else None,
    )


def _form(data: Mapping[str, Any], arrays: "Arrays | None" = None) -> "Form":
    """Return the form of the images in the shards; by default, arrays stay unchanged."""
    from boxest.data.photographs.packing import Form

    size, channels = data["image_size"], data["channels"]
    if arrays is not None:
        size = size or arrays.image_shape[:2]
        channels = channels or arrays.image_shape[2]
    return Form.of(size, channels, data["mode"])
