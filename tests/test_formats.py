"""Files of labelling tools: one small file per format, read to the same boxes, and written."""

import errno
import importlib
import json
import os

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.base import BaseEstimator

from boxest import BoxRegressor, annotations, photographs, tasks
from boxest.cli import boxest
from boxest.data.annotations import CORNERS, AnnotationError, read

# Photographs of 60×40 and 20×50 pixels, and the box of each: every format says this.
SIZES = {"a.png": (60, 40), "sub/b.jpg": (20, 50)}
BOXES = {"a.png": (15, 10, 45, 30), "sub/b.jpg": (5, 10, 10, 40)}
LABELS = {"a.png": "cup", "sub/b.jpg": "dog"}


@pytest.fixture
def images(tmp_path):
    """A folder of the photographs."""
    for number, (name, size) in enumerate(SIZES.items()):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (40 + 90 * number, 40, 40)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def text_file(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def yolo(folder, names="classes.txt", a="1 0.5 0.5 0.5 0.5", b="0 0.375 0.5 0.25 0.6"):
    text_file(folder / "labels" / "a.txt", a)
    text_file(folder / "labels" / "sub" / "b.txt", b)
    content = {"classes.txt": "dog\ncup\n", "data.yaml": "names: {0: dog, 1: cup}\n", None: ""}
    if names:
        text_file(folder / ("labels" if names == "classes.txt" else "") / names, content[names])
    return folder / "labels"


def shape(points, kind="rectangle", label="cup"):
    return {"label": label, "points": points, "shape_type": kind}


def labelme(folder, *shapes, path="a.png", **changes):
    first = shapes or [shape([[45, 30], [15, 10]])]
    a = {"imagePath": path, "imageWidth": 60, "imageHeight": 40, "shapes": first} | changes
    polygon = shape([["5", 10], [10, 20], [7, 40]], "polygon", "dog")
    b = {"imagePath": "..\\sub\\b.jpg", "imageWidth": 20, "imageHeight": 50, "shapes": [polygon]}
    text_file(folder / "json" / "a.json", json.dumps(a))
    text_file(folder / "json" / "sub" / "b.json", json.dumps(b))
    return folder / "json"


def cvat(folder, more="", begin=""):
    boxes = "".join(
        f'<image id="0" name="{name}" width="{w}" height="{h}"><box label="{LABELS[name]}" '
        f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0"/></image>'
        for (name, (w, h)), (x1, y1, x2, y2) in zip(SIZES.items(), BOXES.values(), strict=True)
    )
    content = f"{begin}<annotations><version>1.1</version>{boxes}{more}</annotations>"
    return text_file(folder / "cvat.xml", content)


def masks(folder):
    for name, (width, height) in SIZES.items():
        levels = np.zeros((height, width), np.uint8)
        x1, y1, x2, y2 = BOXES[name]
        levels[y1:y2, x1:x2] = 255
        path = (folder / "masks" / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(path)
    return folder / "masks"


def open_images(folder):
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf"]
    for name, (w, h) in SIZES.items():
        x1, y1, x2, y2 = BOXES[name]
        fractions = f"{x1 / w},{x2 / w},{y1 / h},{y2 / h}"
        lines += [f"{name.split('.')[0]},x,{LABELS[name]},1,{fractions},{n}" for n in (0, 1)]
    return text_file(folder / "openimages.csv", "\n".join(lines))


def tensorflow(folder):
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for name, (w, h) in SIZES.items():
        x1, y1, x2, y2 = BOXES[name]
        lines.append(f"{name},{w},{h},{LABELS[name]},{x1 + 1},{y1 + 1},{x2},{y2}")
    return text_file(folder / "tensorflow.csv", "\n".join(lines))


def label_studio_yolo(folder):
    yolo(folder / "export", None)
    text_file(folder / "export" / "classes.txt", "dog\ncup\n")
    text_file(folder / "export" / "notes.json", "{}")
    return folder / "export"


def label_studio_coco(folder):
    images = [
        {"id": n, "file_name": f"images\\{name}", "width": w, "height": h}
        for n, (name, (w, h)) in enumerate(SIZES.items())
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": n, "iscrowd": 0, "ignore": 0, "segmentation": [],
         "bbox": [x1, y1, float(x2 - x1), y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        for n, (x1, y1, x2, y2) in enumerate(BOXES.values())
    ]  # fmt: skip
    categories = [{"id": n, "name": label} for n, label in enumerate(LABELS.values())]
    content = {"images": images, "annotations": boxes, "categories": categories, "info": {}}
    return text_file(folder / "result.json", json.dumps(content))


def label_studio_voc(folder):
    """Write names without suffix, which that tool leaves out."""
    for name, (w, h) in SIZES.items():
        x1, y1, x2, y2 = BOXES[name]
        corners = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        stem = name.rpartition(".")[0]
        text_file(folder / "Annotations" / f"{stem}.xml", (
            f"<annotation><filename>{stem.rpartition('/')[2]}</filename>"
            f"<size><width>{w}</width><height>{h}</height></size><object>"
            f"<name>{LABELS[name]}</name><bndbox>{corners}</bndbox></object></annotation>"
        ))  # fmt: skip
    return folder / "Annotations"


FORMATS = [yolo, labelme, cvat, masks, open_images, tensorflow, label_studio_yolo, label_studio_voc]


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_says_the_same(tmp_path, images, write):
    table = read(write(tmp_path), images=images).set_index("image")
    assert {name: tuple(table.loc[name, CORNERS]) for name in SIZES} == BOXES
    if write is not masks:
        assert table["label"].to_dict() == LABELS
    assert table.attrs["remarks"] == []
    assert set(table.attrs["passed_over"]) <= {"groups (IsGroupOf)"}


def test_coco_of_label_studio_is_named_from_the_folder_above(tmp_path, images):
    table = read(label_studio_coco(tmp_path), images=tmp_path).set_index("image")
    assert {name: tuple(table.loc[f"images/{name}", CORNERS]) for name in SIZES} == BOXES
    assert list(table["label"]) == list(LABELS.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"id": 1, "data": {"image": "a"}, "annotations": []}], "tasks of Label Studio: export"),
        ([{"image": "a", "annotations": []}], "boxes of Create ML, which is not read: export them"),
        ({"shapes": [], "imagePath": "a"}, "one photograph of LabelMe: name the folder"),
        ({"_via_img_metadata": {}}, "a project of VIA, which is not read: export it there as"),
    ],
)
def test_json_of_another_tool_is_named(tmp_path, content, message):
    path = text_file(tmp_path / "a.json", json.dumps(content))
    with pytest.raises(AnnotationError, match=rf"a\.json is not a COCO file, but {message}"):
        read(path)


