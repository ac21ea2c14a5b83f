"""The command, as a new user runs it; each form in this process."""

import re
import shutil
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import ROOT
from PIL import Image

import boxest as package
from boxest import BoxRegressor, annotations, photographs, shards, synthetic, tasks
from boxest.cli import boxest, options

COMMANDS = list(boxest.commands)


def run(*arguments):
    """Run the command; return its exit status and what it printed."""
    done = CliRunner().invoke(boxest, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of 20 photographs with their boxes, the shards made of them, and a model."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "photos").mkdir()
    rng, lines = np.random.default_rng(0), ["image,x1,y1,x2,y2"]
    for number in range(20):
        x, y = rng.integers(0, 12, 2)
        levels = np.zeros((20, 24, 3), np.uint8)
        levels[y : y + 8, x : x + 12] = (200, 40 + number, 40)
        Image.fromarray(levels).save(folder / "photos" / f"{number:02d}.png")
        lines.append(f"{number:02d}.png,{x},{y},{x + 12},{y + 8}")
    (folder / "boxes.csv").write_text("\n".join(lines))
    made = ("--size", "16x20", "--colour", "--split", "0.5,0.2,0.3", "--shard-size", 6)
    done = run("convert", folder / "photos", folder / "boxes.csv", folder / "shards", *made)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"20 photographs in {folder / 'shards'}: 10 train, 4 validation, 6 test." in done.stdout
    assert "read as x1, y1, x2, y2: edges in pixels, from 0; sides of 8 to 12 px." in done.stdout
    settings = ("--set", "network=profile", "--set", "augmentation=null", "--set", "xla=false")
    model = folder / "model.boxest"
    done = run("train", folder / "shards", "-o", model, "--epochs", 2, "--seed", 3, *settings)
    assert done.exit_code == 0, done.stderr
    assert re.findall(r"^epoch +(\d)", done.stdout, re.MULTILINE) == ["1", "2"]
    assert f"Written: {model}, {folder / 'model.png'}, {folder / 'model.pdf'}." in done.stdout
    return folder


# --- all of it -------------------------------------------------------------------------------


def test_help_fits_a_screen_and_nothing_heavy_is_imported(python):
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom boxest.cli import boxest\n"
        "for name in ['', *boxest.commands]:\n"
        "    done = CliRunner().invoke(boxest, [*filter(None, [name]), '--help'])\n"
        "    lines = done.stdout.splitlines()\n"
        "    assert done.exit_code == 0 and 9 < len(lines) <= 24, (name, len(lines))\n"
        "    assert max(map(len, lines)) <= 80\n"
        "    assert '...' not in done.stdout.partition('Commands:')[2]\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'numpy', 'pandas', 'matplotlib', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert python(code) == "[]\n"


def test_version_and_no_command():
    assert run("--version").stdout == f"boxest {package.__version__}\n"
    done = run()
    assert done.exit_code == 2
    assert all(f"  {name} " in done.stderr for name in COMMANDS)


def test_coordinates_are_those_of_the_package():
    assert options.COORDINATES == annotations.COORDINATES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["find"], "boxest: No such command 'find'. See boxest --help."),
        (["convert", "a"], "boxest: Missing argument 'BOXES'. See boxest convert --help."),
        (["convert", "a", "b", "c", "--size", "1x2x3"], "HEIGHTxWIDTH, is needed, .* got 1x2x3"),
        (["convert", "a", "b", "c", "--columns", "path"], "NAME=COLUMN is needed, .* got path"),
        (["convert", "a", "b", "c", "--split", "1,0"], "three shares or three files, .* got 1,0"),
        (["train", "a", "--set", "epochs"], "NAME=VALUE is needed; got epochs"),
        (["train", "a", "--set", "epochs=5", "--epochs", "9"], "epochs is given twice"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments, said):
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.search(said, done.stderr)


