"""boxest.boxes: measures with known answers, their properties, and what is refused as a target."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxest import scorers
from boxest.boxes import MEASURES, check_boxes, ciou, diou, giou, inclusive_iou, iou, sides

A = np.array([0.0, 0.0, 0.5, 0.5])
SHIFTED = np.array([0.25, 0.25, 0.75, 0.75])
APART = np.array([0.75, 0.0, 1.0, 0.5])
NESTED = np.array([0.0, 0.0, 0.25, 0.5])
FLIPPED = np.array([0.5, 0.0, 0.25, 0.5])


@pytest.mark.parametrize(
    ("measure", "other", "value"),
    [
        # One quarter of each box is shared: 1/16 of the area 7/16.
        (iou, SHIFTED, 1 / 7),
        (iou, APART, 0),
        (iou, NESTED, 1 / 2),
        (iou, FLIPPED, 0),
        # Sides of 1.5, of which 1.25 are shared.
        (inclusive_iou, SHIFTED, 1.25**2 / (2 * 1.5**2 - 1.25**2)),
        # Sides 1.5 and 1.25 by 1.5; -0.25 + 1 by 1.5 are shared.
        (inclusive_iou, APART, 0.75 / (1.5 + 1.25 - 0.75)),
        (inclusive_iou, NESTED, 1.25 / 1.5),
        (inclusive_iou, FLIPPED, 0.75 / 1.5),
        # The enclosing square of 9/16 has 2/16 that neither box covers.
        (giou, SHIFTED, 1 / 7 - 2 / 9),
        (giou, APART, -1 / 4),
        (giou, NESTED, 1 / 2),
        (giou, FLIPPED, 0),
        (diou, SHIFTED, 1 / 7 - 2 * 0.25**2 / (2 * 0.75**2)),
        (diou, APART, -(0.625**2) / (1 + 0.5**2)),
        (diou, NESTED, 1 / 2 - 0.125**2 / 0.5),
        (diou, FLIPPED, -(0.125**2) / 0.5),
        (ciou, SHIFTED, 1 / 7 - 2 * 0.25**2 / (2 * 0.75**2)),
    ],
)
def test_known_answers(measure, other, value):
    assert measure(A, other) == pytest.approx(value, abs=1e-15)
    assert measure(other, A) == pytest.approx(value, abs=1e-15)


def test_ciou_adds_the_aspect_ratio():
    v = 4 / math.pi**2 * (math.atan(1) - math.atan(0.5)) ** 2
    alpha = v / (1 - 1 / 2 + v)
    assert ciou(A, NESTED) == pytest.approx(diou(A, NESTED) - alpha * v, abs=1e-15)


def test_inclusive_iou_is_meant_for_pixels():
    # Pixels 0..63 and 32..95 in both directions: as many pixels shared as there are.
    assert inclusive_iou([0, 0, 63, 63], [32, 32, 95, 95]) == pytest.approx(1 / 7)


def test_small_errors_hardly_count_in_inclusive_iou():
    true, predicted = [0.4, 0.4, 0.6, 0.6], [0.39, 0.39, 0.61, 0.61]
    assert iou(true, predicted) == pytest.approx((0.2 / 0.22) ** 2)
    assert inclusive_iou(true, predicted) == pytest.approx((1.2 / 1.22) ** 2)


@pytest.mark.parametrize("name", MEASURES)
def test_shapes_broadcast(name):
    measure = MEASURES[name]
    values = measure(np.stack([A, SHIFTED])[:, None], np.stack([A, APART, NESTED]))
    assert values.shape == (2, 3)
    assert values[1, 2] == measure(SHIFTED, NESTED)
    assert values.dtype == np.float64
    assert measure(np.empty((0, 4)), np.empty((0, 4))).shape == (0,)
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 4\); got \(2, 3\)"):
        measure(np.zeros((2, 3)), A)


def test_unsigned_integers_do_not_wrap_around():
    one, two = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], dtype=np.uint8)
    assert iou(one, two) == 0
    assert giou(one, two) == pytest.approx(-7 / 9)


coordinate = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.floats(-2, 2, allow_subnormal=False).map(lambda x: round(x, 6)),
)
any_box = st.tuples(coordinate, coordinate, coordinate, coordinate).map(np.array)


def make_proper(values):
    x1, y1, x2, y2 = values
    return np.array([min(x1, x2), min(y1, y2), max(x1, x2) + 0.01, max(y1, y2) + 0.01])


proper_box = any_box.map(make_proper)
LOWEST = {"iou": 0, "inclusive_iou": 0, "giou": -1, "diou": -1, "ciou": -2}


@given(a=any_box, b=any_box)
def test_any_boxes_at_all(a, b):
    values = {name: measure(a, b) for name, measure in MEASURES.items()}
    for name, value in values.items():
        assert LOWEST[name] - 1e-12 <= value <= 1 + 1e-12
        assert value == pytest.approx(MEASURES[name](b, a), abs=1e-12)
    assert values["giou"] <= values["iou"] + 1e-12
    assert values["ciou"] <= values["diou"] + 1e-12 <= values["iou"] + 2e-12


@given(box=proper_box)
def test_equal_boxes(box):
    for measure in MEASURES.values():
        assert measure(box, box) == pytest.approx(1, abs=1e-9)


@given(a=proper_box, b=proper_box, shift=st.floats(-1, 1))
def test_moving_both_boxes_changes_nothing(a, b, shift):
    for measure in MEASURES.values():
        assert measure(a + shift, b + shift) == pytest.approx(measure(a, b), abs=1e-9)


@given(a=proper_box, b=proper_box, scale=st.floats(1, 100))
def test_scaling_both_boxes_changes_nothing_but_the_inclusive_form(a, b, scale):
    for name in ("iou", "giou", "diou", "ciou"):
        measure = MEASURES[name]
        assert measure(a * scale, b * scale) == pytest.approx(measure(a, b), abs=1e-9)


@given(a=proper_box, b=any_box)
def test_flipped_boxes_have_no_area(a, b):
    x1, y1, x2, y2 = b
    for flipped in ([max(x1, x2), y1, min(x1, x2), y2], [x1, max(y1, y2), x2, min(y1, y2)]):
        assert iou(a, flipped) == 0


@pytest.mark.parametrize("name", ["giou", "diou"])
def test_boxes_far_apart_approach_the_lowest_value(name):
    far = A + np.array([1e4, 1e4, 1e4, 1e4])
    assert MEASURES[name](A, far) == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize("name", MEASURES)
def test_points(name):
    point = np.full(4, 0.5)
    value = MEASURES[name](point, point)
    assert value == (1 if name == "inclusive_iou" else 0)


def test_sides():
    np.testing.assert_array_equal(sides([[0, 0.25, 0.5, 1.0]]), [[0.5, 0.75]])
    np.testing.assert_array_equal(sides(A, 128), [64, 64])


def test_good_boxes_pass():
    boxes = check_boxes([[0, 0, 1, 1], [0.25, 0.5, 0.5, 0.75]])
    assert boxes.dtype == np.float64
    assert boxes.shape == (2, 4)
    assert check_boxes(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.1, 0.1, np.nan, 0.2]], r"box 1, \(0\.1, 0\.1, nan, 0\.2\), is not finite.*: 1 of 2"),
        ([[0.1, 0.1, np.inf, 0.2]], "not finite"),
        (
            [[16, 14, 121, 112]] * 3,
            r"box 1, \(16, 14, 121, 112\).*divide by the image size.*3 of 4",
        ),
        (
            np.float32([[0.1, 0.1, 1.0000005, 1]]),
            r"box 1, \(0\.1, 0\.1, 1\.0000005, 1\), lies outside 0\.\.1: clip it to the image",
        ),
        ([[-0.1, 0.1, 0.2, 0.2]], r"\(-0\.1, 0\.1, 0\.2, 0\.2\), lies outside 0\.\.1: clip"),
        ([[0.5, 0.1, 0.2, 0.2]], r"\(0\.5, .*is flipped"),
        ([[0.1, 0.5, 0.2, 0.2]], r"flipped.*not \(x, y, width, height\)"),
        ([[0.1, 0.1, 0.1, 0.2]], "has no area"),
        ([[0.1, 0.2, 0.3, 0.2]], "has no area"),
    ],
)
def test_bad_boxes(rows, message):
    with pytest.raises(ValueError, match=message):
        check_boxes([[0, 0, 1, 1], *rows])


@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 3, 4), ()])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"must have the shape \(n, 4\)"):
        check_boxes(np.zeros(shape))


@pytest.mark.parametrize("boxes", [[["a", "b", "c", "d"]], [[1, 2], [3]], None, {"x1": 0}])
def test_no_numbers(boxes):
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        check_boxes(boxes)


# --- tables of boxes -------------------------------------------------------------------------

CORNERS = np.array([[0.1, 0.2, 0.3, 0.5], [0.0, 0.25, 1.0, 0.75]])


@pytest.mark.parametrize(
    "names",
    [
        ("x1", "y1", "x2", "y2"),
        ("xmin", "ymin", "xmax", "ymax"),
        ("XMin", "YMin", "XMax", "YMax"),
        ("bbox_x_min", "bbox_y_min", "bbox_x_max", "bbox_y_max"),
        ("x0", "y0", "x1", "y1"),
        ("left", "top", "right", "bottom"),
    ],
)
def test_names_of_corners_count_and_not_their_order(names):
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [0, 2, 1, 3]):
        table = pd.DataFrame(CORNERS[:, order], columns=[names[i] for i in order])
        assert np.array_equal(check_boxes(table), CORNERS)
        assert np.array_equal(check_boxes(table.to_records(index=False)), CORNERS)
        assert scorers.mean_iou(CORNERS, table) == 1


@pytest.mark.parametrize(
    "names", [("x", "y", "w", "h"), ("x", "y", "width", "height"), ("cx", "cy", "w", "h")]
)
def test_a_place_and_a_size_are_no_corners(names):
    with pytest.raises(ValueError, match=r"a position and a size.*x \+ width, y \+ height"):
        check_boxes(pd.DataFrame(CORNERS, columns=names))


def test_corners_among_other_columns_are_to_be_chosen():
    table = pd.DataFrame(CORNERS, columns=["x1", "y1", "x2", "y2"]).assign(label="cat")
    with pytest.raises(ValueError, match=r"'label'\]: give only the four corners"):
        check_boxes(table)


def test_columns_without_such_names_count_as_they_stand():
    assert np.array_equal(check_boxes(pd.DataFrame(CORNERS)), CORNERS)
    with pytest.warns(UserWarning, match=r"\['a', 'b', 'c', 'd'\], which are taken as x1, y1"):
        assert np.array_equal(check_boxes(pd.DataFrame(CORNERS, columns=[*"abcd"])), CORNERS)


def test_masked_boxes_are_refused():
    with pytest.raises(ValueError, match="masked values"):
        check_boxes(np.ma.masked_less(CORNERS, 0.2))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "sample_weight"),
        ([[1.0], [2.0]], "1D array or scalar"),
        ([1.0, -1.0], "[Nn]egative"),
        ([0.0, 0.0], "is 0 for all examples|at least one non-zero"),
        ([1.0, np.nan], "NaN"),
        (np.ma.masked_less([1.0, -1.0], 0), "sample_weight has masked values"),
    ],
)
def test_weights_of_scores_are_checked(weights, message):
    for score in (scorers.mean_iou, scorers.share_above):
        with pytest.raises(ValueError, match=message):
            score(CORNERS, CORNERS, sample_weight=weights)
