"""Photographs: read as they are shown, converted into shards, and boxes back in their pixels."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

from boxest import BoxRegressor, annotations, photographs, pictures, shards
from boxest.annotations import CORNERS, AnnotationError
from boxest.convert import main as convert_command
from boxest.meta import PhotoMeta
from boxest.shards import ShardError

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
    with pytest.raises(ShardError, match=r"originals is .* in the one and .* in the other"):
        shards.load([first.train[0], second.train[1]])
    drawn = tmp_path / "drawn.h5"
    from strangers import write_shard

    write_shard(drawn)
    with pytest.raises(ShardError, match="the one holds photographs and the other drawn boxes"):
        shards.load([first.train[0], drawn])
    with pytest.raises(ShardError, match=r"another study: its law is not told .*expected sides"):
        shards.load(first.train, {"law": "sides_uniform"})
    with pytest.raises(ShardError, match="holds drawn boxes: there are no originals"):
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
        ({"shard_size": 0}, ValueError, "shard_size must be 1 or more photographs; got 0"),
        ({"split": (0.9, 0.1, 0.1)}, ValueError, "three numbers, 0 or more, that sum to 1"),
        ({"split": (0.98, 0.01, 0.01)}, ValueError, "10 images leave none for validation and test"),
        ({"seed": -1}, ValueError, "non-negative"),
        ({"image_size": 100_000}, ValueError, "make more and smaller shards"),
    ],
)
def test_wrong_options(folder, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        convert(folder, tmp_path / "out", **options)
    assert os.listdir(tmp_path) == []


def test_tables_that_do_not_fit_the_photographs(folder, tmp_path):
    def refused(message, **changes):
        table = annotations.read(folder / "boxes.csv").iloc[:3].assign(**changes)
        with pytest.raises(AnnotationError, match=message):
            photographs.convert(folder / "images", table, tmp_path / "out")

    refused(
        r"images.also no\.png is missing, of which there is a box.*: 2 of 3",
        image=["no.png", "also no.png", "wide.png"],
    )
    refused(r"the box of square\.jpg, .*256, 400\), is not inside the image of 256×256", y2=400.0)
    refused(r"square\.jpg, .*nan.* is empty", x2=np.nan)
    refused(
        r"has 256×256 pixels, and the annotations say 256×99.*resized since", width=256, height=99
    )
    refused(r"wide\.png is in the table of boxes twice", image="wide.png")
    with pytest.raises(AnnotationError, match="1 rows, lacking: x1, y1, x2, y2, width, height"):
        photographs.convert(folder / "images", pd.DataFrame({"image": ["a"]}), tmp_path / "out")
    with pytest.raises(
        ValueError, match=r"boxes\.csv is no folder: it should hold the photographs"
    ):
        photographs.convert(folder / "boxes.csv", folder / "boxes.csv", tmp_path / "out")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    with pytest.raises(
        FileExistsError, match=r"no empty folder \(it holds 'mine'\): choose another"
    ):
        convert(folder, tmp_path / "there")
    assert sorted(os.listdir(tmp_path)) == ["there"]


def test_boxes_that_are_not_one_per_row():
    table = pd.DataFrame({"scale_x": [1.0], "scale_y": 1.0, "offset_x": 0.0, "offset_y": 0.0})
    with pytest.raises(ValueError, match=r"shape \(1, 4\), one for each row.*got \(2, 4\)"):
        photographs.to_pixels(np.zeros((2, 4)), table)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation):
    """As in the tables of EXIF: where the first row and column of the file are shown."""
    upright = np.zeros((16, 48), np.uint8)
    upright[:8, :12] = 255
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert pictures.size(tmp_path / "a.png") == (48, 16, orientation)
    assert (pictures.read(tmp_path / "a.png", 1, (48, 16)) == upright).all()


def test_sizes_from_before_the_orientation_are_explained(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / "images" / "a.jpg", 40, 20, (0, 0, 9, 9), exif=exif)
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,width,height\na.jpg,0,0,9,9,40,20\n")
    with pytest.raises(
        AnnotationError, match=r"has 20×40 pixels, .* say 40×20: .*EXIF orientation"
    ):
        convert(tmp_path, tmp_path / "out")


def test_all_kinds_of_pixels(tmp_path):
    """One grey level, 200 of 255, or one colour, stored in every way."""
    colour = Image.new("RGB", (4, 4), (200, 100, 50))
    red = Image.new("RGB", (4, 4), (200, 0, 0))
    half = Image.new("RGBA", (4, 4), (200, 0, 0, 128))
    deep = Image.fromarray(np.full((4, 4), 200 * 256 + 77, np.uint16))
    files = {
        "grey.png": (Image.new("L", (4, 4), 200), (200, 200, 200)),
        "deep.png": (deep, (200, 200, 200)),
        "deep.tif": (deep, (200, 200, 200)),
        "bits.png": (Image.new("1", (4, 4), 1), (255, 255, 255)),
        "colour.png": (colour, (200, 100, 50)),
        "palette.gif": (colour.quantize(4), (200, 100, 50)),
        "cmyk.tif": (red.convert("CMYK"), (200, 0, 0)),
        "clear.png": (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        "half.png": (half, (227, 127, 127)),
        "grey-half.png": (Image.new("LA", (4, 4), (0, 128)), (127, 127, 127)),
        "bmp.bmp": (colour, (200, 100, 50)),
        "webp.webp": (colour, (200, 100, 50)),
    }
    for name, (image, rgb) in files.items():
        options = {"lossless": True} if name.endswith("webp") else {}
        image.save(tmp_path / name, **options)
        read = pictures.read(tmp_path / name, 3, (2, 2))
        assert read.shape == (2, 2, 3), name
        np.testing.assert_allclose(read[0, 0], rgb, atol=1, err_msg=name)
        luma = np.dot(rgb, [0.299, 0.587, 0.114])
        np.testing.assert_allclose(pictures.read(tmp_path / name, 1, (2, 2)), luma, atol=1.5)
    Image.new("F", (4, 4), 1.0).save(tmp_path / "float.tif")
    with pytest.raises(
        ValueError, match=r"float\.tif: its grey levels are of 32 bits or have a sign, mode 'F'"
    ):
        pictures.read(tmp_path / "float.tif", 1, (2, 2))


def bomb():
    """Write a PNG of 200,000 × 200,000 pixels, in 100 bytes."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    size = (200_000).to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + size + bytes([8, 0, 0, 0, 0]))
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.fault
def test_files_that_are_no_photographs(tmp_path):
    path = tmp_path / "a.png"
    for content in (
        b"",
        b"GIF89a",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"x" * 99,
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.png .*(is no image|cannot be read)"):
            pictures.size(path)
    path.write_bytes(bomb())
    with pytest.raises(ValueError, match=r"a\.png: it has more than 89,478,485 pixels"):
        pictures.size(path)
    with pytest.raises(FileNotFoundError):
        pictures.size(tmp_path / "absent.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="Not a regular file"):
        pictures.size(tmp_path / "pipe.png")


def test_the_limit_of_pixels_is_that_of_pillow(tmp_path, monkeypatch):
    draw(tmp_path / "a.png", 20, 10, (0, 0, 5, 5))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 199)
    with pytest.raises(ValueError, match="more than 199 pixels"):
        pictures.read(tmp_path / "a.png", 1, (5, 5))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert pictures.read(tmp_path / "a.png", 1, (5, 5)).shape == (5, 5)


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tif", "webp", "bmp", "ppm"])
def test_damaged_photographs(tmp_path, kind):
    """Cut off anywhere, or with any byte changed: read, or refused in words."""
    path = tmp_path / f"a.{kind}"
    draw(path, 40, 30, (3, 3, 20, 20))
    whole, refused = path.read_bytes(), 0
    step = max(1, len(whole) // 60)
    damaged = [whole[:end] for end in range(0, len(whole), step)]
    for at in range(0, len(whole), step):
        damaged += [whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :] for flip in (1, 255)]
    for content in damaged:
        path.write_bytes(content)
        try:
            assert pictures.read(path, 3, (5, 5)).shape == (5, 5, 3)
        except ValueError as error:
            if not str(error).startswith(str(path)):
                raise
            refused += 1
    assert refused > 5


def run(folder, *arguments):
    command = [sys.executable, "-m", "boxest.convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_command(folder, tmp_path):
    out = tmp_path / "out"
    options = ("--size", 24, 32, "--colour", "--mode", "pad", "--seed", 1)
    done = run(folder, "images", "boxes.csv", out, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"10 photographs in {out}: 8 train, 1 validation, 1 test." in done.stdout
    assert "Left out, without a box: 1 (sub/no box.JPG)." in done.stdout
    expected = convert(
        folder, tmp_path / "same", image_size=(24, 32), channels=3, mode="pad", seed=1
    )
    for path in [*expected.train, *expected.validation, *expected.test]:
        assert (out / path.name).read_bytes() == path.read_bytes()
    refused = run(folder, "images", "boxes.csv", out)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "no empty folder" in refused.stderr
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


def test_rendered_photographs_are_the_same_in_each_format(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import rendered

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
    command = re.search(r"```sh\n(python -m boxest\.convert .*)\n```", text).group(1)
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert convert_command(command.split()[3:]) == 0
    exec(snippet.replace("epochs=60", "epochs=1"), {})
    assert 0 <= float(capsys.readouterr().out.split()[-1]) <= 1
    predicted = pd.read_csv("predicted.csv")
    assert (
        predicted.columns.tolist() == photographs.originals(["shards/test-000.h5"]).columns.tolist()
    )
    assert predicted[CORNERS].notna().all(axis=None)
