"""Running average of weights on JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class WeightAverager:
    """Running average of a list of Keras variables, exchanged with them in one compiled call each.

    Args:
        variables: the Keras variables; those that are not floating-point are left alone.
    """

    def __init__(self, variables: list[Any]):
        self._variables = [v for v in variables if jnp.issubdtype(v.value.dtype, jnp.floating)]
        # Copies throughout: a training step takes the memory of the arrays that it is given.
        self._average = [jnp.copy(v.value) for v in self._variables]
        self._raw = [jnp.copy(v.value) for v in self._variables]

    def update(self, momentum: float) -> None:
        """Moves the average towards the variables."""
        self._average = _moved(self._average, [v.value for v in self._variables], momentum)

    def put_in(self) -> None:
        """Gives the variables their averages and keeps their raw values."""
        self._raw = [jnp.copy(v.value) for v in self._variables]
        self._assign(self._average)

    def take_out(self) -> None:
        """Gives the variables their raw values back."""
        self._assign(self._raw)

    def _assign(self, values: list[Any]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(jnp.copy(value))

    def values(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Averages, and the raw values kept when these were last put in."""
        return [np.array(v) for v in self._average], [np.array(v) for v in self._raw]

    def set_values(self, averages: list[np.ndarray], raw: list[np.ndarray]) -> None:
        """Takes back what `values()` gave; no raw values where the averages are not in place."""
        self._average = [jnp.asarray(value) for value in averages]
        if raw:
            self._raw = [jnp.asarray(value) for value in raw]


@jax.jit
def _moved(averages: list[Any], values: list[Any], momentum: jax.Array) -> list[Any]:
    return [
        average + (value - average) * (1.0 - momentum).astype(average.dtype)
        for average, value in zip(averages, values, strict=True)
    ]
