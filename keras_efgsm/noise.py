"""Noise keyed by (seed, step, sample id).

The same sample draws the same noise whatever batch, replica or backend it meets it in, so a
resumed or distributed run repeats the original, to the bit on one machine.

A counter-based generator: a 32-bit integer mixer (C. Wellons' "lowbias32") hashes the key and the
number's index. Normal noise costs one hash for 64 numbers, see `Noise.normal`: a training step of a
small network is short enough for an honest logarithm and cosine of each pixel to be felt.
"""

import functools
import math

import numpy as np
from keras import ops

from keras_efgsm.typing import Tensor

_GOLDEN = 0x9E3779B9
# Each table of normal numbers has 2^11 rows of 64.
_ROW_BITS, _WIDTH = 11, 64


@functools.cache
def _normal_tables() -> np.ndarray:
    """Two tables `(2, rows, width)`, of which a row each, added, are standard normal numbers."""
    # NumPy promises that the numbers of this generator, unlike its newer ones, never change.
    half = np.random.RandomState(0).standard_normal((2, 2 ** (_ROW_BITS - 1), _WIDTH))
    # With each row its negative, and each column of the same size: no pixel is pushed one way, or
    # further than another.
    half /= np.sqrt(np.mean(half**2, axis=1, keepdims=True))
    return np.concatenate([half, -half], axis=1).astype("float32") * np.float32(math.sqrt(0.5))


def _word(value: int) -> Tensor:
    return ops.convert_to_tensor(np.uint32(value & 0xFFFFFFFF))


def seed_words(seed: int) -> tuple[np.uint32, np.uint32]:
    """The seed as `Noise` hashes it: what a compiled graph can take in its place, as tensors.

    Args:
        seed: integer >= 0.
    """
    return np.uint32((seed + _GOLDEN) & 0xFFFFFFFF), np.uint32((seed >> 32) & 0xFFFFFFFF)


def _mix(x: Tensor) -> Tensor:
    x = ops.bitwise_xor(x, ops.right_shift(x, _word(16))) * _word(0x7FEB352D)
    x = ops.bitwise_xor(x, ops.right_shift(x, _word(15))) * _word(0x846CA68B)
    return ops.bitwise_xor(x, ops.right_shift(x, _word(16)))


class Noise:
    """Draws per-sample noise that depends on the seed, the step and the sample id alone.

    Args:
        seed: integer >= 0 of the run, or its two `seed_words` as tensors.
        step: integer tensor or int: the training step, or the restart of an attack.
        ids: integer sample ids `(B,)`.

    Example:

    ```python
    noise = Noise(seed=0, step=3, ids=ops.arange(8))
    z = noise.normal((28, 28, 1))  # (8, 28, 28, 1)
    ```
    """

    def __init__(self, seed: int | tuple[Tensor, Tensor], step: Tensor, ids: Tensor):
        self.seed = seed
        self._words = seed if isinstance(seed, tuple) else seed_words(seed)
        self.step = step
        self.ids = ids

    def _bits(self, count: int, stream: int | Tensor) -> Tensor:
        """Words of 32 random bits, `count` for each sample: uint32 `(B, count)`."""
        streams = (ops.cast(stream, "uint32") + _word(1)) * _word(_GOLDEN)
        # The constants keep the key of zeros, which the mixer would leave at zero, away.
        first, second = map(ops.convert_to_tensor, self._words)
        key = _mix(first)
        key = _mix(ops.bitwise_xor(key, second + streams))
        key = _mix(ops.bitwise_xor(ops.cast(self.step, "uint32"), key))
        keys = _mix(ops.bitwise_xor(ops.cast(self.ids, "uint32"), key))
        counters = (np.arange(count, dtype=np.uint64) * _GOLDEN).astype(np.uint32)
        return _mix(keys[:, None] + ops.convert_to_tensor(counters)[None])

    def uniform(
        self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, stream: int | Tensor = 0
    ) -> Tensor:
        """Uniform noise `(B, *shape)` in [low, high); another `stream` is independent noise."""
        bits = self._bits(math.prod(shape), stream)
        values = ops.cast(ops.right_shift(bits, _word(8)), "float32") * (1.0 / 2**24)
        return ops.reshape(low + (high - low) * values, (-1, *shape))

    def normal(self, shape: tuple[int, ...], stream: int | Tensor = 0) -> Tensor:
        """Standard normal noise `(B, *shape)`.

        64 numbers at a time are the sum of a row each of two fixed tables of normal numbers, drawn
        by one hash: one of four million vectors of independent normal numbers. It is meant for the
        starts of attacks; whoever needs independence beyond that should use the framework's.

        Args:
            shape: of the noise of one sample.
            stream: another one is independent noise. Defaults to 0.
        """
        count = math.prod(shape)
        blocks = -(-count // _WIDTH)
        bits = self._bits(blocks, stream)
        first = ops.right_shift(bits, _word(32 - _ROW_BITS))
        second = ops.bitwise_and(bits, _word(2**_ROW_BITS - 1))
        one, other = (
            ops.take(table, ops.cast(row, "int32"), axis=0)
            for table, row in zip(_normal_tables(), (first, second), strict=True)
        )
        values = ops.reshape(one + other, (-1, blocks * _WIDTH))
        return ops.reshape(values[:, :count], (-1, *shape))