@pytest.mark.parametrize("write", [label_studio_coco, cvat])
def test_a_file_that_holds_all_boxes_is_named_instead_of_its_folder(tmp_path, images, write):
    path = write(tmp_path / "export")
    with pytest.raises(AnnotationError, match=rf"{path.name} .*, name this file instead of its"):
        read(path.parent, images=images)


@pytest.mark.parametrize(("names", "label"), [("data.yaml", "cup"), (None, "1")])
def test_names_of_classes_of_yolo(tmp_path, images, names, label):
    table = read(yolo(tmp_path, names), images=images)
    assert table.set_index("image")["label"]["a.png"] == label


def test_a_text_is_no_list_of_names(tmp_path, images):
    folder = yolo(tmp_path, None)
    text_file(tmp_path / "data.yaml", "names: cup\n")
    with pytest.raises(AnnotationError, match=r"data\.yaml .* \(names is a text, not a list\)"):
        read(folder, images=images)


def test_an_outline_of_yolo_is_its_bounds(tmp_path, images):
    outline = "1 0.25 0.25 0.75 0.5 0.5 0.75\n\n"
    table = read(yolo(tmp_path, a=outline), images=images).set_index("image")
    assert tuple(table.loc["a.png", CORNERS]) == BOXES["a.png"]
    assert table.attrs["read_as"].endswith("as in YOLO; outlines by their bounds: 1")
    assert table.attrs["remarks"] == []


POINTS = {
    (1, 2): (" 0.45 0.45", " 0.3 0.7"),
    (2, 2): (" 0.45 0.45 0.55 0.55", " 0.4 0.7 0 0"),
    (1, 3): (" 0.45 0.45 2", " 0.3 0.7 1"),
    (2, 3): (" 0.45 0.45 1 0.55 0.55 1", " 0.3 0.7 0 0 0 0"),
}


