"""JSON read as if a stranger had written it: in size, depth, numbers and control characters."""

import json
import math
import os
from typing import Any

from keras_efgsm.checks import visible
from keras_efgsm.limits import read_file

# A record is a few hundred lines; what is larger by far is something else. Empty lists take twenty
# times their text in memory.
MOST_BYTES = 8 * 2**20
# Deeper than any record; functions that call themselves for each level end well.
MOST_LEVELS = 64
# More digits than any number of a record; floats hold them all, nearly.
_LARGEST = 2**64


class RecordError(ValueError):
    """A file is not the record that it should be.

    Args:
        reason: what was expected and what was found, without a full stop.
        received: what was given, such as `"path='evaluation.json'"`.
    """

    def __init__(self, reason: str, received: str):
        super().__init__(f"{reason}. Received: {received}")
        self.reason = reason


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads any JSON file as plain values.

    Args:
        path: the file, at most `MOST_BYTES` large.

    Raises:
        RecordError: a `ValueError`, if it is not JSON or holds a number that is not finite.
        OSError: if it cannot be read.

    Example:

    ```python
    read_json("runs/mnist/config.json")["epsilon"]
    ```
    """
    try:
        return parse_json(read_bytes(path, MOST_BYTES))
    except RecordError as error:
        raise RecordError(error.reason, f"path={os.fspath(path)!r}") from error


def parse_json(content: bytes, *, any_number: bool = False) -> Any:
    """Reads JSON strictly: UTF-8, finite numbers of a usual size, each name once in an object.

    Control characters in its texts become visible, see `keras_efgsm.checks.visible`: these texts
    go onto pages and terminals.

    Args:
        content: the text.
        any_number: whether NaN, infinities and whole numbers of any size are taken as well.
            Defaults to `False`.

    Raises:
        RecordError: a `ValueError`, if it is not, or is nested deeper than `MOST_LEVELS`.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            parse_constant=float if any_number else _refuse_constant,
            parse_float=float if any_number else _finite,
            parse_int=int if any_number else _usual,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise RecordError("it must be JSON that is not nested so deep", "content") from error
    except ValueError as error:
        raise RecordError(f"it must be readable JSON: {error}", "content") from error
    return _visible(value, 1)


def _visible(value: Any, level: int) -> Any:
    """The value, its texts visible; in place, as millions of empty lists are no less as a copy."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, (dict, list)) and level > MOST_LEVELS:
        raise RecordError("it must be JSON that is not nested so deep", "content")
    if isinstance(value, list):
        for i, item in enumerate(value):
            value[i] = _visible(item, level + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _visible(item, level + 1)
        if not all(key.isprintable() for key in value):
            return {visible(key): item for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _usual(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError(f"{text[:20]}... is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name comes twice in an object")
    return values


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of a file that is a record.

    Args:
        path: the file.
        most: how many bytes it may have.

    Raises:
        RecordError: a `ValueError`, if it has more or is no file.
        OSError: if it cannot be read.
    """
    try:
        return read_file(path, most)
    except ValueError as error:
        reason = str(error).partition(". Received: ")[0]
        raise RecordError(reason, f"path={os.fspath(path)!r}") from error
