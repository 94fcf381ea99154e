"""The base of every file of results, which is checked when read and written whole."""

import dataclasses
import functools
import json
import math
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import NORMS, visible
from keras_efgsm.limits import read_file

# A record is a few hundred lines; what is larger by far is something else. Empty lists take twenty
# times their text in memory.
MOST_BYTES = 8 * 2**20
# Deeper than any record; functions that call themselves for each level end well.
MOST_LEVELS = 64
# More digits than any number of a record; floats hold them all, nearly.
_LARGEST = 2**64

Share = Annotated[float, (0.0, 1.0)]
Radius = Annotated[float, (1e-12, 1.0)]
# Of a ball of any norm, see `check_radius_of`.
AnyRadius = Annotated[float, (1e-12, math.inf)]
Count = Annotated[int, (0, math.inf)]
Seconds = Annotated[float, (0.0, math.inf)]

_WORDS = {
    str: "that is text",
    int: "that is a whole number",
    float: "that is a finite number",
    bool: "that is true or false",
    dict: "that is an object",
    tuple: "that is a list",
}


class RecordError(ValueError):
    """A file is not the record that it should be.

    Args:
        reason: what was expected and what was found, without a full stop.
        received: what was given, such as `"path='evaluation.json'"`.
    """

    def __init__(self, reason: str, received: str):
        super().__init__(f"{reason}. Received: {received}")
        self.reason = reason