@pytest.mark.parametrize("shape", POINTS)
def test_key_points_of_yolo_are_no_outlines(tmp_path, images, shape):
    a, b = POINTS[shape]
    folder = yolo(tmp_path, a=f"1 0.5 0.5 0.5 0.5{a}", b=f"0 0.375 0.5 0.25 0.6{b}")
    # Nothing says what they are: a warning, or an error where they cannot be an outline.
    if shape == (1, 3):
        with pytest.raises(AnnotationError, match=r"2 is not a fraction .*: kpt_shape: \[number"):
            read(folder, images=images)
        yolo(tmp_path, a=f"1 0.5 0.5 0.5 0.5{a.replace('2', '1')}")
        with pytest.raises(AnnotationError, match=r"8 values are no outline\..*: kpt_shape: "):
            read(folder, images=images)
    else:
        (remark,) = read(folder, images=images).attrs["remarks"]
        assert "2 lines were read as outlines, but may also be boxes with key points" in remark
    folder = yolo(tmp_path, a=f"1 0.5 0.5 0.5 0.5{a}", b=f"0 0.375 0.5 0.25 0.6{b}")
    text_file(tmp_path / "data.yaml", f"kpt_shape: {list(shape)}\nnames: [other]\n")
    table = read(folder, images=images)
    assert {name: tuple(row) for name, *row in table[["image", *CORNERS]].to_numpy()} == BOXES
    assert table["label"].tolist() == ["cup", "dog"]
    assert table.attrs["remarks"] == []


def test_names_above_a_folder_are_found_from_inside(tmp_path, images, monkeypatch):
    """What is above "." or "labels" is not in their names: key points were read as outlines."""
    folder = yolo(tmp_path, "data.yaml", *(f"{box} 0.5 0.5" for box in ("1 0.5 0.5 0.5 0.5",) * 2))
    text_file(tmp_path / "data.yaml", "kpt_shape: [1, 2]\nnames: [dog, cup]\n")
    whole = read(folder, images=images)
    assert whole["label"].tolist() == ["cup", "cup"]
    for here, path in ((folder, "."), (tmp_path, "labels"), (images, "../labels")):
        monkeypatch.chdir(here)
        pd.testing.assert_frame_equal(read(path, images=images), whole)


def test_a_label_belongs_to_no_photograph_in_another_folder(tmp_path, images):
    """A photograph without a label got that of its namesake."""
    folder = yolo(tmp_path)
    (folder / "sub" / "b.txt").rename(folder / "b.txt")
    assert read(folder, images=images)["image"].tolist() == ["a.png", "sub/b.jpg"]
    text_file(folder / "other" / "b.txt", (folder / "b.txt").read_text())
    (folder / "b.txt").unlink()
    with pytest.raises(AnnotationError, match=r"no photograph other/b\.\* .*: sub/b\.jpg is in an"):
        read(folder, images=images)
    # What folders are called for what is in them does not count.
    (tmp_path / "all" / "images").mkdir(parents=True)
    images.rename(tmp_path / "all" / "images" / "train")
    (folder / "a.txt").rename(text_file(folder / "train" / "a.txt", ""))
    (folder / "other").rename(folder / "train" / "sub")
    assert len(read(folder, images=tmp_path / "all")) == 2


def test_wrong_key_points_of_yolo(tmp_path, images):
    folder = yolo(tmp_path, a="1 0.5 0.5 0.5 0.5 0.6 0.6")
    text_file(tmp_path / "data.yaml", "kpt_shape: [2, 2]")
    with pytest.raises(AnnotationError, match=r"a\.txt, line 1 has 7 values, but .* 9 are needed"):
        read(folder, images=images)
    text_file(tmp_path / "data.yaml", "kpt_shape: 2")
    with pytest.raises(AnnotationError, match=r"data\.yaml: kpt_shape must be .* 2 or 3; got 2\."):
        read(folder, images=images)
    text_file(tmp_path / "data.yaml", "{")
    assert len(read(folder, images=images)) == 2
    (folder / "classes.txt").unlink()
    with pytest.raises(AnnotationError, match=r"data\.yaml is not YAML"):
        read(folder, images=images)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.5", r"a\.txt, line 1 \(1 0\.5 0\.5 0\.5\) cannot be read: Syntax error"),
        ("1 0.5 0.5 nan 0.5", r"line 1 .* a fraction of a\.png must be a number; got 'nan'"),
        ("1 30 20 30 20", r"line 1 .*: 30 is not a fraction of the image, as YOLO"),
        ("1 0.9 0.5 0.5 0.5", r"the box of a\.png, \(39, 10, 69, 30\), is not inside the image"),
        ("1 0.5 0.5 0 0.5", r"line 1 .* (cannot be read|is empty)"),
        ("7 0.5 0.5 0.5 0.5", r"the class 7 has no name \(there are 2 names\)"),
        ("1,0.5,0.5,0.5,0.5", r"cannot be read: Syntax error"),
        ("\n1 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5", r"line 3 .*: a\.png has a second box"),
    ],
)
def test_wrong_lines_of_yolo(tmp_path, images, line, message):
    with pytest.raises(AnnotationError, match=message):
        read(yolo(tmp_path, a=line), images=images)


