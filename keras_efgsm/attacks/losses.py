"""The losses that attacks raise, each of logits and true classes."""

from collections.abc import Callable

import keras

from keras_efgsm import equations
from keras_efgsm.typing import Tensor

_TINY = 1e-12


def still_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether `(B,)` the logits `(B, K)` are finite and the largest is that of the true class.

    Example:

    ```python
    still_correct(keras.ops.array([[3.0, 1.0]]), keras.ops.array([1]))  # [False]
    ```
    """
    finite = keras.ops.all(keras.ops.isfinite(logits), axis=-1)
    predicted = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
    return keras.ops.logical_and(finite, predicted == keras.ops.cast(labels, "int32"))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per sample `(B,)` of integer labels.

    Example:

    ```python
    cross_entropy(keras.ops.array([[0.0, 0.0]]), keras.ops.array([0]))  # [0.693]
    ```
    """
    one_hot = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return keras.ops.categorical_crossentropy(one_hot, logits, from_logits=True)


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Carlini & Wagner's margin loss `(B,)`: the runner-up's logit minus the true one.

    Example:

    ```python
    margin_loss(keras.ops.array([[3.0, 1.0]]), keras.ops.array([0]))  # [-2.0]
    ```
    """
    return -equations.margin(logits, labels)


def dlr_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio `(B,)` of Croce & Hein: the margin loss on the logits' own scale.

    `-(z_t - max_{i != t} z_i) / (z_(1) - z_(3))`, z_(i) the i-th largest logit. Unlike the
    cross-entropy it does not change, nor its gradient's sign vanish, when all logits are scaled.

    Raises:
        ValueError: if there are fewer than 3 classes.

    Example:

    ```python
    dlr_loss(keras.ops.array([[3.0, 2.0, 1.0]]), keras.ops.array([0]))  # [-0.5]
    ```
    """
    num_classes = logits.shape[-1]
    if num_classes < 3:
        raise ValueError(
            'The loss "dlr" divides by the difference of the largest and the third logit, so the '
            'classifier must have at least 3 classes; use "ce" or "cw". '
            f"Received: num_classes={num_classes}"
        )
    largest = keras.ops.top_k(logits, 3)[0]
    return margin_loss(logits, labels) / (largest[:, 0] - largest[:, 2] + _TINY)


def targeted_dlr_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Croce & Hein's targeted difference of logits ratio `(B,)`.

    `-(z_t - z_target) / (z_(1) - (z_(3) + z_(4)) / 2)`. Of fewer than 4 classes, which have no
    fourth logit, it is the numerator alone: the margin loss towards the target.

    Args:
        logits: `(B, K)`.
        labels: true classes `(B,)`.
        targets: classes `(B,)` that the images are to be taken for.

    Example:

    ```python
    logits, labels = keras.ops.array([[4.0, 3.0, 2.0, 1.0]]), keras.ops.array([0])
    targeted_dlr_loss(logits, labels, targets=keras.ops.array([1]))  # [-0.4]
    ```
    """
    num_classes = logits.shape[-1]
    # Without a gather: its gradient would be a scatter.
    towards = keras.ops.one_hot(targets, num_classes, dtype=logits.dtype)
    away = keras.ops.one_hot(labels, num_classes, dtype=logits.dtype)
    difference = keras.ops.sum((towards - away) * logits, axis=-1)
    if num_classes < 4:
        return difference
    largest = keras.ops.top_k(logits, 4)[0]
    return difference / (largest[:, 0] - 0.5 * (largest[:, 2] + largest[:, 3]) + _TINY)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "cw": margin_loss,
    "dlr": dlr_loss,
}
"""What an attack's option `loss` chooses from."""
