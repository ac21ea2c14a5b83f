"""Pictures composed from real ones: an object is pasted where it never was, on unseen backgrounds.

python benchmarks/composed.py {faces,shapes} OUT.npz [--images 1200] [--seed 0]

Needs scikit-image, whose pictures and small faces are used beside those of scikit-learn and
matplotlib. Backgrounds, textures and faces of the parts train, validation and test are from
different pictures. OUT.npz holds X_train, y_train, X_validation and so on, 128×128×3 px.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 128
PICTURES = {
    "train": (
        "skimage/data/astronaut.png",
        "skimage/data/brick.png",
        "skimage/data/coffee.png",
        "skimage/data/coins.png",
        "skimage/data/gravel.png",
        "skimage/data/ihc.png",
        "skimage/data/page.png",
        "skimage/data/rocket.jpg",
        "sklearn/datasets/images/china.jpg",
    ),
    "validation": (
        "skimage/data/grass.png",
        "skimage/data/motorcycle_left.png",
        "sklearn/datasets/images/flower.jpg",
    ),
    "test": (
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "skimage/data/camera.png",
        "skimage/data/chelsea.png",
        "skimage/data/hubble_deep_field.jpg",
        "skimage/data/moon.png",
        "skimage/data/retina.jpg",
    ),
}
FACES = {"train": (0, 80), "validation": (80, 90), "test": (90, 100)}
N_OTHERS = 200
OVERSAMPLING = 4


def packaged(name):
    """Return the path of a file in a package, without importing the package."""
    package, rest = name.split("/", 1)
    spec = find_spec(package)
    if spec is None:
        raise SystemExit(f"{name} is needed: pip install scikit-image")
    return Path(spec.submodule_search_locations[0]) / rest


def cut(rng, pictures, least):
    """Cut a square out of a picture, at least this share of its shorter side, mirrored or not."""
    picture = pictures[rng.integers(len(pictures))]
    side = int(min(picture.size) * rng.uniform(least, 1))
    left, top = (rng.integers(0, length - side + 1) for length in picture.size)
    square = picture.resize(
        (SIZE, SIZE), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )
    return square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else square


def mask_of(width, height, draw):
    """Draw a mask, smooth at its edges; `draw` gets the drawing and its last pixels."""
    mask = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    draw(ImageDraw.Draw(mask), *(length - 1 for length in mask.size))
    return mask.resize((width, height), Image.Resampling.BOX)


def ellipse(drawing, right, bottom):
    drawing.ellipse((0, 0, right, bottom), fill=255)


def shape(rng):
    """Choose an ellipse, a rectangle, a polygon or a star, which fills its box."""
    kind = rng.choice(["ellipse", "rectangle", "polygon", "star"])
    if kind == "ellipse":
        return ellipse
    if kind == "rectangle":
        return lambda drawing, right, bottom: drawing.rectangle((0, 0, right, bottom), fill=255)
    n = int(rng.integers(3, 9))
    if kind == "polygon":
        angles, radii = np.sort(rng.uniform(0, 2 * np.pi, n)), 1.0
    else:
        angles = np.linspace(0, 2 * np.pi, 2 * n, endpoint=False) + rng.uniform(0, 6)
        radii = np.where(np.arange(2 * n) % 2, rng.uniform(0.35, 0.7), 1.0)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.reshape(radii, (-1, 1))
    corners = (corners - corners.min(axis=0)) / (np.ptp(corners, axis=0) + 1e-9)
    return lambda drawing, right, bottom: drawing.polygon(
        [tuple(corner) for corner in corners * [right, bottom]], fill=255
    )


def face(rng, faces):
    """Return a face in a colour of skin, and an elliptical mask."""
    height = int(rng.uniform(0.2, 0.6) * SIZE)
    width = int(height * rng.uniform(0.75, 1))
    colour = np.array([1, 0.8, 0.68]) * rng.uniform(0.8, 1.1, 3) * rng.uniform(0.7, 1.3)
    levels = np.clip(faces[rng.integers(len(faces))][..., None] * colour, 0, 1)
    picture = Image.fromarray((255 * levels).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.BICUBIC), mask_of(
        width, height, ellipse
    )


def cut_out(rng, pictures):
    """Return a piece of another picture, half of them in a colour, and the mask of a shape."""
    width, height = (rng.uniform(0.15, 0.6, 2) * SIZE).astype(int).tolist()
    piece = cut(rng, pictures, 0.2).crop((0, 0, width, height))
    if rng.random() < 0.5:
        coloured = 0.4 * np.asarray(piece) + rng.uniform(0, 150, 3)
        piece = Image.fromarray(coloured.astype(np.uint8))
    return piece, mask_of(width, height, shape(rng))


def compose(rng, kind, pictures, faces):
    """Return one picture and the box of its object, in units of the image."""
    picture = cut(rng, pictures, 0.25)
    piece, mask = face(rng, faces) if kind == "faces" else cut_out(rng, pictures)
    left, top = (int(rng.integers(0, SIZE - length + 1)) for length in piece.size)
    picture.paste(piece, (left, top), mask)
    seen = Image.fromarray((np.asarray(mask) > 127).astype(np.uint8)).getbbox()
    box = np.array(seen or (0, 0, *piece.size)) + [left, top, left, top]
    noisy = np.asarray(picture) + rng.normal(0, rng.uniform(1, 6), (SIZE, SIZE, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), box / SIZE


def make(kind, part, n_images, seed=0):
    """Return images (n, 128, 128, 3) and boxes of a part: "train", "validation" or "test"."""
    pictures = [Image.open(packaged(name)).convert("RGB") for name in PICTURES[part]]
    faces = np.load(packaged("skimage/data/lfw_subset.npy"))[slice(*FACES[part])]
    number = list(PICTURES).index(part)
    made = [
        compose(np.random.default_rng([seed, number, i]), kind, pictures, faces)
        for i in range(n_images)
    ]
    return np.stack([image for image, _ in made]), np.stack([box for _, box in made])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("faces", "shapes"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=1200, help="how many to train on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arrays = {}
    for part in PICTURES:
        n = options.images if part == "train" else N_OTHERS
        arrays[f"X_{part}"], arrays[f"y_{part}"] = make(options.kind, part, n, options.seed)
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