def test_folders_of_yolo(tmp_path, images):
    folder = yolo(tmp_path, a="")
    text_file(folder / "README.roboflow.txt", "what this is")
    assert read(folder, images=images).attrs["passed_over"] == {
        "photographs without an object in their file": ["a.png"]
    }
    with pytest.raises(AnnotationError, match=r"pass the folder of these \(images=\.\.\.\)"):
        read(folder)
    text_file(folder / "c.txt", "1 0.5 0.5 0.5 0.5")
    with pytest.raises(AnnotationError, match=r"c\.txt: no photograph c\.\* in .*: there is none"):
        read(folder, images=images)
    text_file(tmp_path / "labels" / "classes.txt", "")
    (tmp_path / "labels" / "classes.txt").unlink()
    text_file(tmp_path / "data.yaml", "nc: 2")
    with pytest.raises(AnnotationError, match=r"data\.yaml does not name the classes"):
        read(folder, images=images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": [shape([[1, 2]])]}, "shape 0: it needs at least two points with x and y"),
        (
            {"shapes": [{"label": "a", "shape_type": "polygon"}]},
            "shape 0: it needs at least two points",
        ),
        ({"shapes": [shape([[1, 2], [3, "x"]])]}, r"a point of a\.png must be a number; got 'x'"),
        ({"shapes": [shape([[1, 2], [300, 30]])]}, r"\(1, 2, 300, 30\), is not inside"),
        ({"shapes": [shape([[1, 2], [1, 30]])]}, "shape 0 cannot be read|is empty"),
        ({"shapes": None}, r"a\.json is not a LabelMe file .*: it needs shapes and imagePath"),
        ({"imageWidth": "wide"}, "the imageWidth of a.png must be a whole number"),
    ],
)
def test_wrong_files_of_labelme(tmp_path, images, changes, message):
    with pytest.raises(AnnotationError, match=message):
        read(labelme(tmp_path, **changes), images=images)


@pytest.mark.parametrize("below", ["", "sub", "other"])
@pytest.mark.parametrize("where", ["../images/sub/b.jpg", r"C:\me\images\sub\b.jpg", "/gone/b.jpg"])
@pytest.mark.parametrize("form", ["labelme", "voc"])
def test_the_path_of_a_photograph_tells_names_in_two_folders_apart(
    tmp_path, images, below, where, form
):
    for name in ("b.jpg", "other/b.jpg"):
        (images / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 50)).save(images / name)
    content = json.dumps({"imagePath": where, "shapes": [shape([[5, 10], [10, 40]])]})
    if form == "voc":
        box = "<bndbox><xmin>6</xmin><ymin>11</ymin><xmax>10</xmax><ymax>40</ymax></bndbox>"
        content = f"<path>{where}</path><object><name>cup</name>{box}</object></annotation>"
        content = f"<annotation><folder>x</folder><filename>b.jpg</filename>{content}"
    suffix = {"labelme": "json", "voc": "xml"}[form]
    text_file(tmp_path / "from" / below / f"one.{suffix}", content)
    (found,) = read(tmp_path / "from", images=images)["image"]
    # A subfolder of annotations like that of the photographs counts more.
    wanted = f"{below}/b.jpg" if below else ("b.jpg" if "gone" in where else "sub/b.jpg")
    assert found == wanted
    if form == "voc":  # A name with its folder says enough.
        content = content.replace(">b.jpg<", ">other/b.jpg<").replace(where, "/gone/other/b.jpg")
        text_file(tmp_path / "from" / below / "one.xml", content)
        assert read(tmp_path / "from")["image"].tolist() == ["other/b.jpg"]


