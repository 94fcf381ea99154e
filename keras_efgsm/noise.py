"""Noise keyed by (seed, step, sample id).

The same sample draws the same noise whatever batch, replica or backend it meets it in, so a
resumed or distributed run repeats the original. Uniform noise is the same to the bit, normal noise
up to the last one, as vectorised sines round differently.

A counter-based generator: a 32-bit integer mixer (C. Wellons' "lowbias32") hashes the key and the
pixel's index. It is no slower than the framework's own stateless normal on a CPU.
"""

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

_GOLDEN = 0x9E3779B9


def _word(value: int) -> Tensor:
    return ops.convert_to_tensor(np.uint32(value & 0xFFFFFFFF))


def _mix(x: Tensor) -> Tensor:
    x = ops.bitwise_xor(x, ops.right_shift(x, _word(16))) * _word(0x7FEB352D)
    x = ops.bitwise_xor(x, ops.right_shift(x, _word(15))) * _word(0x846CA68B)
    return ops.bitwise_xor(x, ops.right_shift(x, _word(16)))


class Noise:
    """Draws per-sample noise that depends on the seed, the step and the sample id alone.

    Args:
        seed: integer >= 0 of the run.
        step: integer tensor or int: the training step, or the restart of an attack.
        ids: integer sample ids `(B,)`.

    Example:

    ```python
    noise = Noise(seed=0, step=3, ids=ops.arange(8))
    z = noise.normal((28, 28, 1))  # (8, 28, 28, 1)
    ```
    """

    def __init__(self, seed: int, step: Tensor, ids: Tensor):
        self.seed = seed
        self.step = step
        self.ids = ids

    def _uniform(self, first: int, count: int, stream: int | Tensor) -> Tensor:
        """Numbers `first` to `first + count` of each sample, `(B, count)`, uniform in [0, 1)."""
        streams = (ops.cast(stream, "uint32") + _word(1)) * _word(_GOLDEN)
        # The constants keep the key of zeros, which the mixer would leave at zero, away.
        key = _mix(_word(self.seed + _GOLDEN))
        key = _mix(ops.bitwise_xor(key, _word(self.seed >> 32) + streams))
        key = _mix(ops.bitwise_xor(ops.cast(self.step, "uint32"), key))
        keys = _mix(ops.bitwise_xor(ops.cast(self.ids, "uint32"), key))
        counters = (np.arange(first, first + count, dtype=np.uint64) * _GOLDEN).astype(np.uint32)
        bits = _mix(keys[:, None] + ops.convert_to_tensor(counters)[None])
        return ops.cast(ops.right_shift(bits, _word(8)), "float32") * (1.0 / 2**24)

    def uniform(
        self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, stream: int | Tensor = 0
    ) -> Tensor:
        """Uniform noise `(B, *shape)` in [low, high); another `stream` is independent noise."""
        values = self._uniform(0, math.prod(shape), stream)
        return ops.reshape(low + (high - low) * values, (-1, *shape))

    def normal(self, shape: tuple[int, ...], stream: int | Tensor = 0) -> Tensor:
        """Standard normal noise `(B, *shape)` (Box-Muller, two values from two uniforms)."""
        count = math.prod(shape)
        half = (count + 1) // 2
        # 2^-25 keeps the logarithm finite; the largest value possible is 5.9.
        radius = ops.sqrt(-2.0 * ops.log(self._uniform(0, half, stream) + 2.0**-25))
        angle = (2.0 * math.pi) * self._uniform(half, half, stream)
        # A sine as a shifted cosine: TensorFlow's own is several times as slow on a CPU.
        quarter = 0.5 * math.pi
        pairs = [radius * ops.cos(angle), radius * ops.cos(angle - quarter)]
        pairs = ops.concatenate(pairs, axis=-1)
        return ops.reshape(pairs[:, :count] if count % 2 else pairs, (-1, *shape))
