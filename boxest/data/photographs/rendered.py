"""Render photographs of one object each, with their boxes, for trials and tests.

``python -m boxest.data.photographs.rendered FOLDER [--images 1500] [--seed 0]``

Each shows a mug, a ball or a card with its shadow on a table in front of a wall, in varying light.
They are JPEG files of several sizes, one in ten with an EXIF orientation. The command writes
FOLDER/images, and the same boxes as FOLDER/boxes.csv, FOLDER/coco.json and FOLDER/voc. The same
seed gives the same scenes.
"""

import argparse
import colorsys
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageFilter

SIZES = ((480, 360), (400, 300), (320, 426), (360, 360), (512, 288), (300, 400))


def smooth_noise(rng, size, cells):
    """Return smooth random values in -1..1 with this number of cells (across, down)."""
    width, height = size
    grid = Image.fromarray(rng.uniform(-1, 1, cells[::-1]).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def colour(rng, saturation, value):
    """Return a random colour with saturation and value in these ranges."""
    return np.array(
        colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    )


def background(rng, size):
    """Return a wall, perhaps with a picture, and a table with a grain, (height, width, 3)."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    wall = colour(rng, (0.05, 0.4), (0.5, 0.95)) * (1 - 0.25 * y[..., None])
    wall = wall * (1 + 0.04 * smooth_noise(rng, size, (9, 9))[..., None])
    if rng.random() < 0.5:
        left, top, w, h = rng.uniform([0, 0, 0.1, 0.1], [0.8, 0.3, 0.4, 0.3])
        inside = (x > left) & (x < left + w) & (y > top) & (y < top + h)
        wall = np.where(inside[..., None], 0.7 * wall + 0.3 * colour(rng, (0, 0.5), (0.3, 1)), wall)
    table = np.broadcast_to(colour(rng, (0.2, 0.6), (0.35, 0.8)), wall.shape)
    grain = smooth_noise(rng, size, (4, 60)) + 0.5 * smooth_noise(rng, size, (8, 110))
    if rng.random() < 0.3:
        grain = np.sign(np.sin(2 * np.pi * (x - 0.5) * rng.uniform(4, 12) / (0.3 + y)))
    table = table * (1 + 0.12 * grain[..., None])
    edge = rng.uniform(0.3, 0.6) + rng.uniform(-0.08, 0.08) * (x - 0.5)
    share = np.clip((y - edge) * height + 0.5, 0, 1)[..., None]
    return wall * (1 - share) + table * share


def covered(distance):
    """Return the share of each pixel inside an edge, given its distance in px, < 0 inside."""
    return np.clip(0.5 - distance, 0, 1)


def ellipse(u, v, a, b):
    """Return the share of each pixel that lies inside an ellipse."""
    return covered((np.hypot(u / a, v / b) - 1) * min(a, b))


def ball(rng, u, v, side, light):
    """Return mask and colours of a ball."""
    r = side / 2
    z = np.sqrt(np.clip(1 - (u / r) ** 2 - (v / r) ** 2, 0, 1))
    shade = np.clip(light[0] * u / r - 0.6 * v / r + 0.6 * z, 0, None)
    body = colour(rng, (0.5, 1), (0.5, 1)) * (0.25 + 0.75 * shade[..., None])
    stripe = (np.abs(v / r - 0.3 * z) < 0.15)[..., None] * (rng.random() < 0.5)
    body = np.where(stripe, 0.5 * body + 0.4, body) + 0.7 * shade[..., None] ** 24
    return ellipse(u, v, r, r), body


def mug(rng, u, v, side, light):
    """Return mask and colours of a mug: its wall, the opening and the handle."""
    a, half = side * rng.uniform(0.3, 0.42), side / 2
    flat = a * rng.uniform(0.15, 0.4)
    up, down = -half + flat, half - flat
    wall = covered(np.maximum(np.abs(u) - a, np.abs(v - (up + down) / 2) - (down - up) / 2))
    base, top = ellipse(u, v - down, a, flat), ellipse(u, v - up, a, flat)
    hand = rng.choice([-1, 1])
    thick, middle = 0.13 * side, np.hypot((u - hand * a) / 0.8, v) - 0.27 * side
    handle = covered(np.abs(middle) - thick / 2) * (hand * u > 0)
    paint = colour(rng, (0.3, 1), (0.5, 1))
    across = np.clip(u / a, -1, 1)
    shade = 0.35 + 0.65 * np.clip(0.6 + 0.5 * light[0] * across - 0.3 * across**2, 0, 1)
    body = paint * shade[..., None]
    band = (np.abs(v - rng.uniform(-0.1, 0.3) * side) < 0.08 * side)[..., None]
    body = np.where(band, body[..., ::-1], body)
    inner = ellipse(u, v - up, 0.9 * a, 0.88 * flat)[..., None]
    body = body * (1 - top[..., None]) + paint * 1.05 * top[..., None]
    body = body * (1 - inner) + paint * (0.3 + 0.25 * across[..., None] * -light[0]) * inner
    return np.maximum.reduce([wall, base, top, handle]), body


def card(rng, u, v, side, light):
    """Return mask and colours of a card, rotated about two axes and seen in perspective."""
    w, h = side / 2 * np.array([1, rng.uniform(0.55, 0.8)])
    lean, turn = rng.uniform(-0.9, 0.9, 2)
    x = np.array([np.cos(turn), 0, np.sin(turn)])
    y = np.array([-np.sin(turn) * np.sin(lean), np.cos(lean), np.cos(turn) * np.sin(lean)])
    far, normal = 2.5 * side, np.cross(x, y)
    # A pixel shows the point p·x + q·y of the card if both lie on one ray from the eye.
    ray = np.stack([u, v, np.full_like(u, far)], axis=-1)
    depth = far * normal[2] / (ray @ normal)
    point = ray * depth[..., None] - [0, 0, far]
    p, q = point @ x, point @ y
    scale = np.clip(depth, 0.2, 5)
    mask = covered(np.maximum(np.abs(p) - w, np.abs(q) - h) / scale)
    face = np.broadcast_to(colour(rng, (0, 0.9), (0.6, 1)), (*u.shape, 3))
    text = (np.sin(q / h * rng.uniform(6, 14)) > 0.4) & (np.abs(p) < 0.8 * w)
    face = np.where(text[..., None], 0.55 * face, face)
    bright = 0.75 + 0.25 * np.clip(light[0] * np.sin(turn) + np.cos(lean) * 0.5, -1, 1)
    return mask, face * bright


OBJECTS = {"mug": mug, "ball": ball, "card": card}


def scene(rng):
    """Return a photograph, the name of its object and the box (x1, y1, x2, y2) in pixels."""
    size = SIZES[rng.integers(len(SIZES))]
    width, height = size
    name = str(rng.choice(list(OBJECTS)))
    side = rng.uniform(0.2, 0.6) * min(size)
    x, y = (rng.uniform(0.75 * side, length - 0.75 * side) for length in size)
    columns, rows = np.meshgrid(np.arange(width) + 0.5 - x, np.arange(height) + 0.5 - y)
    tilt = rng.uniform(-0.35, 0.35)
    u = np.cos(tilt) * columns + np.sin(tilt) * rows
    v = np.cos(tilt) * rows - np.sin(tilt) * columns
    light = (rng.choice([-1, 1]) * rng.uniform(0.3, 0.8),)
    mask, body = OBJECTS[name](rng, u, v, side, light)
    shadow = Image.fromarray((255 * mask).astype(np.uint8))
    offset = int(-light[0] * 0.35 * side), int(0.08 * side)
    shadow = shadow.transform(size, Image.Transform.AFFINE, (1, 0, -offset[0], 0, 1, -offset[1]))
    shadow = np.asarray(shadow.filter(ImageFilter.GaussianBlur(0.09 * side))) / 255
    picture = background(rng, size) * (1 - 0.55 * shadow[..., None])
    picture = picture * (1 - mask[..., None]) + np.clip(body, 0, 1) * mask[..., None]
    lit = 1 + 0.25 * smooth_noise(rng, size, (3, 3)) + 0.3 * light[0] * columns / width
    picture = picture * rng.uniform(0.7, 1.1) * lit[..., None]
    picture = picture + rng.normal(0, rng.uniform(0.005, 0.03), picture.shape)
    seen = Image.fromarray((mask > 0.5).astype(np.uint8))
    return Image.fromarray((255 * np.clip(picture, 0, 1)).astype(np.uint8)), name, seen.getbbox()


def save(picture, path, rng):
    """Write a JPEG file; one in ten lies on its side, as from a phone."""
    exif = Image.Exif()
    if rng.random() < 0.1:
        picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
    picture.save(path, quality=int(rng.integers(70, 93)), exif=exif)


def make(folder, n_images, seed):
    """Write photographs and annotations into a folder."""
    folder = Path(folder)
    for part in ("images", "voc"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(n_images):
        rng = np.random.default_rng([seed, number])
        picture, name, box = scene(rng)
        records.append((f"{number:05d}.jpg", picture.size, name, box))
        save(picture, folder / "images" / records[-1][0], rng)
        write_voc(folder / "voc" / f"{number:05d}.xml", *records[-1])
    lines = [f"{file},{','.join(map(str, box))},{name}" for file, _, name, box in records]
    (folder / "boxes.csv").write_text("image,x1,y1,x2,y2,label\n" + "\n".join(lines) + "\n")
    write_coco(folder / "coco.json", records)


def write_coco(path, records):
    """Write the boxes as COCO."""
    names = list(OBJECTS)
    images = [
        {"id": number, "file_name": file, "width": size[0], "height": size[1]}
        for number, (file, size, _, _) in enumerate(records)
    ]
    boxes = [
        {
            "id": number,
            "image_id": number,
            "category_id": names.index(name),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for number, (_, _, name, (x1, y1, x2, y2)) in enumerate(records)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def write_voc(path, file, size, name, box):
    """Write the box of a photograph as Pascal VOC."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    sides = ElementTree.SubElement(root, "size")
    for key, value in zip(("width", "height", "depth"), (*size, 3), strict=True):
        ElementTree.SubElement(sides, key).text = str(value)
    thing = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(thing, "name").text = name
    corners = ElementTree.SubElement(thing, "bndbox")
    # Pixels are counted from 1, and the last pixel belongs to the box.
    voc = {"xmin": box[0] + 1, "ymin": box[1] + 1, "xmax": box[2], "ymax": box[3]}
    for key, value in voc.items():
        ElementTree.SubElement(corners, key).text = str(value)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where to write; must not be there")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make(options.folder, options.images, options.seed)


if __name__ == "__main__":
    main()
