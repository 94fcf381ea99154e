"""Rows of an array that is larger than memory, in a scratch file that is read ahead."""

import contextlib
import errno
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.checks import check_count
from keras_efgsm.sample_memory.row_file import RowFile, default_directory


class DiskRows:
    """Rows `(num_rows, ...)` on disk, zero at first; a read gives what was last written.

    Training reads a batch's rows, which `stage` has brought into memory while the step before ran,
    and writes them back, which a thread puts on the disk while the next one runs.

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
        self._file = RowFile(self.shape, self.dtype, self.directory)
        # Guards all below; it tells when room was made for what is to be written.
        self._state = threading.Condition()
        self._unwritten: dict[int, np.ndarray] = {}
        self._unwritten_bytes = 0
        self._staged: dict[int, np.ndarray] = {}
        # Which request is bringing a row in; a write takes the row out, as what comes is old then.
        self._coming: dict[int, Future[Any]] = {}
        self._error: BaseException | None = None
        self._reader = ThreadPoolExecutor(1, "disk-rows-read")
        self._writer = ThreadPoolExecutor(1, "disk-rows-write")

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes."""
        return self._file.nbytes

    def stage(self, ids: Iterable[int]) -> None:
        """Begins to read these rows, which will be asked for soon, and returns.

        Rows for which there is no room within `memory_limit` are left on the disk.
        """
        ids = self._check_ids(ids)
        with self._state:
            self._check_health()
            room = (
                self.memory_limit // 2 // self._file.row_bytes
                - len(self._staged)
                - len(self._coming)
            )
            known = (self._unwritten, self._staged, self._coming)
            wanted = [i for i in dict.fromkeys(ids.tolist()) if not any(i in d for d in known)]
            wanted = wanted[: max(0, room)]
            if not wanted:
                return
            request: Future[Any] = Future()
            self._coming.update(dict.fromkeys(wanted, request))
            self._reader.submit(self._bring, wanted, request)

    def _bring(self, ids: list[int], request: Future[Any]) -> None:
        with self._watched():
            # One array for each row, so that one that stays does not hold its batch in memory.
            rows = self._file.read_single(ids)
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
                self._file.read_into(ids, rows)
            elif missing:
                for (k, _), row in zip(
                    missing, self._file.read_single([i for _, i in missing]), strict=True
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
            self._file.write_from(ids, rows)
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
        for first, count in self._file.pieces():
            rows = np.empty((count, *self.shape[1:]), self.dtype)
            self._file.read_into(np.arange(first, first + count), rows)
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
            self._file.write_from(np.arange(first, first + len(rows)), rows)
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
        self._reader.submit(self._file.clear).result()
        self._forget()

    def drop_cached_pages(self) -> None:
        """Has the system give up what it caches of the file, so that reads come from the disk."""
        self.flush()
        self._file.drop_cached_pages()

    def close(self) -> None:
        """Gives the file's room on disk back; it happens too when the object is let go."""
        for pool in (self._reader, self._writer):
            pool.shutdown()
        self._file.close()

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
