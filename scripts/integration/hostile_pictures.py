"""Pictures that are large, or say so, in files that are small."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

_ORIENTATION = 274


def folder_with(folder: Path, name: str, content: bytes) -> None:
    """Makes a folder of three classes, of small pictures but for one."""
    for label in ("cat", "dog", "owl"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            colour = Image.new("RGB", (16, 16), (99 * number, 0, 0))
            colour.save(folder / label / f"{number}.png")
    (folder / "cat" / name).write_bytes(content)


def zeros_as_png(width: int, height: int) -> bytes:
    """A whole picture of zeros, one bit each, of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def whole(
    kind: str, side: int, *, mode: str = "RGB", turned: bool = False, **options: Any
) -> bytes:
    """A whole picture of one colour.

    Args:
        kind: Pillow's name of the format.
        side: its width and height.
        mode: Pillow's name of what its pixels are.
        turned: whether its EXIF data say that it lies on its side.
        **options: of how it is packed.
    """
    if turned:
        exif = Image.Exif()
        exif[_ORIENTATION] = 6
        options["exif"] = exif
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, kind, **options)
    return file.getvalue()


def enlarged(kind: str, width: int, height: int) -> bytes:
    """A small picture whose header says another size."""
    content = bytearray(whole(kind, 16))
    if kind == "GIF":
        for at in (6, content.index(b"\x2c") + 5):
            content[at : at + 4] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        content[18:26] = struct.pack("<ii", width, height)
    else:
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


# Ending, whether it is read as colour, and content, for which the default bound of pixels has room.
AS_LARGE_AS_MAY_BE: dict[str, tuple[str, bool, Callable[[], bytes]]] = {
    "PNG of 16 x 16": ("png", True, lambda: zeros_as_png(16, 16)),
    "PNG of 7810 x 7810": ("png", True, lambda: zeros_as_png(7810, 7810)),
    "turned JPEG of 7810 x 7810": ("jpg", True, lambda: whole("JPEG", 7810, turned=True)),
    "JPEG of 7810 x 7810 in four inks": ("jpg", False, lambda: whole("JPEG", 7810, mode="CMYK")),
    "progressive JPEG of 5522 x 5522": (
        "jpg",
        True,
        lambda: whole("JPEG", 5522, progressive=True),
    ),
    "progressive JPEG of 4509 x 4509 in fine colour": (
        "jpg",
        True,
        lambda: whole("JPEG", 4509, progressive=True, subsampling=0),
    ),
    "GIF of 3905 x 3905": ("gif", True, lambda: whole("GIF", 3905, mode="L")),
    "WebP of 3492 x 3492": ("webp", True, lambda: whole("WEBP", 3492, lossless=True, method=0)),
}