def test_failures_are_one_line_and_status_1(data, tmp_path):
    """Nothing is written: neither in the folder, nor over a model that is there."""
    photos, table, out = data / "photos", data / "boxes.csv", tmp_path / "out"
    (tmp_path / "no.json").write_text("{}")
    (tmp_path / "model.onnx").write_text("of the user")
    before = (data / "model.boxest").read_bytes()
    for arguments, said in [
        (["convert", photos, tmp_path / "b.csv", out], r"boxest: .*b\.csv: No such file"),
        (["convert", photos, tmp_path / "no.json", out], "no.json is not a COCO file: 'images' is"),
        (["train", photos], r"holds no shards \(train-000\.h5 …\)\. If it holds photographs, name"),
        (["train", tmp_path / "nowhere"], "nowhere is not a folder; expected a folder of"),
        (["train", data / "shards", "-o", data / "model.boxest"], "already exists.*--overwrite"),
        (["train", data / "shards", "-o", data / "model"], r"model\.png already exists"),
        (["train", data / "shards", "-o", tmp_path / "a.png"], r"a\.png is the name of the figure"),
        (["train", data / "shards", "-o", out, "--set", "epoch=3"], "Invalid parameter 'epoch'"),
        (["train", data / "shards", "-o", out, "--figure", "a.jpg"], "end in .png; got a.jpg"),
        (["score", data / "model.boxest", data / "photos"], "holds no shards"),
        (
            ["train", data / "shards", "-o", out, "--size", 8],
            "image_size: this only works with photographs",
        ),
        (
            ["score", data / "model.boxest", data / "shards", "--label", "a"],
            "label: this only works with",
        ),
        (
            ["score", data / "model.boxest", photos, table, "--part", "test"],
            "part: this only works with sh",
        ),
        (["score", table, data / "shards"], "boxes.csv is not"),
        (
            ["predict", data / "model.boxest", tmp_path / "x.png", "-o", tmp_path / "found.csv"],
            "x.png: No such file",
        ),
        (["predict", data / "model.boxest", photos, "-o", table], "already exists.*--overwrite"),
        (
            ["predict", tmp_path / "no-model", photos, "-o", tmp_path / "found.txt"],
            r"boxes can be written as csv, coco, yolo; got the suffix '\.txt'",
        ),
        (["predict", tmp_path / "no-model", photos, "-o", data / "photos"], "is not empty"),
        (
            ["score", data / "model.boxest", data / "shards", "-o", table],
            "already exists.*--overwrite",
        ),
        (
            ["export", data / "model.boxest", tmp_path / "model.onnx"],
            "already exists.*--overwrite",
        ),
        (["export", data / "model.boxest", data / "photos"], "photos: .*is not empty"),
    ]:
        done = run(*arguments)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1), (arguments, done.stderr)
        assert re.search(said, done.stderr), (arguments, done.stderr)
    assert not out.exists()
    assert (data / "model.boxest").read_bytes() == before
    assert (tmp_path / "model.onnx").read_text() == "of the user"
    done = run("--traceback", "convert", photos, tmp_path / "b.csv", out)
    assert done.stderr.startswith("Traceback")


