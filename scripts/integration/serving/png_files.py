"""PNG files from arrays, by the standard library: what a client sends must need nothing else."""

import struct
import zlib

import numpy as np

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels to grey, RGB, RGBA


def encode_png(image: np.ndarray) -> bytes:
    r"""Returns an image as the bytes of a PNG file.

    Args:
        image: uint8 array `(height, width, channels)`, 1, 3 or 4 channels.

    Raises:
        ValueError: if it is no such array.

    Example:

    ```python
    encode_png(np.zeros((28, 28, 1), "uint8"))[:4]  # b"\x89PNG"
    ```
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in _COLOUR_TYPES:
        raise ValueError(
            "`image` must be a uint8 array (height, width, channels) with 1, 3 or 4 channels. "
            f"Received: image.dtype={image.dtype}, image.shape={image.shape}"
        )
    rows = image.reshape(image.shape[0], -1)
    unfiltered = np.zeros((rows.shape[0], 1), "uint8")  # one filter byte before each row
    data = zlib.compress(np.concatenate([unfiltered, rows], axis=1).tobytes())
    return png_of(*image.shape, data)


def png_of(height: int, width: int, channels: int, data: bytes) -> bytes:
    """Returns a PNG file whose header says one thing and whose data may say another.

    Args:
        height: of the header, in pixels.
        width: of the header, in pixels.
        channels: 1, 3 or 4.
        data: the compressed rows.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum
