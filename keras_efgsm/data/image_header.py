"""Size and channels from the header of an image file, without decoding and without TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from keras_efgsm.checks import first_words
from keras_efgsm.limits import Limits, limits

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
FORMATS = {"BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP"}
# A camera's picture of several frames (MPO) is a JPEG with more behind it.
JPEG_FORMATS = {"JPEG", "MPO"}
# The formats that an exported model takes as well, decoded by the function that it uses.
SERVED_FORMATS = {"PNG", *JPEG_FORMATS}

_ORIENTATION = 274
# The part of the default `max_pixels` that a file may have whose decoder holds each pixel several
# times, so that none takes more than 200 MB: Pillow has four of a WebP, and of a GIF or BMP what it
# makes colour of.
_SHARES = {"WEBP": 1 / 5, "GIF": 1 / 4, "BMP": 1 / 4}
# Of a progressive JPEG all coefficients are held: 4 to 6 bytes for each pixel, or 3 where colour is
# coarser by two both ways, as cameras have it.
_PROGRESSIVE, _PROGRESSIVE_COARSE = 1 / 3, 1 / 2
# Its bound is one variable of its module.
_PILLOW = threading.Lock()
_CHANNELS = {"1": 1, "L": 1, "LA": 2, "La": 2, "RGB": 3, "CMYK": 3, "YCbCr": 3, "RGBA": 4}


@dataclass(frozen=True)
class ImageHeader:
    """One image file by its header.

    Args:
        height: in pixels, as it is seen (a photograph that EXIF data turn, turned).
        width: in pixels, likewise.
        channels: 1 grey, 2 grey with alpha, 3 colour, 4 colour with alpha.
        format: Pillow's name of the file's format.
        turned: whether EXIF data turn or mirror it.
        deep: whether it is grey of 16 bits.
        unturned: whether EXIF data of a PNG would turn it, which its decoder, and most programs,
            leave out.
        animated: whether there are more frames behind the first.
        share: the part of the default `max_pixels` that it may have.
    """

    height: int
    width: int
    channels: int
    format: str
    turned: bool = False
    deep: bool = False
    unturned: bool = False
    animated: bool = False
    share: float = 1.0

    @property
    def alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return self.channels in (2, 4)


def read_header(file: Path) -> ImageHeader:
    """Reads size and channels of an image file.

    Args:
        file: the file.

    Raises:
        ValueError: if it is not an image of a format that can be read, or has too many pixels; the
            message names the file.

    Example:

    ```python
    header = read_header(Path("photographs/cat/1.jpg"))
    header.height, header.width
    ```
    """
    try:
        state = os.stat(file)
    except OSError as error:
        raise ValueError(unreadable(file, error.strerror or str(error))) from error
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(unreadable(file, "it is no file, but a pipe or a device"))
    # A file is read once in a process, for the facts and for both splits.
    header = _read_header(str(file), state.st_size, state.st_mtime_ns)
    most = limits().max_pixels
    if most == Limits().max_pixels:  # whoever gives another means it of every kind of file
        most = int(header.share * most)
    if header.height * header.width > most:
        bound = f"{most / 1e6:.0f} million" if most >= 10**6 else str(most)
        raise ValueError(
            f"an image file of this kind may have at most {bound} pixels ({header.height} x "
            f"{header.width}); make it smaller first, or raise `--max-pixels`, "
            f"`raised_limits(max_pixels=...)` in Python. Received: file={str(file)!r}"
        )
    return header


@contextlib.contextmanager
def opened_image(file: Any) -> Iterator[Image.Image]:
    """Opens an image, its header only, without the bound of Pillow's own: ours is asked instead.

    Args:
        file: path, or a binary file.

    Raises:
        OSError: if it is no image.
    """
    with _PILLOW:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = kept
    with image:
        yield image


def orientation_of(image: Image.Image) -> int:
    """Returns from 1 (upright) to 8 how a camera was held, by the EXIF data of an open image."""
    if image.format not in JPEG_FORMATS | {"WEBP"}:
        return 1
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 1


def unreadable(file: Path, reason: str) -> str:
    """Returns the message about an image file that cannot be read.

    Args:
        file: the file.
        reason: why.
    """
    return (
        f"every image file must be readable as {', '.join(SUFFIXES)}: {reason}; replace or remove "
        f"it. Received: file={str(file)!r}"
    )


@functools.lru_cache(maxsize=2**20)
def _read_header(name: str, size: int, modified: int) -> ImageHeader:
    file = Path(name)
    try:
        with opened_image(file) as image:
            return _header(image)
    except UnidentifiedImageError as error:
        reason = "the file is empty" if size == 0 else "it is no image or damaged"
        raise ValueError(unreadable(file, reason)) from error
    # Pillow lets through whatever a damaged header makes of its readers.
    except Exception as error:
        raise ValueError(unreadable(file, first_words(error))) from error


def _header(image: Image.Image) -> ImageHeader:
    width, height = image.size
    if image.format not in FORMATS:
        raise ValueError(f"its content is {image.format}, whatever its ending")
    orientation = orientation_of(image)
    if orientation >= 5:
        height, width = width, height
    mode = image.mode
    if mode == "P":
        alpha = image.format == "PNG" and "transparency" in image.info
        channels = 4 if alpha else 3
    elif mode.startswith("I"):
        channels = 1
    elif mode in _CHANNELS:
        channels = _CHANNELS[mode]
    else:
        raise ValueError(f"pixels of kind {mode!r} are not known")
    return ImageHeader(
        height,
        width,
        channels,
        image.format,
        turned=orientation > 1,
        deep=mode.startswith("I"),
        unturned=_is_unturned(image),
        animated=_is_animated(image),
        share=_share(image),
    )


def _is_unturned(image: Image.Image) -> bool:
    # Of a PNG without EXIF data in front of its pixels Pillow would decode these to look behind.
    if image.format in JPEG_FORMATS | {"WEBP"} or "exif" not in image.info:
        return False
    return image.getexif().get(_ORIENTATION, 1) in range(2, 9)


def _is_animated(image: Image.Image) -> bool:
    # The frames of a camera's picture (MPO) are other sizes and views of it.
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    # What is damaged behind the first frame is not read.
    except Exception:
        return False


def _share(image: Image.Image) -> float:
    if not image.info.get("progressive"):
        return _SHARES.get(image.format or "", 1.0)
    # Of each component its name, its samples across and down in a block, and a table.
    blocks = [across * down for _, across, down, _ in getattr(image, "layer", ())]
    coarse = bool(blocks) and sum(blocks) <= 1.5 * max(blocks)
    return _PROGRESSIVE_COARSE if coarse else _PROGRESSIVE
