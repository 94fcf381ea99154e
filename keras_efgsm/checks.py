"""Entry checks of options: bad input is refused before any training time is spent.

Every error says what was expected and ends with `Received: name=value`.
"""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

_Choice = TypeVar("_Choice")


NORMS = ("linf", "l2")
"""Norms by which the change of an image is measured: its largest component, in pixels of [0, 1],
and its Euclidean length in the same unit, over all pixels and channels."""


def check_norm(norm: Any, name: str = "norm") -> str:
    """Returns `norm` if it is one of `NORMS`.

    Args:
        norm: what was given.
        name: how the caller calls it in the error.

    Raises:
        ValueError: otherwise.

    Example:

    ```python
    check_norm("l2")  # "l2"
    ```
    """
    return check_choice(norm, name, NORMS)


def check_epsilon(epsilon: float, name: str = "epsilon", *, norm: str = "linf") -> float:
    """Returns `epsilon` as a float if it is a radius of a ball, in pixels of [0, 1].

    Args:
        epsilon: radius of the ball: `0 < epsilon <= 1` for L-infinity, any above 0 for L2, whose
            largest that means anything, `sqrt(H * W * C)`, depends on the images.
        name: how the caller calls it in the error.
        norm: of the ball, see `NORMS`. Defaults to `"linf"`.

    Raises:
        ValueError: if it is not a finite number in that range; above 1 the message for L-infinity
            says that a radius given on the 0..255 scale has to be divided.

    Example:

    ```python
    check_epsilon(8 / 255)  # 0.03137
    check_epsilon(2.0, norm="l2")  # 2.0
    ```
    """
    value = check_number(epsilon, name, minimum=0.0, strict=True)
    if value > 1.0 and norm == "linf":
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


_LARGEST_COUNT = 2**31 - 1


def check_count(value: Any, name: str, *, minimum: int = 1, maximum: int = _LARGEST_COUNT) -> int:
    """Returns `value` as an int if it is a whole number from `minimum` to `maximum`.

    Tensors hold counts as int32, so that `maximum` defaults to 31 bits.

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
    if value > maximum:
        raise ValueError(
            f"`{name}` must be a whole number from {minimum} to {maximum}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def check_seed(value: Any, name: str = "seed") -> int:
    """Returns `value` as an int if it is a whole number from 0 to that of 63 bits.

    Raises:
        ValueError: otherwise.

    Example:

    ```python
    check_seed(2**40)  # 1099511627776
    ```
    """
    return check_count(value, name, minimum=0, maximum=2**63 - 1)


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


def first_words(error: BaseException | str) -> str:
    """The first line of an error that says what is wrong.

    An error of a graph of TensorFlow begins with where its node was made, and ends with its name.

    Args:
        error: or its message.

    Example:

    ```python
    first_words(ValueError("bad pixels"))  # "bad pixels"
    ```
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Graph execution error"):
        nodes = (i for i, line in enumerate(lines) if line.startswith("[[{{"))
        lines = lines[: next(nodes, None)][-1:]
    return lines[0] if lines else type(error).__name__


def raise_interrupt_behind(error: BaseException) -> None:
    """Raises the interrupt that an error came of, for whoever takes errors for something else.

    An interrupt in the midst of TensorFlow's tracing comes out as an `AssertionError` on the
    nesting of its graphs.

    Args:
        error: what was raised.

    Raises:
        KeyboardInterrupt: if there is one behind it.

    Example:

    ```python
    raise_interrupt_behind(ValueError("nothing was interrupted"))
    ```
    """
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        if isinstance(found, KeyboardInterrupt):
            raise KeyboardInterrupt(*found.args) from error
        seen.append(found)
        found = found.__cause__ or found.__context__


_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
