"""Image files: opened with Pillow, upright, as grey levels or colours."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps

from boxest.system.files import regular

# Of the formats of Pillow, those that photographs come in. Others go to programs of their own
# (PostScript), or are pages and films.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112
_TIFF_SIZE, _TIFF_BITS, _TIFF_PHOTOMETRIC = (256, 257), 258, 262
# What libjpeg says where it makes up for lost or damaged data; Pillow passes over it in silence.
_DAMAGE = ("Corrupt JPEG data", "Premature end")
# Of 16 bits a darker picture than a quarter of white is likely one of fewer bits.
_QUARTER = 64
_DARK = (
    "16 bits hold no level above a quarter of white: it is read as dark as it is. If it is of "
    "fewer bits, save it with 8"
)
_FEWER = "16 bits hold levels of no more than {0} bits: read as levels of {0} bits"


class _KindError(ValueError):
    """A picture that is whole, and of a kind that is not read."""


class PictureWarning(UserWarning):
    """A picture was read, and its levels may be meant otherwise.

    Parameters
    ----------
    path : path-like
        The file.
    text : str
        What there is to say.
    """

    def __init__(self, path: str | os.PathLike, text: str):
        super().__init__(f"{path}: {text}")
        self.path, self.text = path, text


class Size(NamedTuple):
    """Width and height of an image as it is shown, in pixels, and its EXIF orientation, 1..8."""

    width: int
    height: int
    orientation: int

    @property
    def lying(self) -> bool:
        """Whether width and height stand the other way round in the file."""
        return self.orientation >= 5


def size(path: str | os.PathLike) -> Size:
    """Return the size of an image as it is shown. Reads the beginning of the file only.

    Parameters
    ----------
    path : path-like
        The file; of an animation, the first image counts.

    Raises
    ------
    ValueError
        If the file is no image of `FORMATS`, is damaged, or has more pixels than
        ``PIL.Image.MAX_IMAGE_PIXELS``: names the file and what to do.
    OSError
        If the file cannot be opened at all.
    """
    with _open(path) as image:
        orientation = image.getexif().get(_ORIENTATION)
        orientation = orientation if orientation in range(1, 9) else 1
        stored = image.size
        if image.format == "TIFF":  # Of which Pillow 11 and later tell the size upright.
            stored = tuple(image.tag_v2[tag] for tag in _TIFF_SIZE)
        return Size(*(stored[::-1] if orientation >= 5 else stored), orientation)


def read(path: str | os.PathLike, channels: int, resize: tuple[int, int]) -> np.ndarray:
    """Read an image, upright and resized.

    Colours become grey levels by ITU-R 601-2 luma; grey levels of 16 bits lose their lower eight,
    but where none needs more than 12 or 8 bits they are read as such; what is transparent is shown
    on white. Palettes, CMYK, Lab and the like become RGB. Resizing goes over all pixels that a new
    one covers (Pillow's bilinear filter).

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
        See `size`; and if the grey levels are of a kind that has no white (32 bits).

    Warns
    -----
    PictureWarning
        If 16 bits hold so small levels that they must be meant for fewer bits.
    """
    with _open(path, whole=True) as image:
        deep = ";16" in str(image.tile)
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            upright, remark = _eight_bits(upright, image)
        else:  # Pillow has taken the upper eight bits of colours already.
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
    """Read the levels of a mask as they are stored, upright: of a palette the indices.

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
        See `size`; and if the file is in colour.
    """
    with _open(path, whole=True) as image:
        image.load()
        values = np.asarray(ImageOps.exif_transpose(image)).astype(int)
        if values.ndim == 3:
            colours = values[..., : 1 if image.mode == "LA" else 3]
            if (colours != colours[..., :1]).any():
                raise _KindError("it is in colour, and no mask of one level for each object.")
            values = colours[..., 0]
        return values


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
    """Open an image; whatever Pillow stumbles upon is a ValueError about the file.

    ``whole`` has what Pillow would pass over checked in all of the file.
    """
    with open(path, "rb", opener=regular) as stream, warnings.catch_warnings():
        # What Pillow has to say about odd metadata is of no use to whoever converts thousands; too
        # many pixels are refused below, where it would warn.
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream, formats=FORMATS) as image:
                _check_pixels(image)
                if whole and image.format in _CHECKS:
                    _CHECKS[image.format](stream)
                yield image
        except Image.DecompressionBombError:
            raise ValueError(f"{path}: {_bomb()}") from None
        except Image.UnidentifiedImageError:
            raise ValueError(
                f"{path} is no image, is damaged, or is of another format than "
                f"{', '.join(FORMATS)}. Replace the file, or take its box out of the annotations."
            ) from None
        except MemoryError:
            raise
        except _KindError as error:
            raise ValueError(f"{path}: {error}") from None
        except Exception as error:  # Plugins raise whatever a damaged file leads them into.
            raise ValueError(
                f"{path} cannot be read ({error}): it is damaged, or no photograph. Replace the "
                "file, or take its box out of the annotations."
            ) from error


def _check_pixels(image: Image.Image) -> None:
    """Refuse images of more pixels than Pillow warns of, before they are unpacked."""
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def _bomb() -> str:
    return (
        f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels, and could be made to fill the "
        "memory. Make it smaller; if you trust it, set PIL.Image.MAX_IMAGE_PIXELS."
    )


def _check_jpeg(stream: io.BufferedReader) -> None:
    """Refuse a JPEG file of which libjpeg would make up a part, in grey mostly."""
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
    """Return grey levels of 16 bits as of 8, which Pillow would clip, and what there is to say."""
    if not image.mode.startswith("I;16") and not (
        image.mode == "I" and opened.format in ("PNG", "PPM")
    ):
        raise _KindError(
            f"its grey levels are of 32 bits or have a sign, mode {image.mode!r}, and nothing says "
            "which is white: save it with 8 or 16."
        )
    levels, tags = np.asarray(image), getattr(opened, "tag_v2", {})
    greatest, told = int(levels.max()), tags.get(_TIFF_BITS) == (12,)
    bits = 12 if told else next(bits for bits in (8, 12, 16) if greatest < 2**bits)
    grey = (levels >> (bits - 8)).astype(np.uint8)
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # White is zero, which Pillow heeds in 8 bits alone.
        grey = 255 - grey
    remark = _DARK if 0 < grey.max() < _QUARTER else None
    if bits < 16 and not told and greatest > 0:
        remark = _FEWER.format(bits)
    grey[levels == opened.info.get("transparency", -1)] = 255
    return Image.fromarray(grey), remark
