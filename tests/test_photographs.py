"""Photographs: read as they are shown, converted into shards, and boxes back in their pixels."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import ROOT
from PIL import Image

from boxest import BoxRegressor, annotations, photographs, shards
from boxest.cli import boxest
from boxest.data.annotations import CORNERS, AnnotationError
from boxest.data.metadata import PhotoMeta
from boxest.data.photographs import rendered
from boxest.data.shards import ShardError

# Name, width, height, and the box of a white rectangle on dark grey.
SCENES = [
    ("wide.png", 600, 300, (90, 60, 330, 210)),
    ("tall.png", 200, 400, (20, 100, 180, 220)),
    ("square.jpg", 256, 256, (128, 0, 256, 64)),
    ("odd.png", 333, 127, (1, 1, 332, 126)),
    ("sub/whole.png", 100, 50, (0, 0, 100, 50)),
    ("a.png", 131, 97, (31, 17, 91, 67)),
    ("b.png", 131, 97, (31, 17, 91, 67)),
    ("c.png", 131, 97, (31, 17, 91, 67)),
    ("d.png", 131, 97, (31, 17, 91, 67)),
    ("e.png", 131, 97, (31, 17, 91, 67)),
]


def draw(path, width, height, box, grey=40, **options):
    image = Image.new("RGB", (width, height), (grey, 40, 40))
    image.paste((255, 255, 255), box)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs in "images", their boxes in "boxes.csv", and one photograph without."""
    folder = tmp_path_factory.mktemp("photographs")
    lines = ["image,x1,y1,x2,y2"]
    for number, (name, width, height, box) in enumerate(SCENES):
        draw(folder / "images" / name, width, height, box, 40 + number)
        lines.append(",".join(map(str, (name, *box))))
    draw(folder / "images" / "sub" / "no box.JPG", 10, 10, (0, 0, 5, 5), format="JPEG")
    (folder / "images" / "notes.txt").write_text("no image")
    (folder / "boxes.csv").write_text("\n".join(lines))
    return folder


def convert(folder, out, **options):
    return photographs.convert(folder / "images", folder / "boxes.csv", out, **options)


def everything(converted):
    paths = [*converted.train, *converted.validation, *converted.test]
    parts = [shards.read(path) for path in paths]
    table = [photographs.originals([path]) for path in paths]
    images, boxes = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return images, boxes, pd.concat(table, ignore_index=True)


def bright(image):
    """Where an image is brighter than the middle, in pixels: x1, y1, x2, y2."""
    rows, columns = np.nonzero((image if image.ndim == 2 else image[..., 0]) > 147)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["stretch", "pad"])
@pytest.mark.parametrize("size", [64, (48, 96), (97, 61)])
def test_a_white_rectangle_is_where_its_box_says(folder, tmp_path, size, mode, channels):
    done = convert(folder, tmp_path / "out", image_size=size, mode=mode, channels=channels)
    images, boxes, table = everything(done)
    height, width = size if isinstance(size, tuple) else (size, size)
    assert images.shape == (10, height, width) + ((3,) if channels == 3 else ())
    for image, box in zip(images, boxes, strict=True):
        expected = box * [width, height, width, height]
        assert np.abs(bright(image) - expected).max() <= 1
    true = {name: box for name, _, _, box in SCENES}
    pixels = photographs.to_pixels(boxes, table)
    np.testing.assert_allclose(pixels, [true[name] for name in table["image"]], atol=1e-9)
    assert (table[CORNERS].to_numpy() == [true[name] for name in table["image"]]).all()


def test_known_answers(folder, tmp_path):
    """600×300 in 64×64: stretched, or 64×32 with 16 rows of black above and below."""
    expected = {
        "stretch": [90 / 600, 60 / 300, 330 / 600, 210 / 300],
        "pad": [90 / 600, 0.25 + 60 / 600, 330 / 600, 0.25 + 210 / 600],
    }
    for mode, box in expected.items():
        images, boxes, table = everything(
            convert(folder, tmp_path / mode, image_size=64, mode=mode)
        )
        (row,) = np.flatnonzero(table["image"] == "wide.png")
        np.testing.assert_allclose(boxes[row], box, atol=1e-15)
        assert (images[row, :16] == 0).all() == (mode == "pad")
        assert images[row, 20, 2] == 40


