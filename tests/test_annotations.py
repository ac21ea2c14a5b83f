"""Tables of boxes: the same from each format, and what is wrong with one is named."""

import json
import math
import unicodedata

import pandas as pd
import pytest
from PIL import Image

from boxest import annotations
from boxest.data.annotations import AnnotationError, read
from boxest.data.annotations import voc as voc_format

# Two images by hand: a box of 3 × 4 pixels at column 2, row 1, and one around all of 10 × 8.
TABLE = pd.DataFrame(
    {
        "image": ["a.png", "sub/b.png"],
        "x1": [2.0, 0.0],
        "y1": [1.0, 0.0],
        "x2": [5.0, 10.0],
        "y2": [5.0, 8.0],
        "width": [20, 10],
        "height": [16, 8],
        "label": ["cup", "dog"],
    }
).astype({"width": "Int64", "height": "Int64", "label": "string", "image": "str"})

CSV = """image,x1,y1,x2,y2,width,height,label
a.png,2,1,5,5,20,16,cup
sub/b.png,0,0,10,8,10,8,dog
"""
CSV_AS_VOC = """\ufefffilename, width, height, class, xmin, ymin, xmax, ymax
a.png, 20, 16, cup, 3, 2, 5, 5

sub/b.png, 10, 8, dog, 1, 1, 10, 8
"""
COCO = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 20, "height": 16},
        {"id": 3, "file_name": "sub/b.png", "width": 10, "height": 8},
    ],
    "annotations": [
        {"image_id": 7, "bbox": [2, 1, 3, 4], "category_id": 1},
        {"image_id": 7, "bbox": [0, 0, 20, 16], "category_id": 1, "iscrowd": 1},
        {"image_id": 3, "bbox": [0, 0, 10.0, 8], "category_id": 2, "iscrowd": 0},
    ],
    "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "dog"}],
}
XML = """<annotation><folder>x</folder><filename>{}</filename>
<size><width>{}</width><height>{}</height><depth>3</depth></size>{}</annotation>"""
OBJECT = """<object><name>{}</name><bndbox><ymin>{}</ymin><xmin>{}</xmin>
<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


@pytest.fixture
def csv_file(tmp_path):
    def write(text, name="boxes.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def voc(tmp_path):
    def write(*texts):
        (tmp_path / "voc").mkdir()
        for number, text in enumerate(texts):
            (tmp_path / "voc" / f"{number}.xml").write_text(text)
        (tmp_path / "voc" / "notes.txt").write_text("no annotation")
        return tmp_path / "voc"

    return write


def coco(tmp_path, **changes):
    (tmp_path / "coco.json").write_text(json.dumps(COCO | changes))
    return tmp_path / "coco.json"


@pytest.mark.parametrize("text", [CSV, CSV_AS_VOC])
def test_csv(csv_file, text):
    pd.testing.assert_frame_equal(read(csv_file(text)), TABLE)


def test_coco(tmp_path):
    pd.testing.assert_frame_equal(read(coco(tmp_path)), TABLE)


def test_voc_counts_from_one_and_its_last_pixel_belongs_to_the_box(voc):
    folder = voc(
        XML.format("a.png", 20, 16, OBJECT.format("cup", 2, 3, 5, 5)),
        XML.format("sub/b.png", 10, 8, OBJECT.format("dog", 1, 1, 10, 8)),
    )
    pd.testing.assert_frame_equal(read(folder), TABLE)


def test_sizes_and_labels_may_be_left_out(csv_file):
    table = read(csv_file("extra,x2,y2,image,x1,y1\n?,5.5,5,007,2,1\n"))
    assert table["image"].tolist() == ["007"]
    assert table[annotations.CORNERS].to_numpy().tolist() == [[2, 1, 5.5, 5]]
    assert table[["width", "height", "label"]].isna().all(axis=None)


def test_label(tmp_path):
    table = read(coco(tmp_path), label="dog")
    assert table["image"].tolist() == ["sub/b.png"]
    with pytest.raises(AnnotationError, match=r"no box of the label 'cat' \(labels.*: cup, dog\)"):
        read(tmp_path / "coco.json", label="cat")


def test_several_boxes_of_an_image(csv_file):
    path = csv_file("image,x1,y1,x2,y2\na,0,0,2,2\nb,0,0,1,1\na,1,1,6,3\na,5,5,6,6\n")
    message = r"boxes\.csv, line 4: a has a second box \(the first: .*line 2\).*--several largest"
    with pytest.raises(AnnotationError, match=message):
        read(path)
    table = read(path, several="largest")
    reason = "smaller than another one of their photograph"
    assert table.attrs["passed_over"] == {reason: ["a", "a"]}
    assert table[["image", "x1", "x2"]].to_numpy().tolist() == [["a", 1, 6], ["b", 0, 1]]
    with pytest.raises(ValueError, match="several must be 'error' or 'largest'; got 'first'"):
        read(path, several="first")


def test_less_than_half_a_pixel_outside_is_rounding_and_cut_off(csv_file):
    table = read(csv_file("image,x1,y1,x2,y2,width,height\na,-0.4,0,10.4,8,10,8\n"))
    assert table[annotations.CORNERS].to_numpy().tolist() == [[0, 0, 10, 8]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a,0,0,11,8", r"line 2: the box of a, \(0, 0, 11, 8\), is not inside.* of 10×8 pixels"),
        ("a,-1,0,5,5", r"the box of a, \(-1, 0, 5, 5\), is not inside the image"),
        (
            "a,5,0,5,5",
            r"the box of a, \(5, 0, 5, 5\), is empty or flipped; it needs x1 < x2 and y1 < y2",
        ),
        ("a,5,6,8,5", r"is empty or flipped"),
        ("a,0,0,-0.2,5", r"is empty or flipped"),
        ("a,0,0,nan,5", r"line 2: x2 of a must be a number; got 'nan'"),
        ("a,0,,1,5", r"line 2: y1 of a must be a number; got ''"),
        ("a,inf,0,1,5", r"x1 of a must be a number; got 'inf'"),
        ("a,0,zero,1,5", r"y1 of a must be a number; got 'zero'"),
        ("a,0,0,1", r"line 2 has another number of values than the header"),
        ("a,0,0,1,5,10,8,7", r"line 2 has another number of values than the header"),
        ("a,0,0,1,5,10,8.5", r"line 2: the height of a must be a whole number.*got '8\.5'"),
        ("a,0,0,1,5,-1,8", r"the width of a must be a whole number of pixels; got '-1'"),
        (",0,0,1,5", r"must be named by its path within the folder of images; got ''"),
        ("../a,0,0,1,5", r"within the folder of images; got '\.\./a'"),
        ("/etc/a,0,0,1,5", r"within the folder of images; got '/etc/a'"),
        (r"..\a,0,0,1,5", r"within the folder of images"),
        ('"a\0",0,0,1,5', r"within the folder of images|line contains NUL"),
        ("", r"boxes\.csv holds no box, so there is nothing to learn from"),
    ],
)
def test_wrong_lines(csv_file, lines, message):
    lines += ",10,8" if lines.count(",") == 4 else ""
    with pytest.raises(AnnotationError, match=message):
        read(csv_file(f"image,x1,y1,x2,y2,width,height\n{lines}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must name the columns image .*; got nothing"),
        ("image,x,y,w,h\n", r"the first line must name .*got image, x, y, w, h"),
        ("image,x1,y1,x2,y2,x1\n", "each once; got"),
        (
            "image,xmin,ymin,xmax,ymax\na,0,1,5,5\n",
            "xmin of a is 0, but Pascal VOC counts.*--coordinates edges",
        ),
        ("image,x1,y1,x2,y2\n" + "a" * 200_000 + ",0,0,1,1\n", "not a CSV file.*field larger"),
    ],
)
def test_other_tables(csv_file, text, message):
    with pytest.raises(AnnotationError, match=rf"boxes\.csv.*{message}"):
        read(csv_file(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('image,x1,y1,x2,y2,label\na,0,0,2,2,cup\nb,0,0,2,2,"cup\nc,0,0,2,2,cup\n', 3),
        ('image,x1,y1,x2,y2,label\na,0,0,2,2,"5" cup\nb,0,0,2,2,"cup\n', 2),
        ('"image"s,x1,y1,x2,y2\na,0,0,2,2\n', 1),
    ],
)
def test_a_quotation_mark_does_not_swallow_lines(csv_file, text, line):
    """Python's csv takes all lines after it as one value of the line where it stands."""
    with pytest.raises(AnnotationError, match=rf"not a CSV file: .*, from line {line} on\. Quot"):
        read(csv_file(text))
    quoted = csv_file('"image";"x1";"y1";"x2";"y2";"label"\n"a";"1";"2";"3";"4";"5"" cup"\n')
    assert read(quoted)["label"].tolist() == ['5" cup']


