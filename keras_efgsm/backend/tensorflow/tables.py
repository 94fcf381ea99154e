"""Rows by sample id on TensorFlow, in a `tf.Variable` or with an object on the host."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm.distribution.replicas import outside_strategies, wait_for_local_replicas
from keras_efgsm.typing import Tensor


class SampleTable:
    """Rows of a fixed shape, one for each training sample, gathered and written by sample id.

    Args:
        shape: `(num_samples, ...)`.
        dtype: how the rows are stored.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str):
        # A raw variable in a plain object: Keras tracks neither, so no snapshot, checkpoint of
        # best weights, tuner trial or export ever copies it; and one for all replicas of this
        # process, as none writes a row of another.
        def make() -> tf.Variable:
            with tf.init_scope():
                return tf.Variable(
                    tf.zeros(shape, dtype), trainable=False, name="per_sample_momentum"
                )

        self._variable = outside_strategies(make)
        self.shape = shape

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        with tf.device(self._variable.device):
            rows = tf.gather(self._variable, ids)
        wait_for_local_replicas()
        return rows

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        with tf.device(self._variable.device):
            self._variable.scatter_update(tf.IndexedSlices(rows, ids))

    def numpy(self) -> np.ndarray:
        rows: np.ndarray = self._variable.numpy()
        return rows

    def assign(self, values: np.ndarray) -> None:
        self._variable.assign(values)


class HostTable:
    """A `SampleTable` whose rows an object on the host keeps, on disk say.

    Args:
        rows: has `shape`, `dtype`, `read(ids)`, `write(ids, rows)`, `chunks()` and
            `assign_chunks(chunks)`, see `DiskRows`.
    """

    def __init__(self, rows: Any):
        self._rows = rows

        def make() -> tf.Variable:
            with tf.init_scope(), tf.device("CPU:0"):
                return tf.Variable(0, dtype=tf.int64, trainable=False, name="calls_of_the_host")

        # Calls to the host are kept in no order of their own; changes of one variable are, from
        # step to step of a compiled loop too.
        self._calls = outside_strategies(make)

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        with tf.device(self._calls.device):
            ids = tf.convert_to_tensor(ids)
            with tf.control_dependencies([self._calls.assign_add(1)]):
                rows = tf.numpy_function(self._rows.read, [ids], tf.as_dtype(self._rows.dtype))
            rows = tf.ensure_shape(rows, [*ids.shape, *self._rows.shape[1:]])
            with tf.control_dependencies([rows]):
                self._calls.assign_add(1)
        wait_for_local_replicas()
        return rows

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        with tf.device(self._calls.device):
            with tf.control_dependencies([self._calls.assign_add(1)]):
                done = tf.numpy_function(self._put, [ids, rows], tf.int64)
            with tf.control_dependencies([done]):
                self._calls.assign_add(1)

    def _put(self, ids: np.ndarray, rows: np.ndarray) -> np.int64:
        self._rows.write(ids, rows)
        return np.int64(len(ids))

    def numpy(self) -> np.ndarray:
        return np.concatenate(list(self._rows.chunks()))

    def assign(self, values: np.ndarray) -> None:
        self._rows.assign_chunks([values])