def test_shards_and_table(folder, tmp_path):
    done = convert(folder, tmp_path / "new" / "out", image_size=16, shard_size=5, seed=3)
    names = {part: [path.name for path in getattr(done, part)] for part in done._fields[:3]}
    assert names == {
        "train": ["train-000.h5", "train-001.h5"],
        "validation": ["validation-000.h5"],
        "test": ["test-000.h5"],
    }
    assert done.without_box == [os.path.join("sub", "no box.JPG")]
    assert sorted(os.listdir(tmp_path / "new")) == ["out"]
    meta = shards.read(done.train[1]).meta
    table = (tmp_path / "new" / "out" / "images.csv").read_bytes()
    assert meta == PhotoMeta("train", 5, 8, 3, 16, 16, 1, "stretch", meta.originals)
    assert meta.image_shape == (16, 16, 1)
    rows = photographs.originals(done.train[::-1])
    assert rows["shard"].tolist() == ["train-000.h5"] * 5 + ["train-001.h5"] * 3
    assert rows["row"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert sorted(everything(done)[2]["image"]) == sorted(scene[0] for scene in SCENES)
    again = convert(folder, tmp_path / "again", image_size=16, shard_size=5, seed=3)
    assert again.test[0].read_bytes() == done.test[0].read_bytes()
    assert (tmp_path / "again" / "images.csv").read_bytes() == table
    other = convert(folder, tmp_path / "other", image_size=16, shard_size=5, seed=4)
    assert everything(other)[2]["image"].tolist() != everything(done)[2]["image"].tolist()


def test_shards_of_colours(folder, tmp_path):
    done = convert(folder, tmp_path / "out", image_size=(8, 12), channels=3)
    with h5py.File(done.train[0]) as file:
        assert file["images"].shape == (8, 8, 12, 3)
        assert file["images"].attrs["interpretation"] == "rgb-image"
        assert file.attrs["kind"] == "photographs"
        assert (file.attrs["height"], file.attrs["width"], file.attrs["channels"]) == (8, 12, 3)
        assert "law" not in file.attrs
        assert (file["images"][:] == shards.read(done.train[0]).images).all()


def test_shards_of_two_conversions_do_not_belong_together(folder, tmp_path):
    first = convert(folder, tmp_path / "a", image_size=16, shard_size=4)
    second = convert(folder, tmp_path / "b", image_size=16, shard_size=4, split=(0.7, 0.2, 0.1))
    with pytest.raises(ShardError, match=r"originals is .* in one and .* in the other"):
        shards.load([first.train[0], second.train[1]])
    drawn = tmp_path / "drawn.h5"
    from strangers import write_shard

    write_shard(drawn)
    with pytest.raises(ShardError, match="one holds photographs, the other drawn boxes"):
        shards.load([first.train[0], drawn])
    with pytest.raises(ShardError, match=r"another study: its law is not told .*expected sides"):
        shards.load(first.train, {"law": "sides_uniform"})
    with pytest.raises(ShardError, match="holds drawn boxes, which have no originals"):
        photographs.originals([drawn])
    shutil.copy(tmp_path / "b" / "images.csv", tmp_path / "a" / "images.csv")
    with pytest.raises(ShardError, match=r"images\.csv is not the table that .* was written with"):
        photographs.originals(first.test)


def test_fit_predict_score(folder, tmp_path):
    """A network learns from the shards what it learns from their arrays."""
    done = convert(folder, tmp_path / "out", image_size=(16, 24), channels=3, shard_size=4)
    options = {"epochs": 2, "random_state": 0, "xla": False, "batch_size": 4}
    regressor = BoxRegressor.paper(**options).fit(done.train, validation_data=done.validation)
    X, y = shards.load(done.train)
    assert X.shape == (8, 16, 24, 3)
    other = BoxRegressor.paper(**options).fit(X, y, validation_data=shards.load(done.validation))
    assert regressor.image_shape_ == (16, 24, 3)
    assert (regressor.predict(done.train) == other.predict(X)).all()
    assert regressor.score(done.train) == other.score(X, y)
    assert regressor.score(str(done.test[0])) == other.score(*shards.load(done.test))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "crop"}, ValueError, "mode must be 'stretch' or 'pad'; got 'crop'"),
        ({"channels": 4}, ValueError, r"channels must be 1 \(grey\) or 3 \(colour\); got 4"),
        ({"image_size": 0}, ValueError, "image_size must be positive; got 0"),
        ({"image_size": 1.5}, TypeError, "integer"),
        ({"shard_size": 0}, ValueError, "shard_size must be at least 1 photograph; got 0"),
        ({"split": (0.9, 0.1, 0.1)}, ValueError, "three numbers, 0 or more, that sum to 1"),
        (
            {"split": (0.98, 0.01, 0.01)},
            ValueError,
            "With 10 images .* none is left for validation and test",
        ),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0; got -1"),
        ({"image_size": 100_000}, ValueError, "make more and smaller shards"),
    ],
)
def test_wrong_options(folder, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        convert(folder, tmp_path / "out", **options)
    assert os.listdir(tmp_path) == []


def test_a_table_of_pandas_may_have_whole_paths_and_numbers_as_texts(folder, tmp_path):
    table = annotations.read(folder / "boxes.csv")
    plain = photographs.convert(folder / "images", table, tmp_path / "plain")
    paths = [str((folder / "images" / name).absolute()) for name in table["image"]]
    written = table.assign(image=paths, x1=table["x1"].map("{:g}".format))
    shares = np.array([0.8, 0.1, 0.1], np.float32)
    again = photographs.convert(folder / "images", written, tmp_path / "again", split=shares)
    assert again.without_box == plain.without_box == ["sub/no box.JPG"]
    assert shards.load(again.train)[1].tolist() == shards.load(plain.train)[1].tolist()


def test_tables_that_do_not_fit_the_photographs(folder, tmp_path):
    def refused(message, **changes):
        table = annotations.read(folder / "boxes.csv").iloc[:3].assign(**changes)
        with pytest.raises(AnnotationError, match=message):
            photographs.convert(folder / "images", table, tmp_path / "out")

    refused(
        r"images.also no\.png has a box, but the file is missing.*: 2 of 3",
        image=["no.png", "also no.png", "wide.png"],
    )
    refused(r"the box of square\.jpg, .*256, 400\), is not inside the image of 256×256", y2=400.0)
    refused(r"The table of boxes: x2 of .* must be a number; got nan", x2=np.nan)
    refused(r"The table of boxes: y1 of .* must be a number; got 'left'", y1="left")
    refused(r"each image must be in .*images; got '\.\./boxes\.csv'", image="../boxes.csv")
    refused(
        r"has 256×256 pixels, and the annotations say 256×99.*resized since", width=256, height=99
    )
    refused(r"wide\.png is in the table of boxes twice", image="wide.png")
    with pytest.raises(AnnotationError, match="1 rows, lacking: x1, y1, x2, y2"):
        photographs.convert(folder / "images", pd.DataFrame({"image": ["a"]}), tmp_path / "out")
    fractions = {"x1": 0.25, "y1": 0.25, "x2": 0.5, "y2": 1.0000001}  # Rounding.
    refused(r"corners of 3 boxes \(wide\.png, .*\) lie within 0\.\.1, but pixels", **fractions)
    refused(r"corners of 1 boxes \(tall\.png\) lie within", **{
        name: [90, value, 128] for name, value in fractions.items()
    })  # fmt: skip
    refused("corners of 3 boxes", x1=0, y1=0, x2=1, y2=1)
    with pytest.raises(
        ValueError, match=r"boxes\.csv is not a folder; expected the folder of photographs"
    ):
        photographs.convert(folder / "boxes.csv", folder / "boxes.csv", tmp_path / "out")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    with pytest.raises(FileExistsError, match=r"is not empty \(it holds 'mine'\): choose another"):
        convert(folder, tmp_path / "there")
    assert sorted(os.listdir(tmp_path)) == ["there"]


def test_boxes_that_are_not_one_per_row():
    table = pd.DataFrame({"scale_x": [1.0], "scale_y": 1.0, "offset_x": 0.0, "offset_y": 0.0})
    with pytest.raises(ValueError, match=r"shape \(1, 4\), one for each row.*got \(2, 4\)"):
        photographs.to_pixels(np.zeros((2, 4)), table)


def test_sizes_from_before_the_orientation_are_explained(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / "images" / "a.jpg", 40, 20, (0, 0, 9, 9), exif=exif)
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,width,height\na.jpg,0,0,9,9,40,20\n")
    with pytest.raises(
        AnnotationError, match=r"has 20×40 pixels, .* say 40×20: .*EXIF orientation"
    ):
        convert(tmp_path, tmp_path / "out")


def run(folder, *arguments):
    command = [sys.executable, "-m", "boxest", "convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_command(folder, tmp_path):
    out = tmp_path / "out"
    options = ("--size", "24x32", "--colour", "--mode", "pad", "--seed", 1)
    done = run(folder, "images", "boxes.csv", out, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"10 photographs in {out}: 8 train, 1 validation, 1 test." in done.stdout
    assert "Photographs left out, without a box: 1 (sub/no box.JPG)." in done.stdout
    expected = convert(
        folder, tmp_path / "same", image_size=(24, 32), channels=3, mode="pad", seed=1
    )
    for path in [*expected.train, *expected.validation, *expected.test]:
        assert (out / path.name).read_bytes() == path.read_bytes()
    refused = run(folder, "images", "boxes.csv", out)
    assert refused.returncode == 1
    assert refused.stderr.startswith("boxest: ")
    assert "is not empty" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.fault
def test_conversion_that_is_killed_leaves_no_folder(folder, tmp_path):
    code = """
import sys
from boxest import photographs, shards
write = shards.write
def write_and_wait(path, *content):
    write(path, *content)
    print("written", flush=True)
    sys.stdin.read()
shards.write = write_and_wait
photographs.convert("images", "boxes.csv", sys.argv[1], image_size=8)
"""
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as writer:  # fmt: skip
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
        writer.wait()
    assert writer.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert [path.name for path in left.iterdir()] == ["train-000.h5"]
    assert len(convert(folder, out, image_size=8).train) == 1


@pytest.mark.fault
def test_damaged_photograph_in_the_middle_leaves_nothing(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "images" / "e.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match=r"e\.png cannot be read .*it is damaged.*Replace"):
        convert(tmp_path / "copy", tmp_path / "out")
    assert os.listdir(tmp_path) == ["copy"]


def test_all_damaged_photographs_are_named_at_once(tmp_path):
    rendered.make(tmp_path, 6, seed=0)
    one, other = sorted((tmp_path / "images").iterdir())[1:3]
    images, boxes, out = (tmp_path / name for name in ("images", "boxes.csv", "out"))
    for keep in (-60, 0):  # The data, and then also the sizes at the beginning, are lost.
        for path in (one, other):
            path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ValueError, match="2 photographs cannot be read") as raised:
            photographs.convert(images, boxes, out, split=(1, 0, 0))
        assert one.name in str(raised.value)
        assert other.name in str(raised.value)
    assert not out.exists()


def test_rendered_photographs_are_the_same_in_each_format(tmp_path):
    rendered.make(tmp_path / "a", 10, seed=0)
    tables = [annotations.read(tmp_path / "a" / name) for name in ("boxes.csv", "coco.json", "voc")]
    for table in tables:
        assert table[["image", *CORNERS, "label"]].equals(tables[0][["image", *CORNERS, "label"]])
    images = tmp_path / "a" / "images"
    converted = [
        photographs.convert(images, table, tmp_path / str(number), image_size=16)
        for number, table in enumerate(tables)
    ]
    assert len({done.train[0].read_bytes() for done in converted}) == 1
    assert json.loads((tmp_path / "a" / "coco.json").read_text())["images"][9]["id"] == 9


@pytest.mark.slow
def test_snippets_of_the_documentation(folder, monkeypatch, tmp_path, capsys):
    text = (ROOT / "docs" / "photographs.md").read_text(encoding="utf-8")
    command = re.search(r"```sh\nboxest (convert .*)\n```", text).group(1)
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert CliRunner().invoke(boxest, command.split()).exit_code == 0
    os.symlink("images", "holiday")
    exec("\n".join(snippets).replace("epochs=60", "epochs=1"), {})
    assert 0 <= float(capsys.readouterr().out.split()[-1]) <= 1
    predicted = pd.read_csv("predicted.csv")
    assert (
        predicted.columns.tolist() == photographs.originals(["shards/test-000.h5"]).columns.tolist()
    )
    assert predicted[CORNERS].notna().all(axis=None)
    assert len(pd.read_csv("found.csv")) == len(SCENES) + 1
    assert os.path.getsize("found.png") > 1000


def some_photographs(folder, names, **exif):
    """Write photographs that differ, 60×40, and a table of their boxes."""
    lines = ["image,x1,y1,x2,y2,label,set"]
    for number, name in enumerate(names):
        draw(folder / "images" / name, 60, 40, (10, 8, 40, 24), 40 + 9 * number, **exif)
        part = ("train", "val", "test")[number % 3]
        lines.append(f"{name},10,8,40,24,cup {number},{part}")
    (folder / "boxes.csv").write_text("\n".join(lines))
    return [line.split(",")[0] for line in lines[1:]]


def test_a_turned_tiff_has_its_box_where_it_is_shown(tmp_path):
    names = some_photographs(tmp_path, ["0.png", "1.png", "2.png"])
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tmp_path / "images" / "0.png") as upright:
        upright.rotate(90, expand=True).save(tmp_path / "images" / "0.tif", exif=exif)
    text = (tmp_path / "boxes.csv").read_text().replace("0.png", "0.tif")
    lines = [f"{line},{'60,40' if number else 'width,height'}" for number, line in
             enumerate(text.split("\n"))]  # fmt: skip
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    done = convert(tmp_path, tmp_path / "out", image_size=(40, 60), split=(1, 0, 0))
    images, _, table = everything(done)
    assert done.turned == ["0.tif"]
    assert table["image"].tolist() != names
    assert (bright(images[table["image"] == "0.tif"][0]) == [10, 8, 40, 24]).all()
    assert (table[["width", "height"]] == [60, 40]).all(axis=None)


def test_labels_stay_in_the_table(tmp_path):
    some_photographs(tmp_path, [f"{n}.png" for n in range(4)])
    done = convert(tmp_path, tmp_path / "out", image_size=8, split=(0.5, 0.25, 0.25))
    rows = photographs.originals(done.train)
    assert [f"cup {name[0]}" for name in rows["image"]] == rows["label"].tolist()


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        ((1, 0, 0), ["0123456", "", ""]),
        ((0, 1, 0), None),
        ("set", ["036", "14", "25"]),
        ([["0.png", "1", "./2.png"], ["5.png"], []], ["012", "5", ""]),
    ],
)
def test_a_split_that_is_given(tmp_path, split, parts):
    some_photographs(tmp_path, [f"{n}.png" for n in range(7)])
    options = {"image_size": 8, "split": split, "shard_size": 2}
    if parts is None:
        with pytest.raises(ValueError, match="leaves no image for training"):
            convert(tmp_path, tmp_path / "out", **options)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = convert(tmp_path, tmp_path / "out", **options)
    assert done.without_box == []
    for paths, names in zip(done[:3], parts, strict=True):
        found = photographs.originals(paths)["image"].tolist() if paths else []
        assert sorted(found) == [f"{name}.png" for name in names]
    assert [str(each.message) for each in caught] == (
        [
            "3 images with a box are not in any list of the split, and are left out "
            "(3.png, 4.png, 6.png)."
        ]
        if isinstance(split, list)
        else []
    )


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([["0"], ["0"], []], "0 is in the lists for train and for validation"),
        (
            [["0"], ["x"], []],
            "None of the images in the list for validation has a box: the first is 'x'",
        ),
        ([["0"], ["1"]], "split must be three shares, or three lists"),
        ("label", "The part of .* must be train, validation .*got 'cup "),
    ],
)
def test_wrong_splits(tmp_path, split, message):
    some_photographs(tmp_path, [f"{n}.png" for n in range(4)])
    with pytest.raises(ValueError, match=message):
        convert(tmp_path, tmp_path / "out", split=split)
    assert not (tmp_path / "out").exists()