def test_shapes_that_are_no_boxes_are_counted(tmp_path, images):
    shapes = [shape([[15, 10], [45, 30]]), shape([[1, 1], [5, 5]], "circle")]
    table = read(labelme(tmp_path, *shapes, imageWidth=None), images=images)
    assert len(table) == 2
    assert table.attrs["passed_over"] == {"shapes of the kind 'circle'": ["a.png"]}
    more = (
        '<image id="2" name="c.png" width="9" height="9"><polygon label="x" points="1,2;3,4"/>'
        '<box label="x" xtl="1" ytl="1" xbr="5" ybr="5" rotation="30"/></image>'
        '<image id="3" name="d.png" width="9" height="9"/>'
    )
    assert read(cvat(tmp_path, more)).attrs["passed_over"] == {
        "shapes of the kind <polygon>": ["c.png"],
        "turned boxes": ["c.png"],
        "photographs without an object in their file": ["d.png"],
    }


@pytest.mark.parametrize(
    ("more", "begin", "message"),
    [
        ("<track/>", "", "holds a video, not <annotations> with <image>"),
        ("", '<!DOCTYPE a [<!ENTITY l "lol">]>', "it has a document type"),
        ('<image name="a"><box label="x" xtl="1"/></image>', "", "shape 0 cannot be read: Syntax"),
        (
            '<image name="a"><box label="x" xtl="nan" ytl="1" xbr="5" ybr="5"/></image>',
            "",
            "shape 0 cannot be read|must be a number",
        ),
        ('<image name="a"><box rotation="x"/></image>', "", "0: rotation of a must be a number"),
    ],
)
def test_wrong_files_of_cvat(tmp_path, more, begin, message):
    with pytest.raises(AnnotationError, match=message):
        read(cvat(tmp_path, more, begin))


