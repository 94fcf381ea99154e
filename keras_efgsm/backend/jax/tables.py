"""Rows by sample id on JAX, in a variable beside the state or with an object on the host."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.experimental import io_callback

from keras_efgsm.typing import Tensor


class SampleTable:
    """Rows of a fixed shape, one for each training sample, gathered and written by sample id.

    Args:
        shape: `(num_samples, ...)`.
        dtype: how the rows are stored.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str):
        # In a plain object, which Keras does not look into: no snapshot, checkpoint of best
        # weights, tuner trial or export ever copies it.
        self.variable = keras.Variable(
            "zeros", shape=shape, dtype=dtype, trainable=False, name="per_sample_momentum"
        )
        self.shape = shape

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        return self.variable.value.at[jnp.asarray(ids)].get(mode="clip")

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        self.variable.assign(
            self.variable.value.at[jnp.asarray(ids)].set(rows, unique_indices=True)
        )

    def numpy(self) -> np.ndarray:
        return np.array(self.variable.value)

    def assign(self, values: np.ndarray) -> None:
        self.variable.assign(values)


class HostTable:
    """A `SampleTable` whose rows an object on the host keeps, on disk say.

    Args:
        rows: has `shape`, `dtype`, `read(ids)`, `write(ids, rows)`, `chunks()` and
            `assign_chunks(chunks)`, see `DiskRows`.
    """

    def __init__(self, rows: Any):
        self._rows = rows

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        ids = jnp.asarray(ids)
        shape = (*ids.shape, *self._rows.shape[1:])
        result = jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]  # JAX gives it none
            shape, self._rows.dtype
        )
        return io_callback(self._rows.read, result, ids, ordered=True)

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        io_callback(self._rows.write, None, ids, rows, ordered=True)

    def numpy(self) -> np.ndarray:
        return np.concatenate(list(self._rows.chunks()))

    def assign(self, values: np.ndarray) -> None:
        self._rows.assign_chunks([values])
