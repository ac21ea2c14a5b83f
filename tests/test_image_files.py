"""Pictures: the same pixels from every format, as they are shown, or an error with the file."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from boxest.data import image_files
from boxest.data.inputs import as_array

# Each format, with what loses least, and the ways to save an EXIF orientation in it.
FORMATS = {
    "bmp": {},
    "gif": {},
    "jpg": {"quality": 95, "subsampling": 0},
    "progressive.jpg": {"quality": 95, "subsampling": 0, "progressive": True},
    "png": {},
    "ppm": {},
    "tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "deflate.tif": {"compression": "tiff_adobe_deflate"},
    "webp": {"lossless": True},
}
TURNED = [name for name in FORMATS if name not in ("bmp", "gif", "ppm")]
COLOUR = (200, 100, 50)


def upright():
    """A picture that is another one under each of the eight orientations, 24×16."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8] = COLOUR
    pixels[8:, 16:] = 255
    return pixels


def stored(pixels, orientation):
    """Return how pixels lie in a file, by the tables of EXIF."""
    turned = pixels.swapaxes(0, 1)
    return {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: turned, 6: np.rot90(pixels), 7: turned[::-1, ::-1], 8: np.rot90(pixels, -1),
    }[orientation]  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", TURNED)
def test_orientation(tmp_path, name, orientation):
    path = tmp_path / f"a.{name}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.ascontiguousarray(stored(upright(), orientation))
    Image.fromarray(pixels).save(path, exif=exif, **FORMATS[name])
    assert image_files.size(path) == (24, 16, orientation)
    assert image_files.size(path).lying == (orientation >= 5)
    read = image_files.read(path, 3, (24, 16)).astype(int)
    assert np.abs(read - upright()).max() < 12


def colour(size=(8, 6)):
    return Image.new("RGB", size, COLOUR)


def lab():
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    return ImageCms.profileToProfile(colour(), *profiles, outputMode="LAB")


def deep(level):
    """Return a PNG file of 16 bits a colour."""
    return png(np.full((6, 8, 3), level, ">u2"), 2)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, kind, *chunks, size=None):
    """Return a PNG file of 16 bits of a colour type."""
    width, height = size or pixels.shape[1::-1]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(levels, *, photometric=1, sample_format=1):
    """Return a TIFF file of grey levels, little endian and not compressed."""
    data, (height, width) = levels.tobytes(), levels.shape
    tags = {256: width, 257: height, 258: 8 * levels.itemsize, 259: 1, 262: photometric}
    tags |= {273: 8 + 2 + 12 * 10 + 4, 277: 1, 278: height, 279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def encoded(image, name, **options):
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()["." + name.split(".")[-1]], **options)
    return file.getvalue()


def netpbm(kind, greatest, level):
    width = 1 if greatest < 256 else 2
    samples = 48 * (3 if kind == "P6" else 1)
    return f"{kind}\n8 6\n{greatest}\n".encode() + level.to_bytes(width, "big") * samples