def test_formats_that_are_not_known(csv_file, tmp_path):
    with pytest.raises(AnnotationError, match=r"a \.csv file, a \.json file .*; not \.txt"):
        read(csv_file(CSV, "boxes.txt"))
    (tmp_path / "latin.csv").write_bytes(b"image,x1,y1,x2,y2\n\xe9,0,0,1,1\n")
    with pytest.raises(AnnotationError, match=r"latin\.csv is not a CSV file in UTF-8"):
        read(tmp_path / "latin.csv")
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        read(tmp_path / "absent.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match=r"a folder without \.xml files.* or pictures"):
        read(tmp_path / "empty")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": []}, "holds no box"),
        (
            {"annotations": [{"image_id": 9, "bbox": [0, 0, 1, 1]}]},
            "annotation 0: image_id is 9, but no image in the list images",
        ),
        ({"annotations": [{"image_id": 7}]}, "annotation 0: bbox of a.png must be .*; got None"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 3]}]}, r"a\.png must be .*\[1, 2, 3\]"),
        (
            {"annotations": [{"image_id": 7, "bbox": [1, 2, float("nan"), 4]}]},
            r"bbox width of a\.png must be a number; got nan",
        ),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, True, 4]}]}, "must be a number; got True"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 10**400, 4]}]}, "must be a number"),
        ({"annotations": [{"image_id": 7, "bbox": [18, 2, 3, 4]}]}, "not inside.*20×16"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 0, 4]}]}, "is empty"),
        ({"annotations": [3]}, "annotation 0"),
        ({"annotations": 3}, "is not a COCO file"),
        ({"images": [{"id": 1}, {"id": 1}]}, "two images have the same id"),
        ({"images": [{"id": 7, "file_name": 5}]}, "file_name must be a text; got 5"),
        ({"images": [{"name": "a"}]}, "is not a COCO file: 'id' is missing"),
    ],
)
def test_wrong_coco(tmp_path, changes, message):
    with pytest.raises(AnnotationError, match=rf"coco\.json.*{message}"):
        read(coco(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not a JSON file"), ("[" * 100_000, "is not a JSON file"),
     ("[1]", "is not a COCO file"), ("{}", "'images' is missing"), ("\xff", "is not a JSON file")],
)  # fmt: skip
def test_no_coco(tmp_path, text, message):
    (tmp_path / "coco.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path / "coco.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (XML.format("a", 9, 9, OBJECT.format("x", 1, 0, 5, 5)), "xmin of a is 0, but Pascal VOC"),
        (XML.format("a", 9, 9, OBJECT.format("x", 1, 1, 10, 5)), r"not inside.* of 9×9 pixels"),
        (XML.format("a", 9, 9, OBJECT.format("x", 5, 1, 5, 3)), "is empty or flipped"),
        (
            XML.format("a", "", "", "<object/>"),
            "object 0: it has no <bndbox> with xmin.*but nothing",
        ),
        (XML.format("", 9, 9, ""), "no annotation of Pascal VOC"),
        ("<annotation/>", "no annotation of Pascal VOC: it needs <annotation> with <filename>"),
        ("<annotation>", "is not XML: no element|is not XML: unclosed"),
        (XML.format("a", 9, 9, ""), "holds no box"),
        ("<!--" + "x" * voc_format.MAX_XML_BYTES + "-->", "is longer than 1048576 bytes"),
    ],
)
def test_wrong_voc(voc, text, message):
    with pytest.raises(AnnotationError, match=message):
        read(voc(text))


