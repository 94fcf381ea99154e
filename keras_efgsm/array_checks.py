"""Entry checks of arrays: images, labels, weights and ids of samples.

Every error says what was expected and ends with `Received: name=value`.
"""

import math
from typing import Any

import numpy as np


def check_images(images: Any, name: str = "images") -> None:
    """Checks a float image batch or set: rank 4, floating, finite, within [0, 1].

    Args:
        images: array `(n, height, width, channels)`.
        name: how the caller calls it in the error.

    Raises:
        ValueError: if the rank, the dtype, the range or a value is wrong; an
            integer or 0..255 array is told how to become pixels in [0, 1].

    Example:

    ```python
    check_images(np.zeros((8, 28, 28, 1), "float32"))
    ```
    """
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[0] == 0:
        raise ValueError(
            f"`{name}` must be a non-empty array of shape (n, height, width, channels). "
            f"Received: {name}.shape={array.shape}"
        )
    if not np.issubdtype(array.dtype, np.floating) and array.dtype.name != "bfloat16":
        raise ValueError(
            f"`{name}` must be floating-point pixels in [0, 1]; convert 0..255 integers with "
            f'`{name}.astype("float32") / 255`. Received: {name}.dtype={array.dtype}'
        )
    low, high = _finite_range(array, name)
    if low < 0.0 or high > 1.0:
        hint = "; divide 0..255 pixels by 255" if high > 1.5 else ""
        raise ValueError(
            f"`{name}` must be pixels in [0, 1]{hint}; put any other normalisation inside the "
            f"classifier. Received: {name}.min()={low:g}, {name}.max()={high:g}"
        )


def check_labels(labels: Any, num_classes: int, count: int, name: str = "labels") -> None:
    """Checks class labels: `count` integers below `num_classes`, or one-hot rows.

    Args:
        labels: array `(n,)` or `(n, 1)` of integers in `[0, num_classes)`, or
            `(n, num_classes)` of probabilities that sum to one.
        num_classes: the number K of logits of the classifier.
        count: how many images there are.
        name: how the caller calls it in the error.

    Raises:
        ValueError: if the shape, the dtype or the range is wrong.

    Example:

    ```python
    check_labels(np.array([3, 1]), num_classes=10, count=2)
    ```
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise ValueError(
            f"`{name}` must be numbers, one class from 0 to {num_classes - 1} for each image; "
            f"number names by their place in the list of classes. "
            f"Received: {name}.dtype={array.dtype}, first={array.reshape(-1)[:1].tolist()!r}"
        )
    if array.ndim == 2 and array.shape[1] == num_classes and num_classes > 1:
        sums = array.sum(axis=1, dtype="float64")
        if array.shape[0] != count or not np.allclose(sums, 1.0, atol=1e-3) or array.min() < 0:
            raise ValueError(
                f"`{name}` of shape (n, num_classes) must hold one row of probabilities per image "
                f"({count} images). Received: {name}.shape={array.shape}, "
                f"row sums from {sums.min():g} to {sums.max():g}"
            )
        return
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"`{name}` must have shape ({count},), ({count}, 1) or ({count}, {num_classes}): one "
            f"label per image. Received: {name}.shape={array.shape}"
        )
    low, high = array.min(), array.max()
    if not np.isfinite(low) or not np.isfinite(high) or np.any(array != np.floor(array)):
        raise ValueError(
            f"`{name}` must be whole numbers. Received: {name}.min()={low}, {name}.max()={high}"
        )
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes}), as the classifier has {num_classes} "
            f"logits. Received: {name}.min()={low}, {name}.max()={high}"
        )


def check_sample_weights(weights: Any, count: int, name: str = "sample_weight") -> None:
    """Checks weights of images: a finite number for each.

    Args:
        weights: array `(n,)` or `(n, 1)`.
        count: how many images there are.
        name: how the caller calls it in the error.

    Raises:
        ValueError: if the shape or the dtype is wrong, or one is NaN or infinite.

    Example:

    ```python
    check_sample_weights(np.array([1.0, 0.5]), count=2)
    ```
    """
    array = np.asarray(weights)
    if array.shape not in ((count,), (count, 1)) or array.dtype.kind in "OSU":
        raise ValueError(
            f"`{name}` must have shape ({count},): one number for each image. "
            f"Received: {name}.shape={array.shape}, {name}.dtype={array.dtype}"
        )
    _finite_range(array, name)


def check_sample_ids(
    ids: Any, num_samples: int, name: str = "id", *, distinct: bool = True
) -> None:
    """Checks that sample ids are distinct integers below `num_samples`.

    Args:
        ids: array `(n,)` of the ids of one pass over the training data.
        num_samples: how many entries the per-sample momentum has.
        name: how the caller calls it in the error.
        distinct: whether each may be there once only. Defaults to `True`.

    Raises:
        ValueError: if an id is out of range or given to more than one sample.

    Example:

    ```python
    check_sample_ids(np.array([3, 1]), num_samples=10)
    ```
    """
    array = np.asarray(ids)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be a vector of integers, one per sample. "
            f"Received: {name}.shape={array.shape}, {name}.dtype={array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() >= num_samples):
        raise ValueError(
            f"`{name}` must lie in [0, {num_samples}), the number of training samples the "
            f"per-sample momentum was made for. Received: {name}.min()={array.min()}, "
            f"{name}.max()={array.max()}"
        )
    if not distinct:
        return
    found, counts = np.unique(array, return_counts=True)
    if found.size != array.size:
        repeated = found[counts > 1]
        raise ValueError(
            f"`{name}` must name each sample once in a pass over the data, but {repeated.size} "
            "ids are given to more than one sample. "
            f"Received: {name}={repeated[:5].tolist()} (first repeated)"
        )


def _finite_range(array: np.ndarray, name: str) -> tuple[float, float]:
    """The least and the largest number of an array, both of which must be finite."""
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"`{name}` must be finite, but holds NaN or infinity. Received: {name}.min()={low}, "
            f"{name}.max()={high}"
        )
    return low, high
