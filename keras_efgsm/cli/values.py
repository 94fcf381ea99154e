"""Reads values of the command line: numbers, fractions, `none`, options of a type."""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any


def number(text: str) -> float:
    """A number, or a fraction such as `8/255`.

    Example:

    ```python
    assert number("8/255") == 8 / 255
    ```
    """
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"must be a number, or a fraction such as 8/255. Received: {text!r}"
        ) from None


def numbers(text: str) -> tuple[float, ...]:
    """One number or several, separated by commas.

    Example:

    ```python
    assert numbers("0,2/255") == (0.0, 2 / 255)
    ```
    """
    return tuple(number(part) for part in text.split(","))


def whole_number(text: str) -> int:
    """A whole number; 10_000 and 1e4 are some as well."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        value = 0.5
    if value != int(value):
        raise argparse.ArgumentTypeError(f"must be a whole number. Received: {text!r}")
    return int(value)


def listed(read: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Reads values that commas separate; `Flat` puts those of several words together.

    Args:
        read: reads one of them.

    Example:

    ```python
    assert listed(int)("1,8") == (1, 8)
    ```
    """

    def several(text: str) -> tuple[Any, ...]:
        return tuple(read(part) for part in text.split(",") if part)

    # What argparse calls a value that cannot be read.
    several.__name__ = read.__name__
    return several


class Flat(argparse.Action):
    """Takes values of `listed`, separated by commas or spaces, as one list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keeps them."""
        found = [value for several in values for value in several]
        if not found and self.nargs == "+":
            raise argparse.ArgumentError(self, "expected at least one argument")
        setattr(namespace, self.dest, found)


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Reads one of these names.

    Args:
        names: that are taken.

    Example:

    ```python
    assert one_of(["onnx", "tflite"])("onnx") == "onnx"
    ```
    """

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(names)}. Received: {text!r}"
            )
        return text

    return read


class _NoValue:
    """What the word `none` gives: an option that was not given is None."""

    def __repr__(self) -> str:
        return "none"


NO_VALUE = _NoValue()


def or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads a value, or `NO_VALUE` from the word `none`."""
    return lambda text: NO_VALUE if text.lower() == "none" else read(text)


def anything(text: str) -> Any:
    """A number, a fraction, a truth value or `none` if it reads as one, else the text."""
    if text.lower() in ("none", "null"):
        return NO_VALUE
    try:
        return json.loads(text.lower())
    except ValueError:
        pass
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        return text


def reader_of(annotation: Any) -> Callable[[str], Any]:
    """What reads the text of an option into the type of a field.

    Args:
        annotation: the type, such as `float | None`.
    """
    # Not at the top: what asks a server reads values, and is quick to start.
    from keras_efgsm.recipes.option import kind_of

    kind, has_none = kind_of(annotation)
    readers: dict[Any, Callable[[str], Any]] = {
        float: number,
        int: whole_number,
        tuple[int, int]: whole_number,
        str: str,
    }
    read = readers[kind]
    return or_none(read) if has_none and kind is not tuple[int, int] else read