LAUGHS = '<!DOCTYPE a [<!ENTITY l0 "lol">{}]><annotation><filename>&l9;</filename></annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY l9 SYSTEM "file:///etc/passwd">]><annotation>&l9;</annotation>'


@pytest.mark.fault
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        LAUGHS.format("".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))),
        OUTSIDE,
    ],
)
def test_entities_are_refused(voc, text, encoding):
    folder = voc("")
    (folder / "0.xml").write_bytes(text.encode(encoding))
    with pytest.raises(AnnotationError, match=r"0\.xml: it has a document type"):
        read(folder)


# --- what may be meant otherwise ---------------------------------------------------------------

LINE = "image,x1,y1,x2,y2\na.png,2,1,5,5\n"


@pytest.mark.parametrize(
    "content",
    [
        LINE.replace(",", ";").encode(),
        LINE.replace(",", "\t").encode(),
        LINE.replace(",", ";").replace("5;5", "5,0;5,0").encode(),
        LINE.encode("utf-8-sig"),
        LINE.encode("utf-16"),
        LINE.encode("utf-16-le"),
        LINE.replace("\n", "\r\n").encode(),
        LINE.replace("5\n", "5,,\n").replace("y2\n", "y2,,\n").encode(),
        LINE.replace("image,x1,y1,x2,y2", "Image,X1,Y1,X2,Y2").encode(),
        b'image,x1,y1,x2,y2,note\na.png,2,1,5,5,"a;b;c;d;e;f\ng"\n',
        LINE.replace("a.png", "./a.png").encode(),
    ],
)
def test_csv_as_programs_write_it(tmp_path, content):
    (tmp_path / "boxes.csv").write_bytes(content)
    table = read(tmp_path / "boxes.csv")
    assert table[["image", *annotations.CORNERS]].to_numpy().tolist() == [["a.png", 2, 1, 5, 5]]
    assert table.attrs["read_as"] == "x1, y1, x2, y2: edges in pixels, from 0"
    assert table.attrs["remarks"] == []