def test_lists_may_say_where_photographs_were(tmp_path):
    """As YOLO tools write them: with more folders than the table of boxes has."""
    names = ["grün.png", "train/1.png", "val/1.png"]
    some_photographs(tmp_path, [unicodedata.normalize("NFC", name) for name in names])
    lists = ["./images/gru\u0308n.png", "C:\\data\\images\\train\\1.png", "/data/val/1"]
    convert(tmp_path, tmp_path / "out", split=[[name] for name in lists], image_size=8)
    table = pd.read_csv(tmp_path / "out" / "images.csv").set_index("split")["image"]
    assert table.to_dict() == dict(zip(("train", "validation", "test"), names, strict=True))
    with pytest.raises(AnnotationError, match="None of the images in the list for test has a box"):
        convert(tmp_path, tmp_path / "b", split=[names[:1], names[1:2], ["other/1.png"]])


def test_one_photograph_twice_is_told(tmp_path):
    some_photographs(tmp_path, [f"{n}.png" for n in range(6)])
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "images" / "5.png")
    message = r"2 pictures are copies of others, byte for byte, in another part .*0\.png in train"
    with pytest.warns(UserWarning, match=message):
        convert(tmp_path, tmp_path / "a", split=[["0", "1"], ["2", "3"], ["4", "5"]], image_size=8)
    convert(tmp_path, tmp_path / "b", split=[["0", "5"], ["2", "3"], ["4", "1"]], image_size=8)
    table = annotations.read(tmp_path / "boxes.csv")
    table.loc[5, "image"] = "./0.png"
    with pytest.raises(
        AnnotationError, match=r"0\.png is in .* twice, as '0\.png' and '\./0\.png'"
    ):
        photographs.convert(tmp_path / "images", table, tmp_path / "c")