def test_warnings_are_lines(data, tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("0.png", "1.png"):
        (tmp_path / "a" / name).write_bytes((data / "photos" / "00.png").read_bytes())
    (tmp_path / "b.csv").write_text("image,x1,y1,x2,y2\n0.png,1,1,9,9\n1.png,1,1,9,9\n")
    arguments = (tmp_path / "a", tmp_path / "b.csv", tmp_path / "out", "--split", "0.5,0.5,0")
    done = run("convert", *arguments, "--size", 8)
    assert done.exit_code == 0
    assert re.fullmatch(r"boxest: warning: .*0\.png.*1\.png.*\n", done.stderr), done.stderr


# --- one by one ------------------------------------------------------------------------------


def test_convert_is_one_call_of_the_package(data, tmp_path):
    made = {"image_size": (16, 20), "channels": 3, "split": [0.5, 0.2, 0.3], "shard_size": 6}
    done = photographs.convert(data / "photos", data / "boxes.csv", tmp_path / "same", **made)
    for path in [*done.train, *done.validation, *done.test]:
        assert (data / "shards" / path.name).read_bytes() == path.read_bytes()


def test_the_former_name_of_convert_works_and_says_the_new_one(data, tmp_path, capsys):
    from boxest.convert import main

    words = [data / "photos", data / "boxes.csv", tmp_path / "old", "--size", 16, 20, "--colour"]
    words += ["--split", 0.5, 0.2, 0.3, "--shard-size", 6, "--columns", "image=image", "x1=x1"]
    with pytest.raises(SystemExit, match="0"):
        main(list(map(str, words)))
    said = capsys.readouterr()
    assert said.err == "boxest: this command is called `boxest convert` now.\n"
    assert "20 photographs in" in said.out
    for path in (data / "shards").iterdir():
        assert (tmp_path / "old" / path.name).read_bytes() == path.read_bytes()


def test_train_stores_the_regressor_of_its_parameters(data):
    regressor = BoxRegressor.load(data / "model.boxest")
    shown = {name: getattr(regressor, name) for name in ("network", "epochs", "random_state")}
    assert shown == {"network": "profile", "epochs": 2, "random_state": 3}
    assert (regressor.augmentation, regressor.verbose) == (None, 0)
    train, validation = (
        sorted((data / "shards").glob(f"{part}-*.h5")) for part in ("train", "validation")
    )
    again = BoxRegressor(
        network="profile", augmentation=None, xla=False, epochs=2, random_state=3
    ).fit(train, validation_data=validation)
    assert again.score(train) == pytest.approx(regressor.score(train), abs=1e-6)
    with Image.open(data / "model.png") as image:
        assert min(image.size) > 400


def test_train_takes_photographs_and_a_table(data, tmp_path):
    done = run("train", data / "photos", data / "boxes.csv", "-o", tmp_path / "m.boxest",
               "--size", 16, "--split", "0.5,0.2,0.3", "--epochs", 1,
               "--set", "network=profile")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    line = r"Mean IoU on 6 test images: 0\.\d+ \(\d+% reach 0\.5, \d+% reach 0\.75\)"
    assert re.search(line, done.stdout)
    read = "Boxes were read as x1, y1, x2, y2: edges in pixels"
    assert 0 <= done.stdout.find(read) < re.search(r"epoch +1", done.stdout).start()
    assert BoxRegressor.load(tmp_path / "m.boxest").image_shape_ == (16, 16, 1)


def test_the_state_of_a_training_stays_if_the_model_cannot_be_written(data, tmp_path, monkeypatch):
    words = ["train", data / "shards", "-o", tmp_path / "m.boxest", "--epochs", 2]
    words += ["--set", "network=profile", "--set", "augmentation=null", "--set", "xla=false"]
    words += ["--checkpoint", tmp_path / "state.npz"]

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(BoxRegressor, "save", full)
        assert run(*words).exit_code == 1
    assert (tmp_path / "state.npz").stat().st_size > 1000
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Resumed after epoch 2.\n2 epochs, ")
    assert not (tmp_path / "state.npz").exists()


@pytest.mark.parametrize("name", ["m.boxest", "./m.png", "m.pdf"])
def test_the_state_of_a_training_is_in_no_file_of_its_result(data, tmp_path, monkeypatch, name):
    """It is deleted at the end, and the model was with it."""
    monkeypatch.chdir(tmp_path)
    words = ["train", data / "shards", "-o", "m.boxest", "--epochs", 1, "--checkpoint", name]
    done = run(*words, "--set", "network=profile", "--set", "xla=false")
    assert done.exit_code == 1
    assert f"{name} cannot be both a result and the checkpoint" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_score_is_the_mean_iou_of_shards_and_of_photographs(data, tmp_path):
    regressor = BoxRegressor.load(data / "model.boxest")
    test = sorted((data / "shards").glob("test-*.h5"))
    done = run("score", data / "model.boxest", data / "shards", "-o", tmp_path / "scores.csv")
    assert done.stdout.startswith(f"Mean IoU on 6 test images: {regressor.score(test):.3f} (")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table["iou"].mean() == pytest.approx(regressor.score(test), abs=1e-6)
    # The same photographs from their files, in their own pixels.
    originals = photographs.originals(test)
    assert table["image"].tolist() == originals["image"].tolist()
    originals[["image", "x1", "y1", "x2", "y2"]].to_csv(tmp_path / "few.csv", index=False)
    done = run("score", data / "model.boxest", data / "photos", tmp_path / "few.csv",
               "-o", tmp_path / "again.csv")  # fmt: skip
    assert "edges in pixels, from 0; sides of 8 to 12 px.\nPhotographs left out, " in done.stdout
    assert "left out, without a box: 14 (" in done.stdout
    assert "\nMean IoU on 6 given images: " in done.stdout
    again = pd.read_csv(tmp_path / "again.csv").set_index("image").loc[originals["image"]]
    rerun = run("score", data / "model.boxest", data / "shards", "-o", tmp_path / "again.csv",
                "--overwrite")  # fmt: skip
    assert rerun.exit_code == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "scores.csv").read_text()
    np.testing.assert_allclose(again["true_x1"], originals["x1"])
    np.testing.assert_allclose(again["iou"], table["iou"], atol=0.05)


def test_score_holds_one_shard_in_memory_at_a_time(tmp_path, monkeypatch):
    n, size, law = 100, 64, synthetic.BoxLaw(max_side=64)
    for i in range(8):
        span = i * n, (i + 1) * n
        meta = shards.Meta("test", *span, seed=0, image_size=size, law=law)
        drawn = synthetic.make(*span, seed=0, image_size=size, law=law)
        shards.write(tmp_path / f"test-00{i}.h5", *drawn, meta)
    whole = SimpleNamespace(predict=lambda paths: np.tile([0.0, 0.0, 1.0, 1.0], (8 * n, 1)))
    monkeypatch.setattr(BoxRegressor, "load", lambda path: whole)
    tracemalloc.start()
    try:
        scores = tasks.score("model.boxest", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3 * n * size * size
    finally:
        tracemalloc.stop()
    _, boxes = synthetic.make(0, 8 * n, seed=0, image_size=size, law=law)
    assert scores.iou == pytest.approx(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).mean())


