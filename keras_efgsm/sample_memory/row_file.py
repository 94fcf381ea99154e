"""A scratch file of rows of one shape, without a name, gone with its process."""

import errno
import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.records.wording import size as format_bytes

# Bytes of one piece when the whole is read or written in order.
_CHUNK = 64 << 20


class RowFile:
    """Rows `(num_rows, ...)` in a file without a name, zero at first; reads and writes wait.

    Reads and writes name their place in the file: of a memory map, every page that was touched
    would count as memory of the process. What the system caches of the file besides, it gives up
    when memory is needed.

    Args:
        shape: `(num_rows, ...)`.
        dtype: type of the values.
        directory: folder of the file.

    Raises:
        OSError: if the folder cannot be written or has too little room.

    Example:

    ```python
    file = RowFile((1000, 32, 32, 3), np.dtype("int8"), Path("."))
    file.write_from(np.array([3, 1]), np.ones((2, 32, 32, 3), "int8"))
    ```
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, directory: Path):
        self.shape = shape
        self.dtype = dtype
        self.row_bytes = int(np.prod(shape[1:], dtype="int64")) * dtype.itemsize
        self._file = self._make(directory)
        self.number = self._file.fileno()
        self.close = weakref.finalize(self, self._file.close)

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes."""
        return self.shape[0] * self.row_bytes

    @property
    def closed(self) -> bool:
        """Whether its room on disk was given back."""
        return self._file.closed

    def _make(self, directory: Path) -> io.FileIO:
        received = f"Received: directory={str(directory)!r}"
        try:
            free = shutil.disk_usage(directory).free
            file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OSError(
                error.errno,
                f"The store on disk needs a folder it can write ({error.strerror}). {received}",
            ) from error
        try:
            if self.nbytes > free:
                raise OSError(errno.ENOSPC, "too little room")
            self._reserve(file.fileno())
        except OSError as error:
            file.close()
            raise OSError(
                error.errno,
                f"The store on disk takes {format_bytes(self.nbytes)}, more than the "
                f"{format_bytes(free)} there are; give another folder or make room. {received}",
            ) from error
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        return file

    def _reserve(self, number: int) -> None:
        """Zeros, with the room on disk set aside: a disk that fills later does not end training."""
        os.ftruncate(number, 0)
        os.ftruncate(number, self.nbytes)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(number, 0, self.nbytes)

    def clear(self) -> None:
        """Makes all rows zero."""
        self._reserve(self.number)

    def drop_cached_pages(self) -> None:
        """Has the system give up what it caches of the file, so that reads come from the disk."""
        os.fsync(self.number)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.number, 0, 0, os.POSIX_FADV_DONTNEED)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """First row and number of rows of each piece in which the whole is read in order."""
        count = max(1, _CHUNK // self.row_bytes)
        for first in range(0, self.shape[0], count):
            yield first, min(count, self.shape[0] - first)

    def read_single(self, ids: list[int]) -> list[np.ndarray]:
        """These rows, each in an array of its own."""
        if hasattr(os, "posix_fadvise"):
            # All at once, as a disk serves many requests in the time of one.
            for i in ids:
                os.posix_fadvise(
                    self.number, i * self.row_bytes, self.row_bytes, os.POSIX_FADV_WILLNEED
                )
        rows = [np.empty(self.shape[1:], self.dtype) for _ in ids]
        for i, row in zip(ids, rows, strict=True):
            self.transfer_rows(os.preadv, i, row)
        return rows

    def read_into(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Reads these rows into an array `(len(ids), ...)`."""
        if hasattr(os, "posix_fadvise"):
            for first, last in _runs(ids):
                start, count = int(ids[first]) * self.row_bytes, (last - first) * self.row_bytes
                os.posix_fadvise(self.number, start, count, os.POSIX_FADV_WILLNEED)
        for first, last in _runs(ids):
            self.transfer_rows(os.preadv, int(ids[first]), rows[first:last])

    def write_from(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Writes these rows from an array `(len(ids), ...)`."""
        for first, last in _runs(ids):
            self.transfer_rows(os.pwritev, int(ids[first]), rows[first:last])

    def transfer_rows(self, transfer: Callable[..., Any], first: int, rows: np.ndarray) -> None:
        """Reads or writes rows that follow each other in the file."""
        values = memoryview(rows.reshape(-1).view("uint8").data)
        start, done = first * self.row_bytes, 0
        while done < len(values):
            count = transfer(self.number, [values[done:]], start + done)
            if not count:
                raise OSError(errno.EIO, "the file is shorter than it was made")
            done += count


def default_directory() -> str:
    """Where the file lies if no folder is given: the system's temporary folder may be in memory."""
    return "/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir()


def _runs(ids: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of positions at which the ids follow each other."""
    ends = (np.flatnonzero(np.diff(ids) != 1) + 1).tolist()
    return list(zip([0, *ends], [*ends, len(ids)], strict=True)) if len(ids) else []