def test_masks_with_several_objects(tmp_path, images):
    folder = masks(tmp_path)
    levels = np.zeros((40, 60), np.uint8)
    levels[:5], levels[10:30, 15:45], levels[:2, :2] = 255, 2, 1
    Image.fromarray(levels).save(folder / "a.png")
    table = read(folder, images=images, label="2").set_index("image")
    assert tuple(table.loc["a.png", CORNERS]) == BOXES["a.png"]
    with pytest.raises(AnnotationError, match=r"a\.png, level 2: a\.png has a second box"):
        read(folder, images=images)
    Image.fromarray(levels * 0).save(folder / "a.png")
    assert read(folder).attrs["passed_over"] == {"photographs whose mask is black": ["a.png"]}
    Image.fromarray(np.arange(2400, dtype=np.uint8).reshape(40, 60)).save(folder / "a.png")
    with pytest.raises(
        AnnotationError, match=r"a\.png is not a mask: it has 255 levels above black"
    ):
        read(folder)
    Image.new("RGB", (60, 40), (1, 2, 3)).save(folder / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: it is in colour, so it is not a mask"):
        read(folder)


def test_columns_that_are_called_otherwise(tmp_path, images):
    path = text_file(tmp_path / "boxes.csv", "Path,Left,Top,Right,Bottom\na.png,15,10,45,30\n")
    columns = {"image": "path", "x1": "Left", "y1": "top", "x2": "right", "y2": "bottom"}
    assert tuple(read(path, columns=columns)[CORNERS].iloc[0]) == BOXES["a.png"]
    with pytest.raises(AnnotationError, match=r"columns may name image, x1.*; got picture"):
        read(path, columns={"picture": "path"})
    with pytest.raises(AnnotationError, match=r"columns can only be named for a CSV file\."):
        read(cvat(tmp_path), columns=columns)
    with pytest.raises(AnnotationError, match="is read as CVAT, whose coordinates have"):
        read(cvat(tmp_path), coordinates="edges")
    words = ",".join(f"{name}={column}" for name, column in columns.items())
    arguments = ["convert", str(images), str(path), str(tmp_path / "out"), "--split", "1,0,0"]
    done = CliRunner().invoke(boxest, [*arguments, "--size", "8", "--columns", words])
    assert "1 photographs in" in done.stdout


def test_columns_that_are_named_are_used_or_missing(tmp_path, images):
    header = "image,path,x1,y1,x2,y2,left,top,right,bottom,class\n"
    path = text_file(tmp_path / "boxes.csv", f"{header}7,a.png,1,1,9,9,16,11,45,30,cup\n")
    voc = {"xmin": "left", "ymin": "top", "xmax": "right", "ymax": "bottom"}
    table = read(path, images=images, columns={"image": "path"} | voc)
    assert table[["image", *CORNERS]].to_numpy().tolist() == [["a.png", *BOXES["a.png"]]]
    for columns in ({"label": "klass"}, {"image": "path", "width": "w"}, {"x1": "x0"}):
        ours, theirs = list(columns.items())[-1]
        message = rf"has no column '{theirs}', which columns .* name as {ours}; it has image, path"
        with pytest.raises(AnnotationError, match=message):
            read(path, images=images, columns=columns)


@pytest.mark.parametrize("write", [*FORMATS, label_studio_coco])
def test_photographs_whose_names_begin_with_a_blank(tmp_path, images, write, monkeypatch):
    monkeypatch.setitem(SIZES, " c.png", (60, 40))
    monkeypatch.setitem(BOXES, " c.png", (1, 2, 3, 4))
    monkeypatch.setitem(LABELS, " c.png", "cup")
    Image.new("RGB", (60, 40)).save(images / " c.png")
    path = write(tmp_path)
    if path.name == "labels" or write is label_studio_yolo:
        text_file(next(tmp_path.rglob("a.txt")).with_name(" c.txt"), "1 0.05 0.075 0.05 0.1")
        BOXES[" c.png"] = (1.5, 1, 4.5, 5)
    if write is labelme:
        c = {"imagePath": " c.png", "shapes": [shape([[1, 2], [3, 4]])]}
        text_file(path / " c.json", json.dumps(c))
    below = "images/" if write is label_studio_coco else ""
    table = read(path, images=tmp_path if below else images).set_index("image")
    assert tuple(table.loc[f"{below} c.png", CORNERS].round(9)) == BOXES[" c.png"]


def test_a_blank_at_the_beginning_tells_names_apart_where_it_is_quoted(tmp_path, images):
    for name in ("c.png", " c.png"):
        Image.new("RGB", (60, 40)).save(images / name)
    content = 'image,x1,y1,x2,y2\n" c.png",1,2,3,4\nc.png,0,0,9,9\n'
    table = read(text_file(tmp_path / "boxes.csv", content), images=images)
    assert table[["image", "x2"]].to_numpy().tolist() == [[" c.png", 3], ["c.png", 9]]


@pytest.mark.parametrize("name", ["found.csv", "found.json", "found"])
def test_what_is_written_is_read_again(tmp_path, images, name):
    rows = [(*SIZES[n], *BOXES[n]) for n in SIZES]
    table = pd.DataFrame(rows, columns=["width", "height", *CORNERS])
    table = table.assign(image=[str(images / n) for n in SIZES], label=list(LABELS.values()))
    if name == "found.csv":
        table["image"] = list(SIZES)
    annotations.write(table, tmp_path / name)
    read_again = read(tmp_path / name, images=images).set_index("image")
    assert {n: tuple(read_again.loc[n, CORNERS].round(9)) for n in SIZES} == BOXES
    assert read_again["label"].to_dict() == LABELS


def test_what_cannot_be_written(tmp_path, images, monkeypatch):
    table = pd.DataFrame({"image": ["a.png", "a.jpg"], "width": 60, "height": 40})
    table = table.assign(x1=[0, 5], y1=0, x2=5, y2=5)
    with pytest.raises(
        AnnotationError, match=r"1 boxes, such as that of a\.jpg, .* which coco cannot hold"
    ):
        annotations.write(table, tmp_path / "a.json")
    annotations.write(table, tmp_path / "a.csv")
    for wrong, message in (
        (table[:0], "has no rows"),
        (table.assign(image="a.png"), "a.png is in"),
    ):
        with pytest.raises(AnnotationError, match=message):
            annotations.write(wrong.assign(x1=0), tmp_path / "a.json")
    for unknown in (table.assign(width=pd.NA), table.drop(columns="height")):
        with pytest.raises(AnnotationError, match=r"2 photographs, such as a\.png, are unknown"):
            annotations.write(unknown.assign(x1=0), tmp_path / "a.json")
    with pytest.raises(
        AnnotationError, match=r"written as csv, coco, yolo; got the suffix '\.xls'"
    ):
        annotations.write(table, tmp_path / "a.xls")
    with pytest.raises(AnnotationError, match=r"two photographs would share the file a\.txt"):
        annotations.write(table.assign(x1=0), tmp_path / "yolo")
    with pytest.raises(AnnotationError, match=r"classes\.png would have the file classes\.txt"):
        annotations.write(table[:1].assign(image="classes.png"), tmp_path / "yolo")
    with pytest.raises(AnnotationError, match=r"\.\./x\.png is not in the folder"):
        annotations.write(table[:1].assign(image="../x.png"), tmp_path / "yolo", images=images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "images"]

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(AnnotationError, match=r"pip install 'boxest\[formats\]'"):
        annotations.write(table[:1], tmp_path / "a.json")


def test_a_missing_library_is_said_before_the_prediction(tmp_path, images, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    monkeypatch.setattr(BoxRegressor, "load", lambda path: pytest.fail("It loads the model."))
    for name in ("found.json", "found"):
        with pytest.raises(AnnotationError, match=r"pip install 'boxest\[formats\]'"):
            tasks.predict("model.boxest", images, tmp_path / name)


def test_predictions_are_named_from_the_folder_that_was_given(tmp_path, images, monkeypatch):
    """The names depended on which photographs had a box."""
    pytest.importorskip("globox")
    names = [str(images / name) for name in SIZES]
    found = pd.DataFrame({"image": names, "width": [60, 20], "height": [40, 50]})
    found[CORNERS] = [[30, 10, 20, 30], [5, 10, 10, 40]]  # The first one is flipped.
    monkeypatch.setattr(BoxRegressor, "load", lambda path: None)
    monkeypatch.setattr(photographs, "predict", lambda *given, **options: found)
    with pytest.warns(UserWarning, match="1 of 2 boxes"):
        tasks.predict("model.boxest", images, tmp_path / "found.json")
    written = json.loads((tmp_path / "found.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["sub/b.jpg"]
    with pytest.warns(UserWarning, match="1 of 2 boxes"):
        tasks.predict("model.boxest", names, tmp_path / "found")
    assert (tmp_path / "found" / "sub" / "b.txt").exists()


def test_a_photograph_may_have_the_name_of_a_list(tmp_path, images):
    Image.new("RGB", (40, 40)).save(images / "test.png")
    folder = yolo(tmp_path)
    text_file(folder / "test.txt", "1 0.5 0.5 0.5 0.5\n")
    text_file(folder / "train.txt", "images/a.png\nimages/sub/b.jpg\n")
    table = read(folder, images=images).set_index("image")
    assert tuple(table.loc["test.png", CORNERS]) == (10, 10, 30, 30)
    assert set(table.index) == {*SIZES, "test.png"}


def test_transparent_parts_of_masks_are_no_objects(tmp_path, images):
    """Programs leave any colour below them; here the object is white on transparent white."""
    folder = masks(tmp_path)
    x1, y1, x2, y2 = BOXES["a.png"]
    levels = np.full((40, 60, 2), 255, np.uint8)
    levels[..., 1] = 0
    levels[y1:y2, x1:x2, 1] = 255
    grey = Image.fromarray(levels, "LA")
    palette = Image.fromarray(np.where(levels[..., 1] > 0, 1, 2).astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 9, 9, 255, 255, 255])
    for mask, options in ((grey, {}), (grey.convert("RGBA"), {}), (palette, {"transparency": 2})):
        mask.save(folder / "a.png", **options)
        assert tuple(read(folder, images=images)[CORNERS].iloc[0]) == BOXES["a.png"]


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_black_in_a_mask_with_a_palette_is_black_wherever_it_stands(tmp_path, images, suffix):
    """Pillow's choice of colours puts the lightest first: the box was that of the background."""
    folder = masks(tmp_path)
    for name in BOXES:
        path = (folder / name).with_suffix(".png")
        with Image.open(path) as mask:
            palette = mask.convert("RGB").quantize(2)
        assert palette.getpalette()[:3] == [255, 255, 255]
        path.unlink()
        palette.save(path.with_suffix(suffix))
    table = read(folder, images=images)
    assert {name: tuple(row) for name, *row in table[["image", *CORNERS]].to_numpy()} == BOXES


def test_the_border_of_masks_is_counted_where_it_is_skipped(tmp_path, images):
    folder = masks(tmp_path)
    levels = np.zeros((40, 60), np.uint8)
    levels[10:30, 15:45], levels[10, 15:45] = 255, 128  # Also a mask with one blurred edge.
    Image.fromarray(levels).save(folder / "a.png")
    (counted,) = read(folder, images=images).attrs["passed_over"].items()
    assert counted == ("level 255 beside others, the border in masks of Pascal VOC", ["a.png"])


def test_a_photograph_that_is_not_read_or_not_the_only_one_is_named(tmp_path, images):
    folder = yolo(tmp_path)
    (images / "a.png").rename(images / "a.HEIC")
    with pytest.raises(AnnotationError, match=r"a\.\* in .*: a\.HEIC must be saved as JPEG or PNG"):
        read(folder, images=images)
    for name in ("a.png", "a.jpg"):
        Image.new("L", SIZES["a.png"]).save(images / name)
    with pytest.raises(AnnotationError, match=r": several are called so: a\.jpg, a\.png\."):
        read(folder, images=images)


class Middle(BaseEstimator):
    """A regressor that finds the same box in every image."""

    image_shape_, image_mode_ = (8, 8, 1), "stretch"

    def fit(self):
        """Do nothing; an estimator must have it."""

    def predict(self, X):
        return np.full((len(X), 4), [0.25, 0.25, 0.5, 0.5])

    def __sklearn_is_fitted__(self):
        return True


def test_photographs_in_formats_that_are_not_read_are_told(images):
    (images / "sub" / "c.heic").touch()
    with pytest.warns(UserWarning, match=r"does not read, which are left out: 1 \(sub/c\.heic\)"):
        found = photographs.predict(Middle(), images)
    assert found[CORNERS].to_numpy().tolist() == [[15, 10, 30, 20], [5, 12.5, 10, 25]]


@pytest.mark.parametrize("width", [["60", "20"], [60.0, np.nan], ["60.0", pd.NA], [0, 20]])
def test_sizes_in_a_table_of_pandas_may_be_texts_or_unknown(images, width):
    table = pd.DataFrame({"image": list(BOXES)} | {"width": width, "height": ["40", None]})
    table[CORNERS] = list(BOXES.values())
    found = photographs.true_boxes(images, table)
    assert found[["width", "height"]].to_numpy().tolist() == [[60, 40], [20, 50]]
    with pytest.raises(AnnotationError, match="the annotations say 61×40: they belong to another"):
        photographs.true_boxes(images, table.assign(width="61"))


def test_names_that_the_terminal_lacks_do_not_fail_what_is_done(tmp_path, images):
    (images / "a.png").rename(images / "杯.png")
    path = text_file(tmp_path / "boxes.csv", "image,x1,y1,x2,y2\nsub/b.jpg,5,10,10,40\n")
    words = ["convert", str(images), str(path), str(tmp_path / "out"), "--split", "1,0,0"]
    done = CliRunner(charset="latin-1").invoke(boxest, words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "left out, without a box: 1 (\\u676f.png)." in done.stdout


@pytest.mark.parametrize("which", ["images", "labels"])
def test_a_subfolder_that_cannot_be_read_is_no_empty_one(tmp_path, images, monkeypatch, which):
    folder, scandir = yolo(tmp_path), os.scandir

    def refuse(path):
        if os.fspath(path) == str(tmp_path / which / "sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match=f"{which}/sub"):
        read(folder, images=images)


def test_links_to_folders_are_followed_once(tmp_path, images):
    (images / "sub").rename(tmp_path / "disk")
    (images / "sub").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(images)
    (images / "again").symlink_to(images / "sub")
    found = photographs.predict(Middle(), images)
    assert found["image"].tolist() == [str(images / name) for name in ("a.png", "again/b.jpg")]
    (images / "again").unlink()
    labels = yolo(tmp_path)
    (labels / "sub").rename(tmp_path / "other")
    (labels / "sub").symlink_to("../other")
    table = read(labels, images=images)
    assert {name: tuple(row) for name, *row in table[["image", *CORNERS]].to_numpy()} == BOXES