@pytest.fixture
def images(tmp_path):
    """A folder of files by name; sizes are 60×40 where they are looked at."""
    for name in ("a.png", "b.png", "sub/c d.png", unicodedata.normalize("NFC", "é.png")):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (60, 40)).save(tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("./a.png", "a.png"),
        ("sub//c d.png", "sub/c d.png"),
        (r"sub\c d.png", "sub/c d.png"),
        (r".\sub\c d.png", "sub/c d.png"),
        ("sub/c%20d.png", "sub/c d.png"),
        (unicodedata.normalize("NFD", "é.png"), unicodedata.normalize("NFC", "é.png")),
        ("absent.png", "absent.png"),
    ],
)
def test_names_that_are_written_in_another_way_find_their_file(csv_file, images, written, file):
    path = csv_file(f"image,x1,y1,x2,y2\n{written},0,0,9,9\n")
    assert read(path, images=images)["image"].tolist() == [file]
    if file != "absent.png":
        path = csv_file(f"image,x1,y1,x2,y2\n{written},0,0,9,9\n{file},0,0,5,5\n")
        with pytest.raises(AnnotationError, match=r"line 3: .* has a second box .*line 2"):
            read(path, images=images)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"C:\data\images\a.png", "a.png"),
        ("/home/me/images/sub/c d.png", "sub/c d.png"),
        ("../images/a.png", "a.png"),
    ],
)
def test_a_path_of_another_machine_is_refused_with_the_file_that_may_be_meant(
    csv_file, images, written, meant
):
    path = csv_file(f"image,x1,y1,x2,y2\n{written},0,0,9,9\n")
    with pytest.raises(AnnotationError, match=rf"within the folder .* There is '{meant}': did you"):
        read(path, images=images)


