"""The parts of a record: named values, checked by their annotations when they come from a file."""

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from keras_efgsm.checks import NORMS
from keras_efgsm.records.json_text import RecordError

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
            raise RecordError(f"{subject} must be an object", f"{subject}={short(values)}")
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
            f"it must have a norm out of {', '.join(NORMS)}, but has {short(norm)}",
            f"norm={short(norm)}",
        )
    if norm in (None, "linf") and epsilon is not None and epsilon > 1.0:
        raise _error(Radius, "epsilon", where, short(epsilon))


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
            raise _error(kind, name, where, short(value))
        return value
    inside = f"{where}.{name}" if where else name
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_checked(v, arguments[0], f"{name}[{i}]", where) for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _checked(v, arguments[1], str(key), inside) for key, v in value.items()}
    if isinstance(kind, type) and issubclass(kind, Part):
        return kind.from_dict(value, inside)
    if not _is_plain(value, kind):
        raise _error(kind, name, where, short(value))
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


def short(value: Any) -> str:
    """A value as an error shows it."""
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
