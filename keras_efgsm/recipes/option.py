"""How a field of a configuration is written down: once, with all that is known about it.

Name and type are those of the field; default, group, help text and check are its metadata. The
command line, the class's docstring and the checks are made from these, so that adding an option
is one edit.
"""

import dataclasses
import importlib
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Any

from keras_efgsm.checks import check_choice, check_count, check_number

# Headings of the options, in the order of the help.
GROUPS = ("data", "network", "method", "optimisation", "memory", "machine")

Check = Callable[[Any, str], Any]


def option(
    group: str,
    text: str,
    default: Any = dataclasses.MISSING,
    *,
    check: Check | None = None,
    factory: Callable[[], Any] | None = None,
    metavar: str | tuple[str, ...] | None = None,
    flag: bool = True,
    place: bool = False,
) -> Any:
    """A field of a configuration.

    Args:
        group: heading under which it is shown, one of `GROUPS`.
        text: what it is, in one sentence, as the help and the docstring say it.
        default: its default. Defaults to none: the field is required.
        check: takes the value and the name of the field, returns the value or raises `ValueError`.
            Defaults to none.
        factory: makes the default, where that is mutable. Defaults to none.
        metavar: the value's name in the help. Defaults to that of the type.
        flag: whether the command line has an option for it. Defaults to `True`.
        place: whether it only says where things lie, which may change when a run is resumed.
            Defaults to `False`.

    Example:

    ```python
    epochs: int = option("optimisation", "passes over the training data", 30, check=count())
    ```
    """
    metadata = {
        "group": check_choice(group, "group", GROUPS),
        "text": text,
        "check": check,
        "metavar": metavar,
        "flag": flag,
        "place": place,
    }
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def flag_of(name: str) -> str:
    """The option of a field on the command line.

    Example:

    ```python
    assert flag_of("batch_size") == "--batch-size"
    ```
    """
    return "--" + name.replace("_", "-")


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """The type of a field without its None, and whether None is a value of it.

    Example:

    ```python
    assert kind_of(int | None) == (int, True)
    ```
    """
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        has_none = len(kinds) < len(typing.get_args(annotation))
        return (kinds[0] if len(kinds) == 1 else typing.Union[tuple(kinds)]), has_none  # noqa: UP007
    return annotation, False


def check_fields(config: Any) -> None:
    """Runs the check of every field, by itself; what it returns is the value from then on.

    Raises:
        ValueError: from the first check that fails.
    """
    for field in dataclasses.fields(config):
        value, check = getattr(config, field.name), field.metadata.get("check")
        if kind_of(field.type)[0] is bool:
            check_choice(value, field.name, (False, True))
        if value is None and kind_of(field.type)[1]:
            continue
        if check is None and kind_of(field.type)[0] is str:
            check = text("text")
        if check is None:
            continue
        object.__setattr__(config, field.name, check(value, field.name))


def with_documented_fields(cls: type) -> type:
    """Puts the fields into the class's docstring, in place of `{fields}`."""
    lines = []
    for field in dataclasses.fields(cls):
        text = field.metadata["text"].rstrip(".")
        if field.default is not dataclasses.MISSING:
            text += f". Defaults to `{field.default!r}`"
        lines += textwrap.wrap(
            f"{field.name}: {text}.", 100, initial_indent=" " * 8, subsequent_indent=" " * 12
        )
    if cls.__doc__:
        cls.__doc__ = cls.__doc__.replace("{fields}", "\n".join(lines).lstrip())
    return cls


def count(minimum: int = 1, maximum: int = 2**31 - 1) -> Check:
    """Checks for a whole number within bounds, see `check_count`."""
    return lambda value, name: _unchanged(
        value, check_count(value, name, minimum=minimum, maximum=maximum)
    )


def number(
    minimum: float | None = None, maximum: float | None = None, strict: bool = False
) -> Check:
    """Checks for a finite number within bounds, see `check_number`."""

    def check(value: Any, name: str) -> Any:
        return _unchanged(
            value, check_number(value, name, minimum=minimum, maximum=maximum, strict=strict)
        )

    return check


def one_of(*choices: Any) -> Check:
    """Checks for one of some values.

    Args:
        *choices: the values; or one text `"module:NAME"` of a tuple or table that holds them, which
            is imported only when something is checked.
    """

    def check(value: Any, name: str) -> Any:
        listed = choices
        if len(choices) == 1 and ":" in str(choices[0]):
            module, _, attribute = choices[0].partition(":")
            listed = tuple(getattr(importlib.import_module(module), attribute))
        return check_choice(value, name, listed)

    return check


def text(what: str) -> Check:
    """Checks for text.

    Args:
        what: what it is, for the error: "the path of a folder as text".
    """

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, str) or not value:
            raise ValueError(f"`{name}` must be {what}. Received: {name}={value!r}")
        return value

    return check


def _unchanged(value: Any, checked: Any) -> Any:
    # A configuration is written as it was given: 1 stays 1 where 1.0 is meant.
    del checked
    return value
