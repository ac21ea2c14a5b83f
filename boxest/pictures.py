"""Image files: opened with Pillow, upright, as grey levels or colours."""

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from boxest.files import regular

# Of the formats of Pillow, those that photographs come in. Others go to programs of their own
# (PostScript), or are pages and films.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}
# EXIF orientations that swap height and width.
_LYING = (5, 6, 7, 8)
_ORIENTATION = 0x0112


def size(path: str | os.PathLike) -> tuple[int, int, bool]:
    """Return width and height of an image as it is shown, and whether that swaps those stored.

    Reads the beginning of the file only.

    Parameters
    ----------
    path : path-like
        The file; of an animation, the first image counts.

    Returns
    -------
    width, height : int
        In pixels, upright: the EXIF orientation that cameras write is applied.
    turned : bool
        Whether width and height stand the other way round in the file.

    Raises
    ------
    ValueError
        If the file is no image of `FORMATS`, is damaged, or has more pixels than
        ``PIL.Image.MAX_IMAGE_PIXELS``: names the file and what to do.
    OSError
        If the file cannot be opened at all.
    """
    with _open(path) as image:
        turned = image.getexif().get(_ORIENTATION) in _LYING
        width, height = image.size
    return (height, width, True) if turned else (width, height, False)


def read(path: str | os.PathLike, channels: int, resize: tuple[int, int]) -> np.ndarray:
    """Read an image, upright and resized.

    Colours become grey levels by ITU-R 601-2 luma; grey levels of 16 bits lose their lower eight;
    what is transparent is shown on white. Palettes, CMYK and the like become RGB. Resizing goes
    over all pixels that a new one covers (Pillow's bilinear filter).

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
    """
    with _open(path) as image:
        image.load()
        upright = _eight_bits(ImageOps.exif_transpose(image), image.format)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        return np.asarray(
            upright.convert(MODES[channels]).resize(resize, Image.Resampling.BILINEAR)
        )


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[Image.Image]:
    """Open an image; whatever Pillow stumbles upon is a ValueError about the file."""
    with open(path, "rb", opener=regular) as stream, warnings.catch_warnings():
        # What Pillow has to say about odd metadata is of no use to whoever converts thousands; too
        # many pixels are refused below, where it would warn.
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream, formats=FORMATS) as image:
                _check_pixels(image)
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


def _eight_bits(image: Image.Image, form: str | None) -> Image.Image:
    """Return grey levels of 16 bits as of 8; Pillow would clip them."""
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and form == "PNG")
    if sixteen:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its grey levels are of 32 bits, mode {image.mode!r}, and nothing says which is white:"
            " save it with 8 or 16"
        )
    return image
