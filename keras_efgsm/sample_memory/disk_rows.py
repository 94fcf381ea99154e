"""Rows of an array that is larger than memory, in a scratch file that is read ahead."""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_efgsm.checks import check_count
from keras_efgsm.sample_memory.room import format_bytes

# Bytes of one piece when the whole is read or written in order.
_CHUNK = 64 << 20


class DiskRows:
    """Rows `(num_rows, ...)` on disk, zero at first; a read gives what was last written.

    Training reads a batch's rows, which `stage` has brought into memory while the step before ran,
    and writes them back, which a thread puts on the disk while the next one runs. Reads and writes
    name their place in the file: of a memory map, every page that was touched would count as memory
    of the process. What the system caches of the file besides, it gives up when memory is needed.

    The file has no name and is gone with the process, whatever ends it: the truth of a run that is
    continued is its checkpoint.

    Args:
        shape: `(num_rows, ...)`.
        dtype: type of the values.
        directory: where the file lies; on a disk, not in a file system held in memory. Defaults to
            `/var/tmp`, or where that is missing the system's folder for temporary files.
        memory_limit: bytes of rows that may be in memory, read ahead or waiting to be written; a
            single batch is always let through. Defaults to 256 MB.

    Raises:
        ValueError: if the shape is not one of positive whole numbers.
        OSError: if the folder cannot be written or has too little room. A read, write or stage
            raises it for what went wrong in the background before.

    Example:

    ```python
    rows = DiskRows((1000, 32, 32, 3), "int8")
    rows.stage([3, 1])
    batch = rows.read([3, 1])
    rows.write([3, 1], batch + 1)
    ```
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: str,
        directory: str | Path | None = None,
        memory_limit: int | None = None,
    ):
        self.shape = tuple(check_count(size, "shape") for size in shape)
        self.dtype = np.dtype(dtype)
        self.directory = Path(directory or default_directory())
        self.memory_limit = check_count(
            256_000_000 if memory_limit is None else memory_limit, "memory_limit"
        )
        self._row_bytes = int(np.prod(self.shape[1:], dtype="int64")) * self.dtype.itemsize
        self._file = self._make_file()
        self._number = self._file.fileno()
        self._free = weakref.finalize(self, self._file.close)
        # Guards all below; it tells when room was made for what is to be written.
        self._state = threading.Condition()
        self._unwritten: dict[int, np.ndarray] = {}
        self._unwritten_bytes = 0
        self._staged: dict[int, np.ndarray] = {}
        # Which request is bringing a row in; a write takes the row out, as what comes is old then.
        self._coming: dict[int, Future] = {}
        self._error: BaseException | None = None
        self._reader = ThreadPoolExecutor(1, "disk-rows-read")
        self._writer = ThreadPoolExecutor(1, "disk-rows-write")

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes."""
        return self.shape[0] * self._row_bytes

    def _make_file(self):
        received = f"Received: directory={str(self.directory)!r}"
        try:
            free = shutil.disk_usage(self.directory).free
            file = tempfile.TemporaryFile(dir=self.directory, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OSError(
                error.errno, f"The store on disk needs a folder it can write ({error}). {received}"
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

    def stage(self, ids: Iterable[int]) -> None:
        """Begins to read these rows, which will be asked for soon, and returns.

        Rows for which there is no room within `memory_limit` are left on the disk.
        """
        ids = self._check_ids(ids)
        with self._state:
            self._check_health()
            room = self.memory_limit // 2 // self._row_bytes - len(self._staged) - len(self._coming)
            known = (self._unwritten, self._staged, self._coming)
            wanted = [i for i in dict.fromkeys(ids.tolist()) if not any(i in d for d in known)]
            wanted = wanted[: max(0, room)]
            if not wanted:
                return
            request: Future = Future()
            self._coming.update(dict.fromkeys(wanted, request))
            self._reader.submit(self._bring, wanted, request)

    def _bring(self, ids: list[int], request: Future) -> None:
        with self._watched():
            # One array for each row, so that one that stays does not hold its batch in memory.
            rows = self._read_single(ids)
            with self._state:
                for i, row in zip(ids, rows, strict=True):
                    if self._coming.get(i) is request:
                        self._staged[i] = row
        with self._state:
            for i in ids:
                if self._coming.get(i) is request:
                    del self._coming[i]
        request.set_result(None)

    def read(self, ids: Iterable[int]) -> np.ndarray:
        """Rows `(len(ids), ...)`, as they were last written."""
        ids = self._check_ids(ids)
        rows = np.empty((len(ids), *self.shape[1:]), self.dtype)
        left = list(enumerate(ids.tolist()))
        while left:
            found, missing, waiting, requests = [], [], [], set()
            with self._state:
                self._check_health()
                for k, i in left:
                    if i in self._unwritten:
                        found.append((k, self._unwritten[i]))
                    elif i in self._staged:
                        found.append((k, self._staged[i]))
                    elif i in self._coming:
                        waiting.append((k, i))
                        requests.add(self._coming[i])
                    else:
                        missing.append((k, i))
                for _, i in left:
                    self._staged.pop(i, None)
            for k, row in found:
                rows[k] = row
            if len(missing) == len(rows):
                self._read_into(ids, rows)
            elif missing:
                for (k, _), row in zip(
                    missing, self._read_single([i for _, i in missing]), strict=True
                ):
                    rows[k] = row
            for request in requests:
                request.result()
            left = waiting
        return rows

    def write(self, ids: Iterable[int], rows: np.ndarray) -> None:
        """Replaces these rows; returns before they are on the disk."""
        ids = self._check_ids(ids)
        # A copy: a caller's array may live no longer than the call.
        rows = np.array(rows, self.dtype, order="C").reshape((len(ids), *self.shape[1:]))
        views = list(rows)
        with self._state:
            while self._unwritten and self._unwritten_bytes + rows.nbytes > self.memory_limit // 2:
                self._check_health()
                self._state.wait()
            self._check_health()
            self._unwritten_bytes += rows.nbytes
            for i, row in zip(ids.tolist(), views, strict=True):
                self._unwritten[i] = row
                self._staged.pop(i, None)
                self._coming.pop(i, None)
            self._writer.submit(self._put, ids, rows, views)

    def _put(self, ids: np.ndarray, rows: np.ndarray, views: list[np.ndarray]) -> None:
        with self._watched():
            self._write_from(ids, rows)
            with self._state:
                for i, row in zip(ids.tolist(), views, strict=True):
                    # Not what was written since.
                    if self._unwritten.get(i) is row:
                        del self._unwritten[i]
        with self._state:
            self._unwritten_bytes -= rows.nbytes
            self._state.notify_all()

    def flush(self) -> None:
        """Waits until all that was written is in the file."""
        self._writer.submit(lambda: None).result()
        with self._state:
            self._check_health()

    def chunks(self) -> Iterator[np.ndarray]:
        """All rows in order, in pieces `(n, ...)` that fit in memory."""
        self.flush()
        for first, count in self._pieces():
            rows = np.empty((count, *self.shape[1:]), self.dtype)
            self._read_into(np.arange(first, first + count), rows)
            yield rows

    def assign_chunks(self, chunks: Iterable[np.ndarray]) -> None:
        """Replaces all rows by pieces `(n, ...)` in their order.

        Raises:
            ValueError: if they are not `num_rows` rows together.
        """
        self._forget()
        first = 0
        for rows in chunks:
            rows = np.asarray(rows)
            if rows.shape[1:] != self.shape[1:] or first + len(rows) > self.shape[0]:
                raise self._not_all_rows(f"rows {first} to {first + len(rows)} of {rows.shape[1:]}")
            rows = np.ascontiguousarray(rows, self.dtype)
            self._write_from(np.arange(first, first + len(rows)), rows)
            first += len(rows)
        if first != self.shape[0]:
            raise self._not_all_rows(f"{first} rows")

    def _not_all_rows(self, received: str) -> ValueError:
        return ValueError(
            f"The pieces must be {self.shape[0]} rows of shape {self.shape[1:]} together. "
            f"Received: {received}"
        )

    def clear(self) -> None:
        """Makes all rows zero."""
        self.flush()
        # In the reader's own thread, so that nothing is read ahead meanwhile.
        self._reader.submit(self._reserve, self._number).result()
        self._forget()

    def drop_cached_pages(self) -> None:
        """Has the system give up what it caches of the file, so that reads come from the disk."""
        self.flush()
        os.fsync(self._number)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._number, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Gives the file's room on disk back; it happens too when the object is let go."""
        for pool in (self._reader, self._writer):
            pool.shutdown()
        self._free()

    def _forget(self) -> None:
        """Drops what was read ahead, after all that is under way has ended."""
        self.flush()
        with self._state:
            self._coming.clear()
        self._reader.submit(lambda: None).result()
        with self._state:
            self._staged.clear()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Keeps what goes wrong in a thread for the next call."""
        try:
            yield
        except BaseException as error:
            with self._state:
                self._error = self._error or error

    def check(self) -> None:
        """Raises the `OSError` of what went wrong in the background, if something did."""
        with self._state:
            self._check_health()

    def _check_health(self) -> None:
        if self._error is not None:
            raise OSError(
                getattr(self._error, "errno", None) or errno.EIO,
                f"The store on disk failed ({self._error}); continue from the last checkpoint when "
                f"the disk is right. Received: directory={str(self.directory)!r}",
            ) from self._error
        if self._file.closed:
            raise ValueError(
                f"The store on disk is closed. Received: directory={str(self.directory)!r}"
            )

    def _check_ids(self, ids: Iterable[int]) -> np.ndarray:
        ids = np.asarray(ids, "int64").reshape(-1)
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.shape[0]:
            raise IndexError(
                f"The ids must lie in [0, {self.shape[0]}). "
                f"Received: ids from {ids.min()} to {ids.max()}"
            )
        return ids

    def _pieces(self) -> Iterator[tuple[int, int]]:
        count = max(1, _CHUNK // self._row_bytes)
        for first in range(0, self.shape[0], count):
            yield first, min(count, self.shape[0] - first)

    def _read_single(self, ids: list[int]) -> list[np.ndarray]:
        if hasattr(os, "posix_fadvise"):
            # All at once, as a disk serves many requests in the time of one.
            for i in ids:
                os.posix_fadvise(
                    self._number, i * self._row_bytes, self._row_bytes, os.POSIX_FADV_WILLNEED
                )
        rows = [np.empty(self.shape[1:], self.dtype) for _ in ids]
        for i, row in zip(ids, rows, strict=True):
            self._transfer(os.preadv, i, row)
        return rows

    def _read_into(self, ids: np.ndarray, rows: np.ndarray) -> None:
        if hasattr(os, "posix_fadvise"):
            for first, last in _runs(ids):
                start, count = int(ids[first]) * self._row_bytes, (last - first) * self._row_bytes
                os.posix_fadvise(self._number, start, count, os.POSIX_FADV_WILLNEED)
        for first, last in _runs(ids):
            self._transfer(os.preadv, int(ids[first]), rows[first:last])

    def _write_from(self, ids: np.ndarray, rows: np.ndarray) -> None:
        for first, last in _runs(ids):
            self._transfer(os.pwritev, int(ids[first]), rows[first:last])

    def _transfer(self, transfer, first: int, rows: np.ndarray) -> None:
        """Reads or writes rows that follow each other in the file."""
        values = memoryview(rows.reshape(-1).view("uint8"))
        start, done = first * self._row_bytes, 0
        while done < len(values):
            count = transfer(self._number, [values[done:]], start + done)
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
