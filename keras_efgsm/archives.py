"""What a zip archive of arrays holds, by its headers: nothing is unpacked to find out."""

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, NamedTuple

import numpy as np

from keras_efgsm.limits import check_is_file, check_unpacked

DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    IndexError,
    MemoryError,
    RecursionError,
    RuntimeError,  # an encrypted member; NotImplementedError, of another way of packing
    SyntaxError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What damaged archives and arrays make of their readers."""


class ArrayHeader(NamedTuple):
    """The header of one array.

    Attributes:
        shape: its shape.
        dtype: its type, never one of Python's own objects.
    """

    shape: tuple[int, ...]
    dtype: np.dtype


def read_array_header(file: IO[bytes], size: int) -> ArrayHeader:
    """Reads the header of an array in NumPy's format, and checks it against the bytes there are.

    Args:
        file: at its beginning; stands at the first value afterwards.
        size: bytes of the file.

    Raises:
        ValueError: if it holds Python's own objects, which would run code, or not as many bytes as
            its shape asks for.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    # It is text in the syntax of Python, whose reader lets through errors of its own.
    except Exception as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__}: {error})") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, whose reading runs code, in place of numbers")
    wanted = dtype.itemsize
    for side in shape:
        wanted *= side
    if wanted != size - file.tell():
        raise ValueError(
            f"an array of shape {shape} and type {dtype} has {wanted} bytes, and here are "
            f"{size - file.tell()}"
        )
    return ArrayHeader(shape, dtype)


def check_archive(archive: zipfile.ZipFile, packed: int, received: str) -> None:
    """Refuses an archive that unpacks to far more than its size, see `check_unpacked`.

    Args:
        archive: opened for reading.
        packed: bytes of its file.
        received: what was given, for the error.

    Raises:
        TooLarge: a `ValueError`, if it does.
    """
    check_unpacked(sum(member.file_size for member in archive.infolist()), packed, received)


def read_array_headers(source: str | os.PathLike[str] | IO[bytes]) -> Mapping[str, ArrayHeader]:
    """Reads the headers of all arrays of an `.npz` file.

    Args:
        source: the file, or its path.

    Returns:
        Header by name of the array.

    Raises:
        TooLarge: a `ValueError`, if it unpacks to too much.
        ValueError: if a header is not as it must be. What a damaged file makes of its readers goes
            through, see `DAMAGE`.

    Example:

    ```python
    np.savez("a.npz", x=np.zeros((2, 3)))
    read_array_headers("a.npz")["x"].shape  # (2, 3)
    ```
    """
    is_path = isinstance(source, (str, os.PathLike))
    received = f"path={os.fspath(source)!r}" if is_path else "content"  # type: ignore[arg-type]  # a path
    if is_path:
        check_is_file(source)  # type: ignore[arg-type]  # a path
    with zipfile.ZipFile(source) as archive:
        assert archive.fp is not None  # it is open
        check_archive(archive, archive.fp.seek(0, os.SEEK_END), received)
        headers: dict[str, ArrayHeader] = {}
        for member in archive.infolist():
            with archive.open(member) as file:
                header = read_array_header(file, member.file_size)
            headers[member.filename.removesuffix(".npy")] = header
    return headers
