"""Photographs and arrays of one's own for a study: the plan, and each shard by itself."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

from boxest import photographs, shards
from boxest.data import sources
from boxest.data.photographs import assignment
from boxest.study.schema import Schema

SCHEMA = Schema(ROOT / "workflow/schemas/config.schema.yaml")
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 3)).astype(np.uint8)
BOXES = np.array([[2.0, 3, 20, 15]] * 6 + [[1.0, 1, 30, 20]] * 6)
SPLIT = [0.5, 0.25, 0.25]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve photographs of 30×20 pixels with a box each; the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    lines = ["image,x1,y1,x2,y2,part"]
    for number, (pixels, box) in enumerate(zip(PIXELS, BOXES, strict=True)):
        Image.fromarray(pixels).save(f"pictures/{number:02d}.png")
        part = ("train", "val", "test")[number % 3]
        lines.append(f"{number:02d}.png,{','.join(map(str, box))},{part}")
    Path("boxes.csv").write_text("\n".join(lines))
    return tmp_path


def made(data, order=1):
    """Make plan and shards; return images, boxes and originals of each part."""
    sources.check(data)
    Path("data").mkdir(exist_ok=True)
    sources.write_plan(data, "data/images.csv")
    found = {}
    for part, names in sources.shard_names(data).items():
        paths = [f"data/{name}.h5" for name in names]
        for name, path in list(zip(names, paths, strict=True))[::order]:
            sources.write_shard(data, "data/images.csv", name, path)
        found[part] = (*shards.load(paths), photographs.originals(paths))
    return found


def section(source, **settings):
    """A section ``data``, completed as that of a configuration is."""
    return SCHEMA.completed({"source": source, **settings}, SCHEMA.root["$defs"][source])


def photographs_section(**settings):
    given = {"folder": "pictures", "boxes": "boxes.csv", "split": SPLIT, "channels": 3}
    return section("photographs", **given | {"image_size": [20, 30]} | settings)


def test_shards_one_by_one_are_those_of_convert(folder):
    data = photographs_section(mode="pad", image_size=[16, 24], seed=3, shards=2)
    assert [len(part[0]) for part in made(data).values()] == [6, 3, 3]
    whole = photographs.convert(
        "pictures", "boxes.csv", "converted", image_size=(16, 24), channels=3, mode="pad",
        split=SPLIT, seed=3, shard_size=3,
    )  # fmt: skip
    X, y = shards.load(["data/train-000.h5", "data/train-001.h5"])
    expected = shards.load(whole.train)
    assert (expected[0] == X).all()
    assert (y == expected[1]).all()
    again = Path("data/train-001.h5").read_bytes()
    made(data, order=-1)
    assert Path("data/train-001.h5").read_bytes() == again


def test_boxes_come_out_in_pixels_of_the_originals(folder):
    for images, boxes, table in made(photographs_section(image_size=[8, 9], mode="pad")).values():
        assert images.shape[1:] == (8, 9, 3)
        expected = BOXES[[int(name[:2]) for name in table["image"]]]
        np.testing.assert_allclose(photographs.to_pixels(boxes, table), expected, atol=1e-9)


def test_columns_may_be_called_otherwise(folder):
    text = Path("boxes.csv").read_text().replace("image,x1", "path,left")
    Path("boxes.csv").write_text(text)
    data = photographs_section(columns={"image": "path", "x1": "left"})
    assert len(made(data)["train"][0]) == 6


def test_a_plan_says_how_boxes_were_read_and_what_was_left_out(folder):
    lines = Path("boxes.csv").read_text().splitlines()
    Path("boxes.csv").write_text("\n".join([*lines[:-1], lines[1].replace("20.0", "9.0")]))
    said = sources.write_plan(photographs_section(several="largest"), "images.csv")
    assert said == [
        "Boxes were read as x1, y1, x2, y2: edges in pixels, from 0; sides of 12 to 29 px.",
        "Objects that were skipped, smaller than another one of their photograph: 1 (00.png).",
        "Photographs left out, without a box: 1 (11.png).",
    ]
    (said,) = sources.write_plan(save(PIXELS, BOXES / [30, 20, 30, 20]), "arrays.csv")
    assert said.startswith("Boxes were read as x1, y1, x2, y2: fractions of width and height;")


def test_a_column_says_the_parts(folder):
    found = made(photographs_section(split="part"))
    for index, part in enumerate(("train", "validation", "test")):
        assert sorted(found[part][2]["image"]) == [f"{n:02d}.png" for n in range(index, 12, 3)]


def test_lists_say_the_parts(folder):
    Path("train.txt").write_text("00\n01 1\n02.png\n")
    Path("validation.txt").write_text("03\n")
    Path("test.txt").write_text("04\n05\n")
    data = photographs_section(split=["train.txt", "validation.txt", "test.txt"])
    assert sources.inputs(data)[2:] == ["train.txt", "validation.txt", "test.txt"]
    with pytest.warns(UserWarning, match=r"6 images with a box are not in any list.*\(06\.png, 07"):
        found = made(data)
    assert sorted(found["train"][2]["image"]) == ["00.png", "01.png", "02.png"]
    assert found["test"][0].shape == (2, 20, 30, 3)


def save(images, boxes, name="a.npz", **more):
    if name.endswith(".h5"):
        with h5py.File(name, "w") as file:
            for key, value in {"group/x": images, "group/y": boxes, **more}.items():
                file[key] = value
    else:
        np.savez(name, pictures=images, target=boxes, **more)
    return section("arrays", file=name, split=SPLIT)


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
@pytest.mark.parametrize("boxes", [BOXES, BOXES / [30, 20, 30, 20] + 1e-7])
def test_arrays_of_any_names(folder, name, boxes):
    found = made(save(PIXELS, boxes, name, meta=np.arange(3)))
    assert [len(part[0]) for part in found.values()] == [6, 3, 3]
    for images, y, table in found.values():
        rows = [int(image) for image in table["image"]]
        assert (images == PIXELS[rows]).all()
        np.testing.assert_allclose(photographs.to_pixels(y, table), BOXES[rows], atol=1e-5)


@pytest.mark.parametrize(
    ("boxes", "coordinates", "message"),
    [
        (BOXES / 30, "edges", r"image 0 are 0\.06667, .* within 0\.\.1, but pixels are needed"),
        (np.vstack([BOXES[:6], BOXES[6:] / 30]), "auto", "image 6 are 0.03333, .* but pixels are"),
        (BOXES, "fractions", "image 0 are 2, 3, 20, 15, but fractions .*pass coordinates='edges'"),
        (BOXES - 0.5, "pixels-from-1", "image 0 is 1.5, but first and last pixel are whole"),
    ],
)
def test_boxes_of_arrays_that_mean_something_else(folder, boxes, coordinates, message):
    with pytest.raises(ValueError, match=message):
        made(save(PIXELS, boxes) | {"coordinates": coordinates})


@pytest.mark.parametrize(
    "images",
    [
        PIXELS[..., 0],
        PIXELS[..., :1],
        (PIXELS[..., 0] / 255).astype(np.float32),
        PIXELS[..., 0].astype(np.float64),
        PIXELS[..., 0].astype(np.int64),
        PIXELS[..., 0].astype(np.uint16) * 257,
    ],
)
def test_grey_levels_of_arrays(folder, images):
    stored, _, table = made(save(images, BOXES))["train"]
    assert (stored == PIXELS[[int(name) for name in table["image"]], ..., 0]).all()


def test_arrays_of_another_size_and_parts_by_an_array(folder):
    parts = np.array(["train", "validation", "test"] * 4)
    data = save(PIXELS > 127, BOXES, part=parts) | {"split": "part", "image_size": 10}
    images, boxes, table = made(data | {"channels": 1})["test"]
    assert images.shape == (4, 10, 10)
    assert table["image"].astype(int).max() == 11
    expected = BOXES[table["image"].astype(int)]
    np.testing.assert_allclose(boxes * [30, 20, 30, 20], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("images", "boxes", "more", "message"),
    [
        (PIXELS, BOXES[:5], {}, r"a\.npz: 12 images and 5 boxes do not fit"),
        (PIXELS, BOXES * 2, {}, r"the box of image 0, \(4, 6, 40, 30\), is not inside.* 30×20"),
        (PIXELS, BOXES[:, [2, 1, 0, 3]], {}, "the box of image 0, .* is empty or flipped"),
        (PIXELS, BOXES * np.nan, {}, r"the box of image 0 is \[nan nan nan nan\]"),
        (
            PIXELS,
            BOXES[:, :3],
            {},
            r"must have exactly one array of boxes, of shape \(n, 4\).*\(12, 3\)",
        ),
        (PIXELS.transpose(0, 3, 1, 2), BOXES, {}, r"\(12, 3, 20, 30\)\. Channels come last"),
        (
            PIXELS[0],
            BOXES,
            {"other": PIXELS},
            r"must have exactly one array of images.*other \(12, 20",
        ),
        (
            PIXELS.astype(int) - 1,
            BOXES,
            {},
            r"values -1\.\..*, in which no number is white",
        ),
        (PIXELS * 1e6, BOXES, {}, "float64 and values 0.*, in which no number is white"),
        (PIXELS > 127, BOXES, {"images": "x"}, "has no array 'x'"),
        (
            (PIXELS > 127).astype(np.uint8),
            BOXES,
            {},
            "images as X: .* its largest value is 1",
        ),
        (PIXELS.astype(str), BOXES, {}, "X must hold real numbers, got dtype <U"),
    ],
)
def test_wrong_arrays(folder, images, boxes, more, message):
    arrays = {name: value for name, value in more.items() if not isinstance(value, str)}
    data = save(images, boxes, **arrays)
    data |= {name: value for name, value in more.items() if isinstance(value, str)}
    with pytest.raises(ValueError, match=message):
        made(data)
    assert list(Path("data").iterdir()) == []


def test_files_that_hold_no_arrays(folder):
    np.savez("objects.npz", a=np.array([{}], dtype=object))
    Path("text.npz").write_text("PK no archive")
    for name in ("objects.npz", "text.npz"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read .* not hold plain arrays"):
            made(section("arrays", file=name))
    save(PIXELS, BOXES, "whole.npz")
    np.savez_compressed("packed.npz", pictures=PIXELS, target=BOXES)
    Path("half.npz").write_bytes(Path("whole.npz").read_bytes()[:-99])
    packed = Path("packed.npz").read_bytes()
    Path("packed.npz").write_bytes(packed[:500] + bytes(50) + packed[550:])
    for name in ("half.npz", "packed.npz"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read .*: it is damaged"):
            made(section("arrays", file=name))
    with pytest.raises(ValueError, match=r"boxes\.csv is neither an \.npz nor an HDF5 file"):
        made(section("arrays", file="boxes.csv"))


def test_pictures_that_two_parts_share_are_told(folder):
    same = PIXELS.copy()
    same[1:] = same[0]
    with pytest.warns(UserWarning, match="12 pictures are copies of others, byte for byte"):
        made(save(same, BOXES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": "none"}, "config: data: none does not exist"),
        ({"boxes": None}, "config: data.boxes is required for the source 'photographs'"),
        ({"shards": 4}, "3 images for validation are too few for 4 shards"),
        (
            {"split": [1, 0, 0]},
            "leaves no image for validation and test, but a study needs all three",
        ),
        ({"split": [0.98, 0.01, 0.01]}, "With 12 images .* none is left for validation and test"),
        ({"split": "no"}, "has no column 'no' with the part of each image"),
        ({"split": ["a", "b", "c"]}, "config: data: a does not exist"),
        ({"split": ["boxes.csv"] * 3}, "None of the images in the list for train has a box"),
        ({"mode": "crop"}, "mode must be 'stretch' or 'pad'"),
    ],
)
def test_wrong_sections(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        made(photographs_section(**changes))


def test_shards_that_exist(folder):
    made(photographs_section())
    data = {
        "source": "shards",
        "train": "data/train-*.h5",
        "validation": ["data/validation-000.h5"],
    }
    with pytest.raises(ValueError, match=r"data\.test names no file, .* files for all three parts"):
        sources.check(data)
    with pytest.raises(ValueError, match=r"data\.test: no\*\.h5 does not exist"):
        sources.check(data | {"test": "no*.h5"})
    found = sources.files(data | {"test": "data/test-000.h5"})
    assert found["train"] == ["data/train-000.h5"]
    with pytest.raises(ValueError, match=r"data\.test: data is a folder, not a file"):
        sources.files(data | {"test": "data"})
    Path("data").rename("data [1]")
    named = {part: f"data [1]/{part}-000.h5" for part in found}
    assert sources.files(named) == {part: [path] for part, path in named.items()}


def test_edited_files_in_a_folder_of_boxes_are_noticed(tmp_path):
    for name in ("a.xml", "more/b.xml", "{c}.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    data = section("photographs", folder="photos", boxes=str(tmp_path))
    files = [str(tmp_path / name) for name in ("a.xml", "more/b.xml")]
    assert sources.inputs(data) == ["photos", str(tmp_path), *files]
    (tmp_path / "more").rename(tmp_path.with_name("disk"))
    (tmp_path / "more").symlink_to("../disk")
    assert sources.inputs(data) == ["photos", str(tmp_path), *files]


def test_a_snakefile_that_asks_for_names_imports_no_numpy():
    code = (
        "import sys; from boxest.data import sources; "
        "sources.shard_names({'shards': 1}); "
        "sources.inputs({'source': 'arrays', 'file': 1, 'split': [0.8, 0.1, 0.1]}); "
        "assert not {'numpy', 'pandas', 'PIL', 'h5py'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def divided(images, *lists):
    table, left_out = assignment.divide(pd.DataFrame({"image": images}), lists, seed=0)
    return dict(zip(table["image"], table["split"], strict=True)), left_out


def test_a_name_in_a_list_means_one_image(tmp_path):
    images = ["x.jpg", "a/x.jpg", "a/y.jpg", "b/y.jpg"]
    found, left_out = divided(images, ["x.jpg"], ["a/y"], ["b/y.jpg"])
    assert found == {"x.jpg": "train", "a/y.jpg": "validation", "b/y.jpg": "test"}
    assert left_out == ["a/x.jpg"]
    with pytest.raises(ValueError, match=r"y in the list for test fits several .*a/y.*b/y\.jpg\)"):
        divided(images, ["x.jpg"], [], ["y"])
    with pytest.raises(ValueError, match="b/y is in the lists for train and for test"):
        divided(images, ["b/y.jpg"], [], ["b/y"])
    with pytest.warns(UserWarning, match=r"2 images in the list for test have no box.* \(z, w\)"):
        divided(images, ["x.jpg"], [], ["b/y", "z", "z", "w"])


def test_a_number_at_the_end_of_a_name_is_no_mark(tmp_path):
    lists = [tmp_path / name for name in ("train", "validation", "test")]
    for path, text in zip(lists, ("photo 0\nphoto 1.png 1\n", "", "cup -1\n\n"), strict=True):
        path.write_text(text)
    found, _ = divided(["photo 0.png", "photo 1.png", "cup.png"], *lists)
    assert found == {"photo 0.png": "train", "photo 1.png": "train", "cup.png": "test"}


def test_a_list_may_leave_out_the_blank_at_the_beginning_of_a_name(tmp_path):
    (tmp_path / "train.txt").write_text(" a.png\n b\n")
    found, left_out = divided([" a.png", " b.png", "c.png"], tmp_path / "train.txt", ["c"], [])
    assert found == {" a.png": "train", " b.png": "train", "c.png": "validation"}
    assert left_out == []
