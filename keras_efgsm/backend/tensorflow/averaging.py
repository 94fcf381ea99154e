"""Running average of weights on TensorFlow."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm.typing import Tensor


class WeightAverager:
    """Running average of a list of Keras variables, exchanged with them in one compiled call each.

    Args:
        variables: the Keras variables; those that are not floating-point are left alone.
    """

    def __init__(self, variables: list[Any]):
        self._live = [v.value for v in variables if v.value.dtype.is_floating]
        self._average = [tf.Variable(v, trainable=False) for v in self._live]
        self._raw = [tf.Variable(v, trainable=False) for v in self._live]
        self._compiled_update = tf.function(self._update)

    def _update(self, momentum: Tensor) -> None:
        for average, live in zip(self._average, self._live, strict=True):
            average.assign_add((live - average) * tf.cast(1.0 - momentum, live.dtype))

    def update(self, momentum: float) -> None:
        """Moves the average towards the variables."""
        self._compiled_update(tf.constant(momentum, tf.float32))

    def put_in(self) -> None:
        """Gives the variables their averages and keeps their raw values."""
        for raw, average, live in zip(self._raw, self._average, self._live, strict=True):
            raw.assign(live)
            live.assign(average)

    def take_out(self) -> None:
        """Gives the variables their raw values back."""
        for raw, live in zip(self._raw, self._live, strict=True):
            live.assign(raw)

    def values(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Averages, and the raw values kept when these were last put in."""
        return [v.numpy() for v in self._average], [v.numpy() for v in self._raw]

    def set_values(self, averages: list[np.ndarray], raw: list[np.ndarray]) -> None:
        """Takes back what `values()` gave; no raw values where the averages are not in place."""
        for variable, value in zip(self._average, averages, strict=True):
            variable.assign(value)
        for variable, value in zip(self._raw if raw else [], raw, strict=True):
            variable.assign(value)