def test_a_shard_that_was_not_copied_is_told(data, tmp_path):
    copies = shutil.copytree(data / "shards", tmp_path / "copies")
    for name in ("train-001.h5", "validation-000.h5"):  # One of two, and a whole part.
        (copies / name).unlink()
    done = run("score", data / "model.boxest", copies, "--part", "train")
    assert done.stdout.startswith("Mean IoU on 6 train images: ")
    assert re.search(
        r"warning: .*copies lacks 1 of the shards in images\.csv \(train-001\.h5\)", done.stderr
    )


@pytest.mark.parametrize("name", ["found.csv", "found.json", "found"])
def test_predict_writes_boxes_in_pixels(data, tmp_path, name):
    done = run("predict", data / "model.boxest", data / "photos", "-o", tmp_path / name,
               *(("--figure", tmp_path / "found.png") if name == "found.csv" else ()))  # fmt: skip
    expected = photographs.predict(
        BoxRegressor.load(data / "model.boxest"), data / "photos"
    ).set_index("image")
    assert (expected["x1"] < expected["x2"]).all()
    assert done.stdout.startswith(f"20 boxes in {tmp_path / name}")
    found = annotations.read(tmp_path / name, images=data / "photos") if name != "found.csv" else (
        pd.read_csv(tmp_path / name)
    )  # fmt: skip
    np.testing.assert_allclose(found["x1"], expected["x1"], atol=1e-3)
    assert (tmp_path / "found.png").exists() == (name == "found.csv")


@pytest.mark.parametrize(
    ("photos", "said"),
    [
        (["00.png"], "1 box in {}, drawn in"),
        (["00.png", ".", "../photos/00.png"], "20 boxes in {}, the first 15 of them in"),
    ],
)
def test_predict_says_what_the_figure_shows(data, tmp_path, photos, said):
    paths = [data / "photos" / name for name in photos]
    table, figure = tmp_path / "found.csv", tmp_path / "found.png"
    done = run("predict", data / "model.boxest", *paths, "-o", table, "--figure", figure)
    assert done.stdout == f"{said.format(table)} {figure}.\n"


def test_predict_takes_a_format_where_the_name_does_not_say_it(data, tmp_path):
    out = tmp_path / "found.boxes"
    run("predict", data / "model.boxest", data / "photos", "-o", out, "--format", "csv")
    assert len(pd.read_csv(out)) == 20


@pytest.mark.parametrize(("name", "written"), [("found.csv", 20), ("found.json", 19)])
def test_a_box_that_a_format_cannot_hold_costs_no_other(data, tmp_path, monkeypatch, name, written):
    found = photographs.predict(BoxRegressor.load(data / "model.boxest"), data / "photos")
    found.loc[3, ["x1", "x2"]] = found.loc[3, ["x2", "x1"]].to_numpy()
    monkeypatch.setattr(photographs, "predict", lambda *_, **__: found)
    done = run("predict", data / "model.boxest", data / "photos", "-o", tmp_path / name)
    assert done.stdout.startswith(f"{written} boxes in {tmp_path / name}")
    lost = re.search(r"warning: 1 of 20 boxes \((\S+)\) are flipped or empty", done.stderr)
    assert (lost and lost[1]) == (None if written == 20 else found["image"][3])


def test_export_is_one_call_of_the_package(data, tmp_path):
    done = run("export", data / "model.boxest", tmp_path / "saved")
    assert (done.exit_code, done.stdout) == (0, f"Wrote {tmp_path / 'saved'}.\n")
    assert (tmp_path / "saved" / "saved_model.pb").stat().st_size > 1000


def test_values_of_parameters_are_json_or_text():
    from boxest.cli.train import _parameter

    values = ["a=1e-3", "a=null", "a=false", 'a={"name": "sgd"}', "a=cosine", "a=b=c"]
    assert [_parameter(value)[1] for value in values] == [
        0.001, None, False, {"name": "sgd"}, "cosine", "b=c",
    ]  # fmt: skip


def test_documented_commands_are_those_that_exist():
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "photographs.md").read_text()
    named = set(re.findall(r"\bboxest (new|convert|train|predict|score|status|export)\b", text))
    assert named <= set(COMMANDS)
