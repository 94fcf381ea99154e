"""The per-sample momentum Gamma of eFGSM, kept by sample id outside the model."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from keras import ops

from keras_efgsm.backend import HostTable, SampleTable
from keras_efgsm.checks import check_choice, check_count, check_number
from keras_efgsm.records.wording import size as format_bytes
from keras_efgsm.sample_memory.disk_rows import DiskRows
from keras_efgsm.sample_memory.room import available_memory
from keras_efgsm.typing import Tensor

STORAGE_DTYPES = ("int8", "float16", "float32")
STORAGES = ("memory", "disk")


class SampleMomentum:
    """Momentum Gamma `(num_samples, H, W, C)` of equation 13, one entry per training sample.

    It is not a weight of any model: snapshots of the best weights, checkpoints of the model, tuner
    trials and exports leave it alone; a resume saves it through `chunks()` and `assign_chunks()`.

    Only the sign of Gamma enters an adversarial example, but its magnitude decides when the sign
    turns. `int8` therefore stores `sign(Gamma) * 127 * sqrt(|Gamma| / limit)`, fine near zero
    where signs turn and coarse near the limit, and never rounds a non-zero value to zero.
    `scripts/benchmark.py` prints how many signs differ from float32 and what each storage costs.

    Args:
        num_samples: number of training samples N.
        image_shape: `(H, W, C)`.
        dtype: storage, `"int8"`, `"float16"` or `"float32"`. Defaults to `"int8"`, a quarter of
            the memory of float32.
        limit: bound on |Gamma|, `1 / (1 - decay)`. Defaults to 20, for a decay of 0.95.
        memory_limit: bytes of memory it may take. Defaults to what the machine has free, and on
            disk to 256 MB for rows read ahead or waiting to be written.
        storage: `"memory"`, or `"disk"` for data sets whose momentum is larger than memory, see
            `DiskRows`; `stage_ahead` has the rows of coming batches read in time. The bits of a
            training are the same. Defaults to `"memory"`.
        directory: folder of the store on disk. Defaults to that of `DiskRows`.

    Raises:
        ValueError: if a size is not a positive whole number or the dtype or storage unknown.
        MemoryError: if it cannot fit in memory.
        OSError: if it cannot fit on disk, or the folder cannot be written.

    Example:

    ```python
    momentum = SampleMomentum(60_000, (28, 28, 1))
    ids = ops.arange(8)
    rows = momentum.gather(ids)  # float32 (B, 28, 28, 1)
    momentum.write(ids, rows)
    ```
    """

    def __init__(
        self,
        num_samples: int,
        image_shape: tuple[int, ...],
        dtype: str = "int8",
        limit: float = 20.0,
        memory_limit: int | None = None,
        *,
        storage: str = "memory",
        directory: str | Path | None = None,
    ):
        self.num_samples = check_count(num_samples, "num_samples")
        self.image_shape = tuple(check_count(size, "image_shape") for size in image_shape)
        self.dtype = check_choice(dtype, "dtype", STORAGE_DTYPES)
        self.limit = check_number(limit, "limit", minimum=1.0)
        self.storage = check_choice(storage, "storage", STORAGES)
        # Whether nothing was ever put in from outside: that of a training which begins.
        self.fresh = True
        if storage == "disk":
            self.rows = DiskRows(self.shape, dtype, directory, memory_limit)
            self.table: HostTable | SampleTable = HostTable(self.rows)
            return
        allowed = available_memory() if memory_limit is None else memory_limit
        if allowed is not None and self.nbytes > allowed:
            smaller = "" if dtype == "int8" else 'store it as "int8", '
            raise MemoryError(
                f"The momentum of {num_samples} samples of shape {self.image_shape} takes "
                f"{format_bytes(self.nbytes)} as {dtype}, more than the {format_bytes(allowed)} "
                f'there are; {smaller}keep it on "disk", train on fewer samples or use an attack '
                f"without momentum. Received: num_samples={num_samples}"
            )
        self.table = SampleTable(self.shape, dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(num_samples, H, W, C)`."""
        return (self.num_samples, *self.image_shape)

    @property
    def nbytes(self) -> int:
        """Size of the stored momentum in bytes."""
        return int(np.prod(self.shape, dtype="int64")) * np.dtype(self.dtype).itemsize

    def describe(self) -> str:
        """One line for people: shape, storage and size."""
        return (
            f"per-sample momentum: {self.num_samples} x {self.image_shape} as {self.dtype}, "
            f"{format_bytes(self.nbytes)}"
            + (f", on disk in {self.rows.directory}" if self.storage == "disk" else "")
        )

    def gather(self, ids: Tensor) -> Tensor:
        """Gamma of these samples, float32 `(B, H, W, C)`."""
        return decode(self.table.gather(ids), self.dtype, self.limit)

    def write(self, ids: Tensor, values: Tensor) -> None:
        """Stores Gamma of these samples; ids are distinct within a batch."""
        self.table.write(ids, encode(values, self.dtype, self.limit))

    def numpy(self) -> np.ndarray:
        """The stored array; for one larger than memory there is `chunks()`."""
        return self.table.numpy()

    def chunks(self) -> Iterator[np.ndarray]:
        """The stored rows in order, in pieces `(n, H, W, C)`; all in one if they are in memory."""
        if self.storage == "disk":
            yield from self.rows.chunks()
        else:
            yield self.numpy()

    def assign_chunks(self, chunks: Iterable[np.ndarray]) -> None:
        """Takes back what `chunks()` gave, in pieces of any length, of any storage.

        Raises:
            ValueError: if they are not `num_samples` rows together.
        """
        self.fresh = False
        if self.storage == "disk":
            self.rows.assign_chunks(chunks)
            return
        stored, first = np.empty(self.shape, self.dtype), 0
        for rows in chunks:
            stored[first : first + len(rows)] = rows
            first += len(rows)
        if first != self.num_samples:
            raise ValueError(
                f"The pieces must be {self.num_samples} rows together. Received: {first} rows"
            )
        self.table.assign(stored)

    def assign(self, stored: np.ndarray) -> None:
        """Takes back what `numpy()` gave.

        Raises:
            ValueError: if shape or dtype differ.
        """
        if stored.shape != self.shape or stored.dtype.name != self.dtype:
            raise ValueError(
                f"The stored momentum must have shape {self.shape} and dtype {self.dtype}. "
                f"Received: stored.shape={stored.shape}, stored.dtype={stored.dtype}"
            )
        self.fresh = False
        self.table.assign(stored)

    def reset(self) -> None:
        """Forgets Gamma: zero for every sample."""
        if self.storage == "disk":
            self.rows.clear()
        else:
            self.table.assign(np.zeros(self.shape, self.dtype))


def encode(values: Tensor, dtype: str, limit: float) -> Tensor:
    """Float32 momentum to its stored form; see `SampleMomentum`."""
    if dtype != "int8":
        return ops.cast(values, dtype)
    root = ops.sqrt(ops.abs(values) * (127.0**2 / limit))
    magnitude = ops.clip(ops.round(root), 1.0, 127.0)
    return ops.cast(ops.sign(values) * magnitude, "int8")


def decode(stored: Tensor, dtype: str, limit: float) -> Tensor:
    """Stored form to float32 momentum."""
    values = ops.cast(stored, "float32")
    if dtype != "int8":
        return values
    return values * ops.abs(values) * (limit / 127.0**2)