class NewerSchemaError(RecordError):
    """A file was written by a later version of this library."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """Named values that are checked by their annotations when they come from a file.

    Args:
        extra: what the file has beyond the fields, which is kept. Defaults to nothing.
        absent: fields that the file did not have; they are not written if they are None. Defaults
            to none.
    """

    extra: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    absent: frozenset[str] = dataclasses.field(
        default_factory=frozenset[str], repr=False, compare=False
    )

    # Fields that are left out of the file while they are None.
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON."""
        values = {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name not in ("extra", "absent")
        }
        omitted = self.absent | self.LEFT_OUT
        return {k: v for k, v in values.items() if v is not None or k not in omitted} | self.extra

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Reads what `to_dict` gave.

        Args:
            values: the values by name; keys that are no field are kept in `extra`.
            where: which part of a file this is, for the error. Defaults to the whole.

        Raises:
            ValueError: if one is missing, of another type or out of range.
        """
        kinds = _kinds(cls)  # type: ignore[arg-type]  # mypy takes a type[Self] for not hashable
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            subject = where or "it"
            raise RecordError(f"{subject} must be an object", f"{subject}={_short(values)}")
        found, absent = {}, set()
        for field in dataclasses.fields(cls):
            name = field.name
            if name not in kinds:
                continue
            if name in values:
                found[name] = _checked(values[name], kinds[name], name, where)
            elif _is_required(field):
                raise _error(kinds[name], name, where, "none")
            else:
                absent.add(name)
        extra = {key: value for key, value in values.items() if key not in kinds}
        part = cls(**found, extra=extra, absent=frozenset(absent))
        part.check()
        return part

    def check(self) -> None:
        """Checks how the values fit each other.

        Raises:
            ValueError: if they do not.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Part):
    """The content of one file: a value with a schema number, `read` and `write`.

    Args:
        schema: number of the format, which goes up when a field changes its meaning. Defaults to
            the newest.

    Example:

    ```python
    from keras_efgsm.records import EvaluationRecord

    EvaluationRecord.read("runs/mnist/evaluation.json").worst_case_accuracy
    ```
    """

    schema: int = 1

    # What an error calls the file.
    NAME: ClassVar[str] = "The file"
    # The newest schema.
    SCHEMA: ClassVar[int] = 1
    # Whether the file says its schema; one that never did is of schema 1.
    HAS_SCHEMA: ClassVar[bool] = True
    INDENT: ClassVar[int] = 2
    # Whether letters beyond ASCII are escaped.
    ASCII: ClassVar[bool] = True

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Reads the file, which may come from anywhere: nothing in it is run.

        Args:
            path: the file.

        Raises:
            NewerSchemaError: a `ValueError`, if a later version of this library wrote it.
            RecordError: a `ValueError`, if it is damaged, of another kind, or larger than
                `most_bytes()`.
            OSError: if it cannot be read.
        """
        received = f"path={os.fspath(path)!r}"
        try:
            return cls.decode(_read_bytes(path, cls.most_bytes()))
        except NewerSchemaError as error:
            raise NewerSchemaError(error.reason, received) from error
        except RecordError as error:
            raise RecordError(error.reason, received) from error

    @classmethod
    def most_bytes(cls) -> int:
        """The size of the largest file that is read, in bytes."""
        return MOST_BYTES

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; a reader finds the old one or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            ValueError: if a number is not finite.
            OSError: if it cannot be written.
        """
        write_atomically(Path(path), self.encode())

    def encode(self) -> bytes:
        """The bytes of the file."""
        text = json.dumps(
            self.to_dict(), indent=self.INDENT, allow_nan=False, ensure_ascii=self.ASCII
        )
        return f"{text}\n".encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Reads the bytes of the file.

        Raises:
            ValueError: if they are not those of this record.
        """
        try:
            return cls.from_dict(parse_json(content))
        except NewerSchemaError:
            raise
        except RecordError as error:
            raise RecordError(f"{cls.NAME} is damaged ({error.reason})", "content") from error

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        number = values.pop("schema")
        return {"schema": number} | values if self.HAS_SCHEMA else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "") -> Self:
        if isinstance(values, Mapping):
            check_schema(values.get("schema", None if cls.HAS_SCHEMA else 1), cls.SCHEMA, cls.NAME)
        return super().from_dict(values, where)


def check_schema(schema: Any, newest: int, name: str) -> None:
    """Checks that a file is of a schema which this version reads.

    Args:
        schema: the number that the file has.
        newest: the highest that is known here.
        name: what the file is called.

    Raises:
        NewerSchemaError: a `ValueError`, if it is higher.
        RecordError: a `ValueError`, if it is not a number above 0.
    """
    received = f"schema={_short(schema)}"
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError(f"{name} must have a schema of 1 to {newest}", received)
    if schema > newest:
        raise NewerSchemaError(
            f"{name} must have a schema of at most {newest}, but a newer version of keras_efgsm "
            f"wrote it with schema {schema}; update keras_efgsm to read it",
            received,
        )


def check_radius_of(norm: str | None, epsilon: float | None, where: str = "") -> None:
    """Checks a norm, and that a radius is one of it.

    Args:
        norm: as in a file; None for L-infinity.
        epsilon: the radius, or None.
        where: which part of a file this is, for the error. Defaults to the whole.

    Raises:
        RecordError: if they are not.
    """
    if norm is not None and norm not in NORMS:
        raise RecordError(
            f"it must have a norm out of {', '.join(NORMS)}, but has {_short(norm)}",
            f"norm={_short(norm)}",
        )
    if norm in (None, "linf") and epsilon is not None and epsilon > 1.0:
        raise _error(Radius, "epsilon", where, _short(epsilon))


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
        return parse_json(_read_bytes(path, MOST_BYTES))
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


def _read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    try:
        return read_file(path, most)
    except ValueError as error:
        reason = str(error).partition(". Received: ")[0]
        raise RecordError(reason, f"path={os.fspath(path)!r}") from error


@functools.cache
def _kinds(cls: type[Part]) -> dict[str, Any]:
    """Annotation by field, without what only memory has."""
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: hints[name] for name in names if name not in ("extra", "absent")}


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _checked(value: Any, kind: Any, name: str, where: str) -> Any:
    """A value of a file as the field of this annotation holds it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (argument for argument in arguments if argument is not types.NoneType)
        return _checked(value, kind, name, where)
    if origin is Annotated:
        low, high = arguments[1]
        if not low <= _checked(value, arguments[0], name, where) <= high:
            raise _error(kind, name, where, _short(value))
        return value
    inside = f"{where}.{name}" if where else name
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_checked(v, arguments[0], f"{name}[{i}]", where) for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _checked(v, arguments[1], str(key), inside) for key, v in value.items()}
    if isinstance(kind, type) and issubclass(kind, Part):
        return kind.from_dict(value, inside)
    if not _is_plain(value, kind):
        raise _error(kind, name, where, _short(value))
    return value


def _is_plain(value: Any, kind: Any) -> bool:
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    if kind is float:
        # An integer beyond the range of floats cannot be compared with one.
        return isinstance(value, (int, float)) and abs(value) < 1e300
    return kind in (str, int) and isinstance(value, kind)


def _error(kind: Any, name: str, where: str, found: str) -> RecordError:
    arguments = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(argument for argument in arguments if argument is not types.NoneType)
        arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        low, high = arguments[1]
        expected = f"in [{low:g}, {high:g}]" if high < math.inf else f"of at least {low:g}"
        if arguments[0] is int:
            expected += " that is whole"
    else:
        expected = _WORDS.get(get_origin(kind) or kind, "that is an object")
    of = f" of {where}" if where else ""
    article = "an" if name[0] in "aeiou" else "a"
    return RecordError(
        f"it must have {article} {name} {expected}{of}, but has {found}", f"{name}={found}"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