def test_twelve_bits_are_told_once(tmp_path):
    some_photographs(tmp_path, [f"{n}.png" for n in range(3)])
    for number in range(2):
        dark = np.full((40, 60), 1000 + number, np.uint16)
        Image.fromarray(dark).save(tmp_path / "images" / f"{number}.png")
    with pytest.warns(UserWarning, match=r"^2 pictures \(.*\): 16 bits .* 12 bits$") as caught:
        done = convert(tmp_path, tmp_path / "out", image_size=8, split=(1, 0, 0))
    assert len(caught) == 1
    assert everything(done)[0].min() >= 40


@pytest.mark.parametrize("kind", ["empty", "link", "dot"])
def test_a_folder_that_is_there_is_written_into(tmp_path, monkeypatch, kind):
    """A mounted folder can be neither replaced nor removed."""
    some_photographs(tmp_path, [f"{n}.png" for n in range(3)])
    out = tmp_path / "out"
    out.mkdir()
    inode = out.stat().st_ino
    (tmp_path / "link").symlink_to(out)
    (out / "lost+found").mkdir()  # As file systems of their own have.
    monkeypatch.chdir(out)
    to = {"empty": out, "link": tmp_path / "link", "dot": "."}[kind]
    done = convert(tmp_path, to, image_size=8, split=(1, 0, 0))
    assert sorted(os.listdir(out)) == ["images.csv", "lost+found", "train-000.h5"]
    assert out.stat().st_ino == inode
    assert (tmp_path / "link").is_symlink()
    assert len(photographs.originals(done.train)) == 3


