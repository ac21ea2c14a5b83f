"""boxest.synthetic: images and boxes as a function of seed and index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from boxest.boxes import sides
from boxest.data.synthetic import BoxLaw, make, make_boxes, render

CORNERS = BoxLaw("corners_uniform", min_side=1)


def box_of(image):
    """Read the box off an image, in pixels."""
    columns = np.flatnonzero(np.any(image, axis=0))
    rows = np.flatnonzero(np.any(image, axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_the_data_set_is_what_it_always_was():
    expected = [[16, 14, 121, 112], [30, 51, 122, 89]]
    assert (make_boxes(0, 2, seed=0) * 128).tolist() == expected
    expected = [[37, 30, 110, 95], [57, 61, 116, 80]]
    assert (make_boxes(0, 2, seed=0, law=CORNERS) * 128).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(
    start=st.one_of(st.integers(0, 3), st.integers(0, 2**63 - 201)),
    first=st.integers(0, 100),
    n=st.integers(0, 100),
    seed=st.integers(0, 2**64 - 1),
    law=st.sampled_from([BoxLaw(), CORNERS]),
)
def test_a_part_made_alone_is_the_part_of_the_whole(start, first, n, seed, law):
    whole = make_boxes(start, start + 200, seed=seed, law=law)
    part = make_boxes(start + first, start + first + n, seed=seed, law=law)
    np.testing.assert_array_equal(part, whole[first : first + n])


def test_images_show_the_boxes():
    images, boxes = make(0, 300, seed=1)
    assert images.dtype == np.uint8
    assert images.shape == (300, 128, 128)
    assert np.unique(images).tolist() == [0, 255]
    assert [box_of(image) for image in images] == [tuple(box) for box in boxes * 128]
    np.testing.assert_array_equal(
        np.count_nonzero(images, axis=(1, 2)), np.prod(sides(boxes, 128), axis=1)
    )


@pytest.mark.parametrize("size", [1, 7, 49, 100])
def test_sizes_that_do_not_divide_exactly(size):
    images, boxes = make(0, 200, seed=2, image_size=size, law=BoxLaw(min_side=1))
    for image, box in zip(images, boxes, strict=True):
        np.testing.assert_array_equal(np.array(box_of(image)) / size, box)


@pytest.mark.parametrize("law", [BoxLaw(), BoxLaw(min_side=20, max_side=100), CORNERS])
def test_boxes_keep_to_the_law(law):
    boxes = make_boxes(0, 20_000, seed=3, law=law) * 128
    side = sides(boxes)
    assert boxes.min() == 0
    assert boxes.max() == 128
    assert side.min() == law.min_side
    assert side.max() <= (law.max_side or 128)


def counts(values, low, high):
    return np.bincount(values.astype(int), minlength=high + 1)[low:]


@pytest.mark.parametrize("axis", [0, 1])
def test_sides_uniform(axis):
    boxes = make_boxes(0, 100_000, seed=4) * 128
    side, corner = sides(boxes)[:, axis], boxes[:, axis]
    assert chisquare(counts(side, 5, 128)).pvalue > 1e-3
    # Given the side, the corner is uniform in 0..128-side: its mean is half of that.
    fits = side < 128
    place = (corner[fits] + 0.5) / (129 - side[fits])
    assert abs(place.mean() - 0.5) < 4 / np.sqrt(12 * fits.sum())
    chosen = corner[side == 100]
    assert chisquare(counts(chosen, 0, 28)).pvalue > 1e-3


@pytest.mark.parametrize("axis", [0, 1])
def test_corners_uniform(axis):
    boxes = make_boxes(0, 100_000, seed=5, image_size=12, law=CORNERS) * 12
    pairs = (boxes[:, axis] * 13 + boxes[:, axis + 2]).astype(int)
    observed = np.bincount(pairs, minlength=169).reshape(13, 13)
    upper = np.triu_indices(13, k=1)
    assert observed[upper].sum() == 100_000
    assert chisquare(observed[upper]).pvalue > 1e-3


def test_width_height_and_neighbours_are_independent():
    side = sides(make_boxes(0, 100_000, seed=6))
    assert abs(np.corrcoef(side[:, 0], side[:, 1])[0, 1]) < 0.015
    assert abs(np.corrcoef(side[:-1, 0], side[1:, 0])[0, 1]) < 0.015


def test_another_seed_is_another_data_set():
    one, two = make_boxes(0, 1000, seed=0), make_boxes(0, 1000, seed=1)
    assert np.mean(np.all(one == two, axis=1)) < 0.01
    np.testing.assert_array_equal(one, make_boxes(0, 1000, seed=np.int64(0)))


def test_no_images():
    images, boxes = make(5, 5, seed=0)
    assert images.shape == (0, 128, 128)
    assert boxes.shape == (0, 4)


def test_render_refuses_what_is_no_box():
    with pytest.raises(ValueError, match="looks like pixels"):
        render([[0, 0, 64, 64]], 128)
    with pytest.raises(ValueError, match=r"box 1 covers no pixel of an image of 16 px.*: 1 of 2"):
        render([[0, 0, 1, 1], [0.5, 0.5, 0.51, 0.9]], 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, r"start must be an integer in 0\.\."),
        ({"stop": 4}, r"stop must be an integer in 5\.\..*; got 4"),
        ({"seed": -1}, r"seed must be an integer in 0\.\."),
        ({"seed": 2**64}, r"seed must be an integer in 0\.\."),
        ({"image_size": 0}, "image_size must be an integer in 1"),
        ({"image_size": 4}, r"min_side \(5\) is greater than the image size \(4\)"),
        ({"law": BoxLaw(max_side=129)}, r"max_side \(129\) is greater than the image size \(128\)"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_boxes(**{"start": 5, "stop": 10, "seed": 0, **arguments})


@pytest.mark.parametrize("seed", [None, 1.5, "1", True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match="seed must be an integer"):
        make_boxes(0, 1, seed=seed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "uniform"}, "must be one of sides_uniform, corners_uniform; got 'uniform'"),
        ({"min_side": 0}, "min_side must be an integer in 1"),
        ({"min_side": 9, "max_side": 8}, r"max_side \(8\) is less than min_side \(9\)"),
    ],
)
def test_laws_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoxLaw(**arguments)


def test_clean_images_need_no_scipy(python):
    code = "import sys\nfrom boxest import shards, synthetic\nsynthetic.make(0, 2, seed=0)\n"
    assert python(f"{code}print('scipy' in sys.modules)") == "False\n"
