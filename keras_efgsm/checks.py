"""Entry checks: bad input is refused before any training time is spent.

Every error says what was expected and ends with `Received: name=value`.
"""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

_Choice = TypeVar("_Choice")


def check_epsilon(epsilon: float, name: str = "epsilon") -> float:
    """Returns `epsilon` as a float if it is an L-infinity radius in pixels of [0, 1].

    Args:
        epsilon: radius of the ball, `0 < epsilon <= 1`.
        name: how the caller calls it in the error.

    Raises:
        ValueError: if it is not a finite number in (0, 1]; above 1 the message
            says that a radius given on the 0..255 scale has to be divided.

    Example:

    ```python
    check_epsilon(8 / 255)  # 0.03137
    ```
    """
    value = check_number(epsilon, name, minimum=0.0, strict=True)
    if value > 1.0:
        raise ValueError(
            f"`{name}` is a radius for pixels in [0, 1]; divide one given on the "
            f"0..255 scale by 255 (here {value / 255:.6g}). Received: {name}={epsilon!r}"
        )
    return value


def check_number(
    value: Any,
    name: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    strict: bool = False,
) -> float:
    """Returns `value` as a float if it is a finite number within bounds.

    Args:
        value: what was given.
        name: how the caller calls it in the error.
        minimum: lowest allowed value. Defaults to none.
        maximum: highest allowed value. Defaults to none.
        strict: whether `minimum` itself is refused. Defaults to `False`.

    Raises:
        ValueError: if `value` is not a number, not finite or out of bounds.

    Example:

    ```python
    check_number(0.5, "decay", minimum=0.0)  # 0.5
    ```
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    low = -math.inf if minimum is None else minimum
    high = math.inf if maximum is None else maximum
    if (
        not is_number
        or not math.isfinite(value)
        or value < low
        or value > high
        or (strict and value == low)
    ):
        bounds = []
        if minimum is not None:
            bounds.append(f"{'>' if strict else '>='} {minimum:g}")
        if maximum is not None:
            bounds.append(f"<= {maximum:g}")
        wanted = " and ".join(bounds)
        raise ValueError(
            f"`{name}` must be a finite number{' ' + wanted if wanted else ''}. "
            f"Received: {name}={value!r}"
        )
    return float(value)


def check_count(value: Any, name: str, *, minimum: int = 1) -> int:
    """Returns `value` as an int if it is a whole number of at least `minimum`.

    Raises:
        ValueError: otherwise.

    Example:

    ```python
    check_count(10, "steps")  # 10
    ```
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < minimum:
        raise ValueError(
            f"`{name}` must be a whole number >= {minimum}. Received: {name}={value!r}"
        )
    return int(value)


def check_choice(value: Any, name: str, choices: tuple[_Choice, ...]) -> _Choice:
    """Returns `value` if it is one of `choices`.

    Raises:
        ValueError: otherwise, naming the choices.

    Example:

    ```python
    check_choice("ce", "loss", ("ce", "cw"))  # "ce"
    ```
    """
    # True equals 1 in Python, but is no choice where 1 is.
    if not any(c == value and isinstance(c, bool) == isinstance(value, bool) for c in choices):
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(f"`{name}` must be one of {listed}. Received: {name}={value!r}")
    found: _Choice = value
    return found


def check_printable(names: Sequence[str], name: str) -> None:
    """Refuses names that hold control characters or the like.

    They go into labels, cards and pages, and onto terminals, which obey some of them.

    Args:
        names: strings.
        name: how the caller calls them in the error.

    Raises:
        ValueError: if one is not printable.

    Example:

    ```python
    check_printable(["cat", "dog"], "class_names")
    ```
    """
    refused = [each for each in names if not each.isprintable()]
    if refused:
        raise ValueError(
            f"`{name}` must hold printable characters alone; rename the class. "
            f"Received: {name}={refused!r}"
        )


def visible(text: str) -> str:
    r"""Returns a text with each control character as its escape, such as `\x1b`.

    A stranger's name may hold bytes that a terminal obeys. Line ends and tabs stay; what changes
    the direction of writing, and half of a character, become visible as well.

    Args:
        text: of any origin.

    Example:

    ```python
    print(visible("a\x1b[31mb"))  # a\x1b[31mb
    ```
    """
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode()
        if each not in "\n\t"
        and (unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") or each in _DIRECTIONS)
        else each
        for each in text
    )


_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


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
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"`{name}` must be finite, but holds NaN or infinity. Received: {name}.min()={low}, "
            f"{name}.max()={high}"
        )
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
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"`{name}` must be finite, but holds NaN or infinity. Received: {name}.min()={low}, "
            f"{name}.max()={high}"
        )


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