def test_the_report_says_what_was_read_and_what_was_not(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3
    names = [f"{n}.jpg" for n in range(7)]
    some_photographs(tmp_path, names, exif=exif)
    draw(tmp_path / "images" / "._5.jpg", 9, 9, (0, 0, 3, 3), format="JPEG")
    shutil.copy(tmp_path / "images" / "6.jpg", os.fsencode(tmp_path / "images") + b"/\xe9.jpg")
    images = [{"id": n, "file_name": name} for n, name in enumerate(names[:6])]
    objects = [
        {"image_id": n, "bbox": [10, 8, 5, 2], "category_id": 1, "iscrowd": int(n == 0)}
        for n in range(5)
    ] + [{"image_id": 5, "bbox": [10, 8, 5, 2], "category_id": 2}]
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "Cup"}]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    paths = [str(tmp_path / name) for name in ("images", "coco.json", "out")]
    options = ["--split", "1,0,0", "--label", "cup", "--size", "8"]
    said = CliRunner().invoke(boxest, ["convert", *paths, *options])
    assert (said.exit_code, said.stderr) == (0, "")
    for line in (
        f"4 photographs in {paths[2]}: 4 train, 0 validation, 0 test.",
        "Boxes were read as x, y, width, height in pixels, from 0, as COCO has them; sides of 2 to",
        "Objects that were skipped, crowds (iscrowd): 1 (0.jpg).",
        "Objects that were skipped, objects of the label 'Cup': 1 (5.jpg).",
        "Photographs left out, without other objects: 2 (0.jpg, 5.jpg).",
        "Photographs left out, without a box: 2 (6.jpg, \\udce9.jpg).",
        "Turned or mirrored by their EXIF orientation: 4 (1.jpg, 2.jpg, 3.jpg, 4.jpg); their boxes",
    ):
        assert line in said.stdout
    paths = [paths[0], str(tmp_path / "boxes.csv"), paths[2] + "2"]
    said = CliRunner().invoke(boxest, ["convert", *paths, "--split", "set", "--size", "8"])
    assert "3 train, 2 validation, 2 test" in said.stdout