def test_fractions_are_refused_or_asked_for(csv_file, tmp_path, images):
    path = csv_file("image,x1,y1,x2,y2\na.png,0.25,0.5,0.75,1\nb.png,0,0,1,0.5\n")
    with pytest.raises(AnnotationError, match=r"line 2: x1, y1, x2, y2 of a\.png are 0\.25, 0\.5"):
        read(path)
    table = read(path, images=images, coordinates="fractions")
    assert table[annotations.CORNERS].to_numpy().tolist() == [[15, 20, 45, 40], [0, 0, 60, 20]]
    with pytest.raises(AnnotationError, match=r"the size of a\.png is unknown, .*images="):
        read(path, coordinates="fractions")
    whole = csv_file("image,x1,y1,x2,y2\na.png,0,0,1,1\n")
    with pytest.raises(AnnotationError, match=r"the corners of all boxes lie within 0\.\.1"):
        read(whole)
    some = csv_file("image,x1,y1,x2,y2\na.png,0,0,30,20\nb.png,0.1,0.1,0.5,0.5\n")
    with pytest.raises(AnnotationError, match=r"line 3: x1, y1, x2, y2 of b\.png are 0\.1"):
        read(some)
    with pytest.raises(AnnotationError, match=r"of a\.png are 0, 0, 30, 20, but fractions .*edges"):
        read(some, images=images, coordinates="fractions")
    with_ids = csv_file("ImageID,x1,y1,x2,y2\na,1,1,30,20\n")  # Unlike those of OpenImages.
    assert read(with_ids, images=images)["x2"].tolist() == [30]
    bbox = [{"image_id": 7, "bbox": [0.1, 0.25, 0.5, 0.5]}]
    with pytest.raises(AnnotationError, match=r"--coordinates fractions"):
        read(coco(tmp_path, annotations=bbox))
    table = read(tmp_path / "coco.json", coordinates="fractions")
    assert table[annotations.CORNERS].to_numpy().tolist() == [[2, 4, 12, 12]]


@pytest.mark.parametrize(
    ("coordinates", "corners"),
    [
        ("auto", [2, 1, 5, 5]),
        ("edges", [3, 2, 5, 5]),
        ("pixels-from-1", [2, 1, 5, 5]),
        ("pixels-from-0", [3, 2, 6, 6]),
    ],
)
def test_coordinates(csv_file, voc, coordinates, corners):
    table = read(csv_file("image,xmin,ymin,xmax,ymax\na,3,2,5,5\n"), coordinates=coordinates)
    assert table[annotations.CORNERS].to_numpy().tolist() == [corners]
    folder = voc(XML.format("a", 20, 16, OBJECT.format("cup", 2, 3, 5, 5)))
    assert read(folder, coordinates=coordinates)[annotations.CORNERS].to_numpy().tolist() == [
        corners
    ]
    with pytest.raises(ValueError, match=r"coordinates must be one of auto, edges, .*got 'xyxy'"):
        read(folder, coordinates="xyxy")


def test_sizes_may_have_a_decimal_comma_like_corners(csv_file):
    table = read(csv_file("image;width;height;x1;y1;x2;y2\na.png;10,0;8,0;1,5;1;4;5\n"))
    assert table.loc[0, [*annotations.CORNERS, "width", "height"]].tolist() == [1.5, 1, 4, 5, 10, 8]


def test_pixels_with_decimals_are_told_or_refused(csv_file, voc):
    table = read(csv_file("image,xmin,ymin,xmax,ymax\na,3.0,2.0,5.0,5.0\nb,1,1,2,2\n"))
    assert table["x1"].tolist() == [2, 0]
    (remark,) = table.attrs["remarks"]
    assert "1 boxes are written with decimals" in remark
    assert "--coordinates edges" in remark
    folder = voc(XML.format("a", 20, 16, OBJECT.format("cup", "2.5", 3, 5, 5)))
    with pytest.raises(
        AnnotationError, match=r"ymin of a is 2\.5, but first .* whole numbers.*edges"
    ):
        read(folder)