GREY16 = np.full((6, 8), 200 * 257, np.uint16)
RED = Image.new("RGB", (8, 6), (200, 0, 0))
PALETTE = colour().quantize(4)
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (8, 6), (0, 255, 0))]}
# What is in the file, and what is shown: every format with every property that the page promises.
KINDS = {
    **{f"colour.{name}": (encoded(colour(), name, **o), COLOUR) for name, o in FORMATS.items()},
    **{
        f"grey.{name}": (encoded(Image.new("L", (8, 6), 200), name, **o), (200,) * 3)
        for name, o in FORMATS.items()
    },
    **{
        f"bits.{name}": (encoded(Image.new("1", (8, 6), 1), name), (255,) * 3)
        for name in ("png", "tif", "bmp", "ppm", "gif")
    },
    **{
        f"clear.{name}": (encoded(Image.new("RGBA", (8, 6), (9, 9, 9, 0)), name, **o), (255,) * 3)
        for name, o in {"png": {}, "tif": {}, "webp": {"lossless": True}, "gif": {}}.items()
    },
    **{
        f"half.{name}": (encoded(Image.new("RGBA", (8, 6), (200, 0, 0, 128)), name, **o),
                         (227, 127, 127))
        for name, o in {"png": {}, "tif": {}, "webp": {"lossless": True}}.items()
    },
    **{
        f"palette.{name}": (encoded(PALETTE, name), COLOUR)
        for name in ("png", "gif", "tif", "bmp")
    },
    **{
        f"frames.{name}": (encoded(colour(), name, **FRAMES, **o), COLOUR)
        for name, o in {"gif": {}, "png": {}, "tif": {}, "webp": {"lossless": True}}.items()
    },
    "frames.mpo.jpg": (encoded(colour(), "mpo", **FRAMES), COLOUR),
    "hole.png": (encoded(PALETTE, "png", transparency=PALETTE.getpixel((0, 0))), (255,) * 3),
    "hole.gif": (encoded(PALETTE, "gif", transparency=PALETTE.getpixel((0, 0))), (255,) * 3),
    "grey-half.png": (encoded(Image.new("LA", (8, 6), (0, 128)), "png"), (127,) * 3),
    "cmyk.jpg": (encoded(RED.convert("CMYK"), "jpg", quality=95), (200, 0, 0)),
    "cmyk.tif": (encoded(RED.convert("CMYK"), "tif"), (200, 0, 0)),
    "ycbcr.jpeg.tif": (encoded(RED, "tif", compression="jpeg", quality=95), (200, 0, 0)),
    "lab.tif": (encoded(lab(), "tif"), COLOUR),
    "deep.png": (encoded(Image.fromarray(GREY16), "png"), (200,) * 3),
    "deep.tif": (encoded(Image.fromarray(GREY16), "tif"), (200,) * 3),
    "deep.lzw.tif": (encoded(Image.fromarray(GREY16), "tif", compression="tiff_lzw"), (200,) * 3),
    "deep-white-is-zero.tif": (tiff(65535 - GREY16, photometric=0), (200,) * 3),
    "deep-colour.png": (deep(200 * 257), (200,) * 3),
    "deep-hole.png": (png(GREY16.astype(">u2"), 0, chunk(b"tRNS", b"\xc8\xc8")), (255,) * 3),
    "deep.pgm": (netpbm("P5", 65535, 200 * 257), (200,) * 3),
    "deep.ppm": (netpbm("P6", 65535, 200 * 257), (200,) * 3),
    "twelve.pgm": (netpbm("P5", 4095, 200 * 16 + 8), (200,) * 3),
    "eight.pgm": (netpbm("P5", 255, 200), (200,) * 3),
    "white-is-zero.tif": (tiff(np.full((6, 8), 55, np.uint8), photometric=0), (200,) * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_pixels_in_every_format(tmp_path, name):
    content, shown = KINDS[name]
    (tmp_path / name).write_bytes(content)
    assert image_files.size(tmp_path / name) == (8, 6, 1)
    read = image_files.read(tmp_path / name, 3, (4, 3))
    assert (read.shape, read.dtype) == ((3, 4, 3), np.uint8)
    np.testing.assert_allclose(read, np.broadcast_to(shown, read.shape), atol=2)
    luma = np.dot(shown, [0.299, 0.587, 0.114])
    np.testing.assert_allclose(image_files.read(tmp_path / name, 1, (4, 3)), luma, atol=2.5)


def grey16(level, name="png"):
    return encoded(Image.fromarray(np.full((6, 8), level, np.uint16)), name)


@pytest.mark.parametrize(
    ("name", "content", "shown", "message"),
    [
        ("a.png", grey16(3200), 200, "no more than 12 bits: read as levels of 12 bits"),
        ("a.tif", grey16(3200, "tif"), 200, "no more than 12 bits: read as levels of 12 bits"),
        ("b.png", grey16(200), 200, "no more than 8 bits: read as levels of 8 bits"),
        ("c.png", grey16(10_000), 39, "no level above a quarter of white: it is read as dark"),
        ("d.png", deep(3200), 12, "no level above a quarter of white: it is read as dark"),
        ("e.png", png(np.full((6, 8, 2), (3200, 65535), ">u2"), 4), 12, "a quarter of white"),
    ],
)
def test_fewer_bits_in_sixteen_are_told(tmp_path, name, content, shown, message):
    (tmp_path / name).write_bytes(content)
    with pytest.warns(image_files.PictureWarning, match=rf"{name}: 16 bits hold .*{message}"):
        assert image_files.read(tmp_path / name, 1, (8, 6)).max() == shown


def test_black_is_black(tmp_path):
    (tmp_path / "a.png").write_bytes(grey16(0))
    (tmp_path / "b.png").write_bytes(deep(0))
    assert image_files.read(tmp_path / "a.png", 1, (8, 6)).max() == 0
    assert image_files.read(tmp_path / "b.png", 3, (8, 6)).max() == 0


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("F", (8, 6), 0.5), "tif"),
        encoded(Image.new("I", (8, 6), 70_000), "tif"),
        tiff(np.full((6, 8), 99, np.int16), sample_format=2),
    ],
)
def test_levels_without_a_white_are_refused(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tif: its grey levels have 32 bits or a sign"):
        image_files.read(tmp_path / "a.tif", 1, (2, 2))


def photograph():
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(np.kron(noise, np.ones((8, 8, 1), np.uint8)))


@pytest.mark.fault
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lost_a_part_is_refused_wherever_it_is(tmp_path, progressive):
    """Of which libjpeg makes up the rest, in grey, and Pillow says nothing."""
    whole = encoded(photograph(), "jpg", progressive=progressive)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole + b"what cameras leave behind the picture")
    assert image_files.read(path, 3, (8, 8)).shape == (8, 8, 3)
    for share in (0.4, 0.6, 0.8, 0.95):
        end = int(len(whole) * share)
        for content in (
            whole[:end],
            whole[:end] + b"\xff\xd9",
            whole[:end] + bytes(len(whole) - end - 2) + b"\xff\xd9",
            whole[:end] + bytes(len(whole) - end),
        ):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"a\.jpg cannot be read \(.*it is damaged"):
                image_files.read(path, 3, (8, 8))


