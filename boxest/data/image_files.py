"""Read image files with Pillow, upright, as grey levels or colours."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps

from boxest.system.files import regular

# Pillow's formats for photographs. Others call external programs (PostScript), or are pages and
# films.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
# Photographs of phones and cameras that Pillow does not read by itself.
OTHER_SUFFIXES = (
    ".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".orf",
    ".raf", ".rw2",
)  # fmt: skip
MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112
_TIFF_SIZE, _TIFF_BITS, _TIFF_PHOTOMETRIC = (256, 257), 258, 262
# Messages of libjpeg when it replaces lost or damaged data, which Pillow ignores.
_DAMAGE = ("Corrupt JPEG data", "Premature end")
# A picture of 16 bits that is darker than a quarter of white probably has fewer bits.
_QUARTER = 64
_DARK = (
    "16 bits hold no level above a quarter of white: it is read as dark as it is. If it is of "
    "fewer bits, save it with 8"
)
_FEWER = "16 bits hold levels of no more than {0} bits: read as levels of {0} bits"


class _KindError(ValueError):
    """An intact picture of a kind that boxest does not read."""


class PictureWarning(UserWarning):
    """A picture was read, but its levels may have another meaning.

    Parameters
    ----------
    path : path-like
        The file.
    text : str
        The message.
    """

    def __init__(self, path: str | os.PathLike, text: str):
        super().__init__(f"{path}: {text}")
        self.path, self.text = path, text


class Size(NamedTuple):
    """Width and height of a displayed image, in pixels, and its EXIF orientation, 1..8."""

    width: int
    height: int
    orientation: int

    @property
    def lying(self) -> bool:
        """Whether width and height are exchanged in the file."""
        return self.orientation >= 5


def size(path: str | os.PathLike) -> Size:
    """Return the size of an image as it is displayed; only the beginning of the file is read.

    Parameters
    ----------
    path : path-like
        The file; of an animation, the first image counts.

    Raises
    ------
    ValueError
        If the file is not an image in `FORMATS`, is damaged, or has more pixels than
        ``PIL.Image.MAX_IMAGE_PIXELS``. The message names the file and what to do.
    OSError
        If the file cannot be opened at all.
    """
    with _open(path) as image:
        orientation = image.getexif().get(_ORIENTATION)
        orientation = orientation if orientation in range(1, 9) else 1
        stored = image.size
        if image.format == "TIFF":  # For these, Pillow 11 and later return the upright size.
            stored = tuple(image.tag_v2[tag] for tag in _TIFF_SIZE)
        return Size(*(stored[::-1] if orientation >= 5 else stored), orientation)


def read(path: str | os.PathLike, channels: int, resize: tuple[int, int]) -> np.ndarray:
    """Read an image, upright and resized.

    Colours become grey levels by ITU-R 601-2 luma. Grey levels of 16 bits lose their lower eight
    bits, unless none needs more than 12 or 8 bits; then they are read as 12 or 8 bits. Transparent
    parts are shown on white. Palettes, CMYK, Lab and so on become RGB. Resizing covers all pixels
    that a new one replaces (Pillow's bilinear filter).

    Parameters
    ----------
    path : path-like
        The file.
    channels : {1, 3}
        Grey levels or red, green and blue.
    resize : (width, height)
        In pixels.

    Returns
    -------
    ndarray of uint8, shape (height, width) or (height, width, 3)

    Raises
    ------
    ValueError, OSError
        See `size`; also if the grey levels have no defined white (32 bits).

    Warns
    -----
    PictureWarning
        If the levels are so small that they must have fewer than 16 bits.
    """
    with _open(path, whole=True) as image:
        deep = ";16" in str(image.tile)
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            upright, remark = _eight_bits(upright, image)
        else:  # For colours, Pillow has already taken the upper eight bits.
            dark = deep and 0 < np.asarray(upright.convert("RGB")).max() < _QUARTER
            remark = _DARK if dark else None
        upright = _on_white(upright)
        pixels = np.asarray(
            upright.convert(MODES[channels]).resize(resize, Image.Resampling.BILINEAR)
        )
    if remark:
        warnings.warn(PictureWarning(path, remark), stacklevel=2)
    return pixels


def levels(path: str | os.PathLike) -> np.ndarray:
    """Read the stored levels of a mask, upright; for a palette, the indices.

    Transparent pixels are 0, whichever colour the file hides below them. So is black in a palette
    that has another colour as 0.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ndarray of int, shape (height, width)

    Raises
    ------
    ValueError, OSError
        See `size`; also if the file is in colour.
    """
    with _open(path, whole=True) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
        bands = upright.getbands()
        values = np.atleast_3d(np.asarray(upright).astype(int))[..., : len(bands) - ("A" in bands)]
        if upright.mode == "P":
            values = _black_as_0(values, np.reshape(upright.getpalette("RGB"), (-1, 3)))
        # Pillow cannot convert 16 bits.
        if upright.has_transparency_data and not upright.mode.startswith("I"):
            values[np.asarray(upright.convert("RGBA"))[..., 3] == 0] = 0
        if (values != values[..., :1]).any():
            raise _KindError("it is in colour, so it is not a mask with one level per object.")
        return values[..., 0]


def _black_as_0(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return indices of colours, with black as 0 and the colour that is 0 as a free index."""
    used = [index for index in np.unique(indices).tolist() if index < len(palette)]
    black = [index for index in used if not palette[index].any()]
    if not black or not palette[0].any():
        return indices
    free = next(index for index in range(1, 257) if index not in used)
    return np.where(np.isin(indices, black), 0, np.where(indices == 0, free, indices))


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image without transparency."""
    if image.mode == "LAB":
        lab, rgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@contextlib.contextmanager
def _open(path: str | os.PathLike, *, whole: bool = False) -> Iterator[Image.Image]:
    """Open an image; any error of Pillow becomes a ValueError about the file.

    ``whole`` also checks the whole file for damage that Pillow would ignore.
    """
    with open(path, "rb", opener=regular) as stream, warnings.catch_warnings():
        # Pillow's warnings about odd metadata are useless when converting thousands of files. Too
        # many pixels, of which it also warns, are refused below.
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream, formats=FORMATS) as image:
                _check_pixels(image)
                if whole and image.format in _CHECKS:
                    _CHECKS[image.format](stream)
                yield image
        except Image.DecompressionBombError:
            raise ValueError(
                f"{path}: it has more than {Image.MAX_IMAGE_PIXELS:,} pixels, and could be made to "
                "fill the memory. Make it smaller; if you trust it, set PIL.Image.MAX_IMAGE_PIXELS."
            ) from None
        except Image.UnidentifiedImageError:
            raise ValueError(
                f"{path} is not an image, is damaged, or has another format than "
                f"{', '.join(FORMATS)}. Replace the file, or leave it and its box out."
            ) from None
        except MemoryError:
            raise
        except _KindError as error:
            raise ValueError(f"{path}: {error}") from None
        except Exception as error:  # For damaged files, plugins may raise anything.
            raise ValueError(
                f"{path} cannot be read ({error}): it is damaged, or not a photograph. Replace the "
                "file, or leave it and its box out."
            ) from error


def _check_pixels(image: Image.Image) -> None:
    """Refuse images with more pixels than Pillow's limit for warnings, before they are unpacked."""
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def _check_jpeg(stream: io.BufferedReader) -> None:
    """Refuse a JPEG file of which libjpeg would invent a part, mostly in grey."""
    import simplejpeg

    stream.seek(0)
    content = stream.read()
    for colours in ("RGB", "CMYK"):
        try:
            simplejpeg.decode_jpeg(content, colours, min_factor=8, min_height=1, min_width=1)
            return
        except ValueError as error:
            if str(error).startswith(_DAMAGE):
                raise


def _check_png(stream: io.BufferedReader) -> None:
    """Refuse a PNG file with a chunk that does not match its checksum."""
    stream.seek(0)
    with Image.open(stream, formats=("PNG",)) as image:
        image.verify()


_CHECKS = {"JPEG": _check_jpeg, "MPO": _check_jpeg, "PNG": _check_png}


def _eight_bits(image: Image.Image, opened: Image.Image) -> tuple[Image.Image, str | None]:
    """Reduce grey levels of 16 bits, which Pillow would clip, to 8; also return a warning."""
    if not image.mode.startswith("I;16") and not (
        image.mode == "I" and opened.format in ("PNG", "PPM")
    ):
        raise _KindError(
            f"its grey levels have 32 bits or a sign (mode {image.mode!r}), so it is unknown which "
            "one is white: save it with 8 or 16 bits."
        )
    levels, tags = np.asarray(image), getattr(opened, "tag_v2", {})
    greatest, told = int(levels.max()), tags.get(_TIFF_BITS) == (12,)
    bits = 12 if told else next(bits for bits in (8, 12, 16) if greatest < 2**bits)
    grey = (levels >> (bits - 8)).astype(np.uint8)
    # Here white is zero, which Pillow only respects for 8 bits.
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        grey = 255 - grey
    remark = _DARK if 0 < grey.max() < _QUARTER else None
    if bits < 16 and not told and greatest > 0:
        remark = _FEWER.format(bits)
    grey[levels == opened.info.get("transparency", -1)] = 255
    return Image.fromarray(grey), remark