def test_coco_that_holds_corners(tmp_path):
    def one(bbox, **more):
        return coco(tmp_path, annotations=[{"image_id": 7, "bbox": bbox, **more}])

    with pytest.raises(AnnotationError, match=r"area of 1 annotations fits .*read as x1, y1"):
        read(one([2, 1, 12, 9], area=80))
    with pytest.raises(
        AnnotationError, match=r"bbox of a\.png, .* is inside .* only if read as x1, y1"
    ):
        read(one([10, 8, 19, 15]))
    # Areas of outlines are others, and one of many may fit by chance.
    shapes = [{"image_id": 7, "bbox": [2, 1, 12, 9], "area": area} for area in (80, 60, 70, 90)]
    assert len(read(coco(tmp_path, annotations=shapes), several="largest")) == 1
    assert read(one([2, 1, 12, 9], area=math.nan)).attrs["remarks"] == []
    with pytest.raises(AnnotationError, match="no image in the list images"):
        read(coco(tmp_path, images=None))
    table = read(one([10, 8, 19, 15]), coordinates="edges")
    assert table[annotations.CORNERS].to_numpy().tolist() == [[10, 8, 19, 15]]
    assert read(one([2, 1, 12, 9], area=108)).attrs["remarks"] == []
    assert "nothing in the file tells" in read(one([2, 1, 12, 9])).attrs["read_as"]
    assert "nothing in the file tells" not in read(one([12, 9, 2, 1])).attrs["read_as"]
    (remark,) = read(one([12, 9, 2, 1], area=500)).attrs["remarks"]
    assert "larger than width times height" in remark
    with pytest.raises(AnnotationError, match="'pixels-from-1' does not apply to COCO"):
        read(one([2, 1, 12, 9]), coordinates="pixels-from-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"image_id": "7"},
        {"image_id": 7.0},
        {"category_id": "1"},
        {"bbox": ["2", "1", "3", "4"]},
        {"iscrowd": "0"},
        {"iscrowd": None},
        {"iscrowd": 0.0},
        {"iscrowd": math.nan},
        {"area": "12"},
    ],
)
def test_coco_with_numbers_as_text(tmp_path, changes):
    annotation = {"image_id": 7, "bbox": [2, 1, 3, 4], "category_id": 1} | changes
    table = read(coco(tmp_path, annotations=[annotation]), label="cup")
    assert table[annotations.CORNERS].to_numpy().tolist() == [[2, 1, 5, 5]]


def test_objects_that_are_passed_over_are_counted_by_reason(tmp_path, voc):
    objects = [
        {"image_id": 3, "bbox": [0, 0, 1, 1], "category_id": 2, "iscrowd": "1"},
        {"image_id": 3, "bbox": [0, 0, 1, 1], "category_id": 2},
        {"image_id": 3, "bbox": [0, 0, 1, 1], "category_id": 9},
        {"image_id": 7, "bbox": [0, 0, 5, 5], "category_id": 4},
    ]
    categories = [{"id": 2, "name": "Cup"}, {"id": 4, "name": "cup "}]
    table = read(coco(tmp_path, annotations=objects, categories=categories), label=" cup")
    assert table["label"].tolist() == ["cup"]
    assert table.attrs["passed_over"] == {
        "crowds (iscrowd)": ["sub/b.png"],
        "objects of the label 'Cup'": ["sub/b.png"],
        "objects without a label": ["sub/b.png"],
    }
    empty = voc(XML.format("a", 9, 9, ""), XML.format("b", 9, 9, OBJECT.format("x", 1, 1, 3, 3)))
    assert read(empty).attrs["passed_over"] == {"photographs without an object in their XML": ["a"]}


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_boxes_that_cvat_has_turned_are_skipped(tmp_path, voc, form):
    """Their corners are those before the turn, and the angle is an attribute."""

    def read_with(angle):
        more = {"attributes": {"occluded": False, "rotation": angle}}
        boxes = [{"image_id": 7, "bbox": [2, 1, 3, 4], "category_id": 1}]
        boxes += [{"image_id": 3, "bbox": [1, 1, 4, 4], "category_id": 2} | more]
        if form == "coco":
            return read(coco(tmp_path, annotations=boxes))
        attribute = f"<attribute><name>rotation</name><value>{angle}</value></attribute>"
        turned = OBJECT.format("dog", 2, 2, 5, 5).replace(
            "</object>", "<attributes>{}</attributes></object>"
        )
        texts = [
            XML.format("a.png", 20, 16, OBJECT.format("cup", 2, 3, 5, 5)),
            XML.format("sub/b.png", 10, 8, turned.format(attribute)),
        ]
        return read(voc(*texts))

    table = read_with(30.0)
    assert table["image"].tolist() == ["a.png"]
    assert table.attrs["passed_over"] == {"turned boxes": ["sub/b.png"]}


