"""Docstrings that the package fills as it is imported, filled for a reader of its source."""

import ast
from typing import Any

import griffe

_PLACE = "{fields}"


class DocumentedFields(griffe.Extension):
    """Puts the options of a configuration in place of `{fields}`, as `with_documented_fields` does.

    The reference is made without importing the package, and with it TensorFlow.
    """

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        for one in _classes(pkg):
            if one.docstring is not None and _PLACE in one.docstring.value:
                lines = [line for base in [*reversed(one.mro()), one] for line in _fields(base)]
                one.docstring.value = one.docstring.value.replace(_PLACE, "\n    ".join(lines))


def _classes(module: griffe.Module) -> list[griffe.Class]:
    own = [one for one in module.classes.values() if not one.is_alias]
    inside = [one for one in module.modules.values() if not one.is_alias]
    return own + [one for each in inside for one in _classes(each)]


def _fields(of: griffe.Class) -> list[str]:
    """A line for each field that `option` makes."""
    lines = []
    for name, field in of.attributes.items():
        call = ast.parse(str(field.value), mode="eval").body if field.value else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "option":
            line = f"{name}: {ast.literal_eval(call.args[1]).rstrip('.')}."
            lines.append(
                line + (f" Defaults to `{ast.unparse(call.args[2])}`." if call.args[2:] else "")
            )
    return lines