@pytest.mark.fault
def test_a_png_with_a_wrong_checksum_is_refused(tmp_path):
    whole = bytearray(encoded(photograph(), "png", compress_level=0))
    whole[len(whole) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(whole)
    with pytest.raises(ValueError, match=r"a\.png cannot be read .*it is damaged"):
        image_files.read(tmp_path / "a.png", 3, (8, 8))


@pytest.mark.fault
def test_files_that_are_no_photographs(tmp_path):
    path = tmp_path / "a.png"
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    for content in (b"", b"GIF89a", postscript, b"x" * 99):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.png .*(is not an image|cannot be read)"):
            image_files.size(path)
    path.write_bytes(png(GREY16, 0, size=(200_000, 200_000)))
    with pytest.raises(ValueError, match=r"a\.png: it has more than 89,478,485 pixels"):
        image_files.size(path)
    with pytest.raises(FileNotFoundError):
        image_files.size(tmp_path / "absent.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="not a regular file"):
        image_files.size(tmp_path / "pipe.png")


def test_the_limit_of_pixels_is_that_of_pillow(tmp_path, monkeypatch):
    colour((20, 10)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 199)
    with pytest.raises(ValueError, match="more than 199 pixels"):
        image_files.read(tmp_path / "a.png", 1, (5, 5))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert image_files.read(tmp_path / "a.png", 1, (5, 5)).shape == (5, 5)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["png", "jpg", "gif", "tif", "webp", "bmp", "ppm"])
def test_damaged_photographs(tmp_path, name):
    """Cut off anywhere, or with any byte changed: read, or refused in words."""
    path = tmp_path / f"a.{name}"
    whole, refused = encoded(photograph().resize((40, 30)), name), 0
    step = max(1, len(whole) // 40)
    damaged = [whole[:end] for end in range(0, len(whole), step)]
    for at in range(0, len(whole), step):
        damaged += [whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :] for flip in (1, 255)]
    for content in damaged:
        path.write_bytes(content)
        try:
            assert image_files.read(path, 3, (5, 5)).shape == (5, 5, 3)
        except ValueError as error:
            if not str(error).startswith(str(path)):
                raise
            refused += 1
    assert refused > 5


def test_pictures_in_a_list_that_lie_on_their_side_are_told():
    """As from a phone: an array has no orientation, unlike the file."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = []
    for options in ({}, {"exif": exif}):
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", **options)
        pictures.append(Image.open(file).resize((4, 4)))
    with pytest.warns(
        UserWarning, match=r"1 of 2 pictures in X, first X\[1\], are displayed rotated"
    ):
        as_array(pictures)
    assert as_array([ImageOps.exif_transpose(each) for each in pictures]).shape == (2, 4, 4)
