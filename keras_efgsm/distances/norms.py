"""The norms in which a distance to the decision boundary is measured."""

from keras import ops

from keras_efgsm.checks import check_choice
from keras_efgsm.typing import Tensor

NORMS = ("linf", "l2", "l1", "l0")
"""Names of the norms: largest change, Euclidean length, sum of changes, number of changes."""

# A pixel that differs by less was not changed: an image that went to 0..255 and back is rounded.
_ROUNDING = 1e-6


def norm_of(change: Tensor, norm: str) -> Tensor:
    """The norm `(B,)` of each image's change.

    Args:
        change: `(B, H, W, C)`, in pixels of [0, 1].
        norm: `"linf"`, the largest change of a value; `"l2"`, the Euclidean length; `"l1"`, the sum
            of the changes; `"l0"`, the number of pixels, of whatever channels, that changed.

    Raises:
        ValueError: if it is another norm.

    Example:

    ```python
    change = ops.array([[[[0.3], [0.0], [-0.4]]]])
    norm_of(change, "l2"), norm_of(change, "l0")  # [0.5], [2.0]
    ```
    """
    check_choice(norm, "norm", NORMS)
    size, axes = ops.abs(change), tuple(range(1, len(change.shape)))
    if norm == "linf":
        return ops.max(size, axis=axes)
    if norm == "l2":
        return ops.sqrt(ops.sum(ops.square(change), axis=axes))
    if norm == "l1":
        return ops.sum(size, axis=axes)
    is_changed = ops.any(size > _ROUNDING, axis=-1)
    return ops.sum(ops.cast(is_changed, "float32"), axis=axes[:-1])
