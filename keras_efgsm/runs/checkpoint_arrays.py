"""Arrays of a checkpoint: in and out of its file, in pieces where they are larger than memory."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np

# Bytes of an array that are read at a time.
_CHUNK = 64 << 20


class Pieces(NamedTuple):
    """An array that comes in pieces along its first axis."""

    shape: tuple[int, ...]
    dtype: np.dtype
    pieces: Iterable[np.ndarray]


def write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Writes an array as a member of the archive."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def write_pieces(archive: zipfile.ZipFile, name: str, array: Pieces, digest: "Digest") -> None:
    """Writes an array that comes in pieces, and takes each into the digest."""
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for piece in array.pieces:
            content = bytes_of(piece)
            digest.update(content)
            member.write(content)


def read_pieces(member: IO[bytes]) -> Pieces:
    """The array in a member of the archive; its pieces are read while the member is open."""
    np.lib.format.read_magic(member)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
    if fortran_order or dtype.hasobject or not shape:
        raise ValueError("its momentum is in another form")
    row_bytes = int(np.prod(shape[1:], dtype="int64")) * dtype.itemsize
    rows = max(1, _CHUNK // row_bytes)

    def pieces() -> Iterator[np.ndarray]:
        for first in range(0, shape[0], rows):
            count = min(rows, shape[0] - first)
            content = member.read(count * row_bytes)
            yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
        # The end is where the CRC is checked.
        if member.read(1):
            raise ValueError("its momentum is longer than it says")

    return Pieces(shape, dtype, pieces())


def bytes_of(array: np.ndarray) -> memoryview:
    """What is hashed and written of an array."""
    return np.ascontiguousarray(array).reshape(-1).view("uint8").data


class Digest:
    """SHA-256 over arrays and what they are."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def begin(self, name: str, array: np.ndarray | Pieces) -> None:
        """Takes what an array is."""
        self._hash.update(f"{name} {array.dtype.str} {array.shape}\n".encode())

    def update(self, content: memoryview) -> None:
        """Takes some of its bytes."""
        self._hash.update(content)

    def add(self, name: str, array: np.ndarray) -> None:
        """Takes an array that is in memory."""
        self.begin(name, array)
        self.update(bytes_of(array))

    def value(self) -> np.ndarray:
        """The digest so far, 32 bytes."""
        return np.frombuffer(self._hash.digest(), dtype="uint8")