@pytest.mark.parametrize("angle", [0.0, 360, "", None, "left", math.nan])
def test_boxes_at_no_angle_are_upright(tmp_path, angle):
    more = {"attributes": {"rotation": angle}}
    boxes = [{"image_id": 3, "bbox": [1, 1, 4, 4], "category_id": 2} | more]
    assert read(coco(tmp_path, annotations=boxes))["x2"].tolist() == [5]


def test_a_size_of_0_is_not_known(tmp_path, voc):
    folder = voc(XML.format("a", 0, "0", OBJECT.format("x", 1, 1, 3, 3)))
    assert read(folder)[["width", "height"]].isna().all(axis=None)
    images = [{"id": 7, "file_name": "a.png", "width": 0, "height": "0"}]
    boxes = [{"image_id": 7, "bbox": [2, 1, 3, 4]}]
    assert read(coco(tmp_path, images=images, annotations=boxes))["width"].isna().all()


def test_two_files_of_one_photograph(voc):
    texts = [XML.format("a", 9, 9, OBJECT.format("x", 1, 1, n, n)) for n in (3, 5)]
    folder = voc(*texts)
    for several in ("error", "largest"):
        with pytest.raises(
            AnnotationError, match=r"1\.xml and .*0\.xml refer to the same photograph, a"
        ):
            read(folder, several=several)


def test_voc_in_folders_below_and_what_macos_leaves(tmp_path, images):
    for name in ("a.png", "c d.png"):
        text = XML.format(name, 60, 40, OBJECT.format("x", 1, 1, 3, 3))
        path = tmp_path / "voc" / ("sub" if name == "c d.png" else "") / "one.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "voc" / "._one.xml").write_bytes(b"\0\5\x16\7")
    assert sorted(read(tmp_path / "voc", images=images)["image"]) == ["a.png", "sub/c d.png"]


def test_a_column_that_says_the_part(csv_file, tmp_path):
    path = csv_file("image,x1,y1,x2,y2,Part\na,0,0,2,2,train\nb,0,0,2,2,val\n")
    assert read(path, split="part")["split"].tolist() == ["train", "val"]
    with pytest.raises(
        AnnotationError, match=r"has no column 'set' with the part of each image.*part"
    ):
        read(path, split="set")
    with pytest.raises(AnnotationError, match=r"only be named for a CSV file; give three lists"):
        read(coco(tmp_path), split="part")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_coco_with_ids_that_are_no_numbers(tmp_path, number):
    box = {"bbox": [2, 1, 3, 4], "image_id": 7}
    table = read(coco(tmp_path, annotations=[box | {"category_id": number}]))
    assert table["label"].isna().tolist() == [True]
    with pytest.raises(AnnotationError, match=f"image_id is {number}, but no image"):
        read(coco(tmp_path, annotations=[box | {"image_id": number}]))


def test_lines_of_separators_alone_are_no_boxes(csv_file):
    table = read(csv_file("image,x1,y1,x2,y2\na.png,1,2,3,4\n,,,,\n , ,,,,,\n"))
    assert table["image"].tolist() == ["a.png"]


@pytest.mark.parametrize("name", ["folder", "boxes.tsv", "boxes.json"])
def test_what_is_not_there_is_said_to_be_missing(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read(tmp_path / name)
