"""boxest.data.drawing: each option of a scene does what it says, all by seed and index."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ndtr
from scipy.stats import kstest

from boxest.boxes import sides
from boxest.data import drawing
from boxest.data.synthetic import BoxLaw, Scene, make, make_boxes, render

MIDDLE = np.array([[0.25, 0.25, 0.75, 0.75]])
GREY = {"object_level": (1, 1), "background_level": (0.5, 0.5)}
OPTIONS = {
    "noise": Scene(noise=0.2),
    "levels": Scene(object_level=(0, 1), background_level=(0, 1)),
    "blur": Scene(blur=2.5),
    "texture": Scene(texture=0.2),
    "discs": Scene(discs=4),
    "lines": Scene(lines=4),
    "rotation": Scene(rotation=40),
    "hidden": Scene(hidden=0.5),
}
ALL = Scene(
    noise=0.1, object_level=(0.5, 1), background_level=(0, 0.3), blur=1.5, texture=0.1, discs=3,
    lines=3, rotation=30, hidden=0.3,
)  # fmt: skip
# SHA-256 of the images 40..59 of 64 px with the seed 7: the same on every machine, for ever.
DIGESTS = {
    "clean": "454336cef9e2b651a452fe76eeddb0d8448a2c363484599b21fe1573c5c5ee38",
    "all": "c362a8e9732af24bf4768d5b532645eaf3ea2596e49b0494898281a69e38ff2a",
}


def many(scene, box=MIDDLE, n=200, **options):
    """Draw one box n times."""
    return render(np.repeat(np.atleast_2d(box), n, axis=0), scene=scene, **options)


def edges(image):
    """Return the bounding box of what is not black."""
    rows, columns = ndimage.find_objects((image > 0).astype(int))[0]
    return [columns.start, rows.start, columns.stop, rows.stop]


@pytest.mark.parametrize(("name", "scene"), [("clean", Scene()), ("all", ALL)])
def test_images_are_what_they_always_were(name, scene):
    images, _ = make(40, 60, seed=7, image_size=64, law=BoxLaw(max_side=60), scene=scene)
    assert hashlib.sha256(images.tobytes()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("scene", [*OPTIONS.values(), ALL], ids=[*OPTIONS, "all"])
@pytest.mark.parametrize(("start", "seed"), [(0, 0), (2**62, 2**64 - 1)])
def test_an_image_is_a_function_of_seed_and_index(scene, start, seed):
    options = {"image_size": 32, "scene": scene}
    images, boxes = make(start, start + 12, seed=seed, **options)
    for a, b in ((0, 1), (5, 9), (11, 12)):
        part, _ = make(start + a, start + b, seed=seed, **options)
        np.testing.assert_array_equal(part, images[a:b])
    np.testing.assert_array_equal(boxes, make_boxes(start, start + 12, seed=seed, image_size=32))
    drawn = render(boxes, 32, scene=scene, seed=seed, start=start)
    np.testing.assert_array_equal(drawn, images)
    others = [render(boxes, 32, scene=scene, seed=seed - 1 if seed else 1, start=start)]
    others.append(render(boxes, 32, scene=scene, seed=seed, start=start + 1))
    for other in others if scene != OPTIONS["blur"] else ():
        assert np.mean((other != images).any(axis=(1, 2))) > 0.5


def test_what_has_no_effect_draws_the_image_of_the_paper():
    images, boxes = make(0, 50, seed=3)
    np.testing.assert_array_equal(render(boxes, scene=Scene(contrast=0.9)), images)
    np.testing.assert_array_equal(render(boxes, scene=Scene(texture_scale=9)), images)


def test_one_option_leaves_the_random_numbers_of_the_others():
    plain = many(Scene(noise=0.1, **GREY), n=5)
    lines = many(Scene(noise=0.1, lines=3, **GREY), n=5) != plain
    alone = many(Scene(lines=3, **GREY), n=5) != many(Scene(**GREY), n=5)
    assert 100 < alone.sum() < 5000
    assert not (lines & ~alone).any()


def test_noise_is_normal_and_of_its_standard_deviation():
    images = many(Scene(noise=0.1, **GREY))[:, :32].astype(float)
    assert abs(images.mean() - 128) < 0.05
    assert abs(images.std() - 25.5) < 0.1
    rng = np.random.default_rng(0)
    continuous = (images + rng.uniform(-0.5, 0.5, images.shape)).ravel()[::50]
    assert kstest(continuous, "norm", (128, 25.5)).pvalue > 1e-3
    neighbours = np.corrcoef(images[:, :, 1:].ravel(), images[:, :, :-1].ravel())[0, 1]
    other_images = np.corrcoef(images[1:].ravel(), images[:-1].ravel())[0, 1]
    assert max(abs(neighbours), abs(other_images)) < 0.005
    # Clipped: half of it is lost where the background is black.
    images = many(Scene(noise=0.1))[:, :32]
    assert abs(np.mean(images == 0) - 0.5) < 0.02
    assert abs(images.mean() - 25.5 / np.sqrt(2 * np.pi)) < 0.2


def test_levels_are_uniform_and_keep_the_contrast():
    images = many(Scene(object_level=(0.2, 1), background_level=(0, 0.6), contrast=0.3), n=3000)
    level, background = images[:, 64, 64].astype(int), images[:, 0, 0].astype(int)
    inside = many(Scene(), n=1)[0] > 0
    assert (images[:, inside] == level[:, None]).all()
    assert (images[:, ~inside] == background[:, None]).all()
    assert (background.min(), background.max()) == (0, 153)
    assert (level.min(), level.max()) == (51, 255)
    assert abs(level - background).min() == 76
    assert abs(background.mean() - 76.5) < 3 * 44.5 / np.sqrt(3000)
    # Backgrounds of 127..153 leave 1..27 of 54 levels that are darker, all others none.
    assert abs(np.mean(level < background) - 7 / 154) < 0.015


@pytest.mark.parametrize("sigma", [0.7, 2, 6.5])
def test_blurred_edges_are_gaussian(sigma):
    image = many(Scene(blur=sigma), [0, 0, 0.5, 1], n=1)[0].astype(float)
    assert (image == image[0]).all()
    at_edges = np.arange(1, 128)
    integral = 255 * ndtr((64 - np.arange(128) - 0.5) / sigma)
    if sigma > 1:
        assert abs(image[0] - integral).max() < 2
    slope = -np.diff(image[0])
    assert abs(np.average(at_edges, weights=slope) - 64) < 0.01
    width = np.sqrt(np.average((at_edges - 64) ** 2, weights=slope))
    assert abs(width - sigma) < 0.05


def test_smoothing_rounds_nothing():
    """So no order of summation and no fused multiplication can make another image."""
    noise = np.random.default_rng(0).integers(-255, 256, (40, 40)).astype(float)
    smooth = drawing._smooth(noise, 3.3, "wrap")
    weights = drawing._gaussian(3.3)
    assert weights.sum() == 1
    around = sum(w * np.roll(np.eye(40), i - len(weights) // 2, 0) for i, w in enumerate(weights))
    np.testing.assert_array_equal(around @ noise @ around.T, smooth)
    assert (smooth * 2.0**40 == np.rint(smooth * 2.0**40)).all()
    reference = ndimage.gaussian_filter(noise, 3.3, mode="wrap", truncate=14 / 3.3)
    np.testing.assert_allclose(smooth, reference, atol=2e-3)


@pytest.mark.parametrize("scale", [0.5, 3, 16])
def test_texture_has_its_deviation_and_grain_and_lies_behind_the_box(scale):
    images = many(Scene(texture=0.1, texture_scale=scale, **GREY)).astype(float)
    assert (images[:, 32:96, 32:96] == 255).all()
    texture = images[:, :32] - 128
    assert abs(texture.mean()) < 25.5 * scale / 50
    assert abs(texture.std() / 25.5 - 1) < 0.04
    if scale >= 3:
        for lag in (1, round(2 * scale)):
            r = np.mean(texture[:, :, lag:] * texture[:, :, :-lag]) / np.mean(texture**2)
            assert abs(r - np.exp(-((lag / scale) ** 2) / 4)) < 0.04


def test_discs_are_round_and_touch_neither_box_nor_rim():
    images = many(Scene(discs=1), [0.375, 0.375, 0.625, 0.625], n=300)
    areas = []
    for image in images:
        parts, n = ndimage.label(image > 0)
        assert n == 2
        (disc,) = set(np.unique(parts)) - {0, parts[64, 64]}
        assert edges((parts == parts[64, 64]).astype(int)) == [48, 48, 80, 80]
        x1, y1, x2, y2 = edges((parts == disc).astype(int))
        assert x2 - x1 == y2 - y1
        assert 8 <= x2 - x1 <= 32
        areas.append(np.mean(parts[y1:y2, x1:x2] == disc))
    assert np.mean(areas) == pytest.approx(np.pi / 4, abs=0.01)
    n = [ndimage.label(image > 0)[1] - 1 for image in many(Scene(discs=6), [0.4, 0.4, 0.6, 0.6])]
    assert max(n) == 6
    assert np.mean(n) > 4


def test_discs_are_left_out_where_there_is_no_room():
    box = [0.02, 0.02, 0.98, 0.98]
    np.testing.assert_array_equal(many(Scene(discs=100), box, 3), many(Scene(), box, 3))


def test_lines_are_thin_straight_and_anywhere():
    images = many(Scene(lines=1), [0.4, 0.4, 0.6, 0.6], n=400)
    clean = many(Scene(), [0.4, 0.4, 0.6, 0.6], n=1)[0] > 0
    lines = (images > 0) & ~clean
    assert lines.any(axis=0).mean() > 0.7
    for line in lines[lines.any(axis=(1, 2))]:
        assert not ndimage.binary_erosion(line, np.ones((3, 3))).any()
        y, x = np.nonzero(line)
        if len(x) > 20:
            _, deviations = np.linalg.svd(np.c_[x - x.mean(), y - y.mean()], full_matrices=False)[
                :2
            ]
            assert deviations[-1] / np.sqrt(len(x)) < 0.6
            length = np.hypot(np.ptp(x), np.ptp(y))
            assert len(x) < 2.2 * length + 4


def test_the_box_is_the_bounding_box_of_the_turned_rectangle():
    images, boxes = make(0, 400, seed=1, scene=Scene(rotation=44))
    pixels = boxes * 128
    apart = np.array([edges(image) for image in images]) - pixels
    assert (apart[:, :2] >= 0).all()
    assert (apart[:, 2:] <= 0).all()
    assert abs(apart).max() <= 1
    filled = np.count_nonzero(images, axis=(1, 2)) / sides(pixels).prod(axis=1)
    assert filled.min() > 0.2
    assert np.mean(filled < 0.95) > 0.7
    short = sides(pixels).min(axis=1)
    depth = [ndimage.distance_transform_edt(np.pad(image, 1)).max() for image in images]
    assert (np.array(depth) >= short / 8 - 0.5).all()


@pytest.mark.parametrize("rotation", [10, 30])
def test_a_square_is_turned_by_any_angle_up_to_the_greatest(rotation):
    """A square of a bounding box of side w has the area w² / (1 + sin 2t)."""
    images = many(Scene(rotation=rotation), n=500)
    area = np.count_nonzero(images, axis=(1, 2))
    angles = np.degrees(np.arcsin(np.clip(64**2 / area - 1, 0, 1))) / 2
    assert abs(angles.max() - rotation) < 1
    assert abs(angles.mean() - rotation / 2) < rotation / 20
    # Turned to either side: the highest corner is left or right of the middle.
    corner = np.array([np.flatnonzero(image[32]).mean() for image in images])
    assert 0.4 < np.mean(corner < 63.5) < 0.6


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_a_share_of_the_box_is_hidden_and_its_sides_stay_in_view(share):
    law = BoxLaw(min_side=20)
    images, boxes = make(0, 300, seed=2, law=law, scene=Scene(hidden=share))
    assert [edges(image) for image in images] == (boxes * 128).astype(int).tolist()
    hidden = 1 - np.count_nonzero(images, axis=(1, 2)) / sides(boxes * 128).prod(axis=1)
    assert abs(hidden - share).max() < 0.04
    assert abs(hidden.mean() - share) < 0.005
    for image, (x1, y1, x2, y2) in zip(images, (boxes * 128).astype(int), strict=True):
        gone = (image[y1:y2, x1:x2] == 0).astype(int)
        left, top, right, bottom = edges(gone)
        assert gone[top:bottom, left:right].all()
        assert right - left <= 7 / 8 * (x2 - x1) + 1
        assert bottom - top <= 7 / 8 * (y2 - y1) + 1


@pytest.mark.parametrize("scene", [*OPTIONS.values(), ALL], ids=[*OPTIONS, "all"])
@pytest.mark.parametrize("size", [1, 2, 5, 33])
def test_any_size_of_image_and_box(scene, size):
    if scene.texture and size < 33:
        with pytest.raises(ValueError, match="an eighth of the image size"):
            make(0, 1, seed=0, image_size=size, law=BoxLaw(min_side=1), scene=scene)
        return
    images, _ = make(0, 60, seed=0, image_size=size, law=BoxLaw(min_side=1), scene=scene)
    assert (images.shape, images.dtype) == ((60, size, size), np.uint8)
    # No box is hidden whole.
    assert (images.max(axis=(1, 2)) > images.min(axis=(1, 2))).sum() >= (size > 2) * 40


def test_what_render_refuses():
    with pytest.raises(ValueError, match=r"seed must be an integer in 0\.\."):
        render(MIDDLE, scene=ALL, seed=-1)
    with pytest.raises(TypeError, match="start must be an integer; got None"):
        render(MIDDLE, scene=ALL, start=None)
    with pytest.raises(ValueError, match="looks like pixels"):
        render(MIDDLE * 128, scene=ALL)
    assert render(np.empty((0, 4)), scene=ALL).shape == (0, 128, 128)
