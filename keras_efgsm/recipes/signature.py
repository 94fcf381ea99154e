"""The options that a class takes, read from its signature and its docstring.

What `--help` shows of an attack or an objective must not take the seconds in which Keras is
imported. A class of this package is therefore read from its source, which is not run; one from
outside is imported and inspected. A test holds that both give the same.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).parents[1]


class Argument(NamedTuple):
    """An argument of a signature.

    Attributes:
        name: its name.
        default: its default; `inspect.Parameter.empty` for none.
        annotation: its type as text, empty for none.
        text: what the docstring says of it, in one line.
    """

    name: str
    default: Any
    annotation: str
    text: str


def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """The class or function of a text `"module:Name"`; anything else as it is.

    Raises:
        ValueError: if there is none.
    """
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"There must be a class or function of this name in a module that can be imported "
            f"({error}). Received: name={target!r}"
        ) from error
    return found


def arguments_of(target: str | Callable[..., Any]) -> tuple[Argument, ...]:
    """The arguments of a class or function.

    Args:
        target: itself, or `"module:Name"`.

    Raises:
        ValueError: if there is none of the name.

    Example:

    ```python
    names = [argument.name for argument in arguments_of("keras_efgsm.attacks.pgd:PGD")]
    assert names[:2] == ["epsilon", "steps"]
    ```
    """
    if isinstance(target, str):
        module, _, name = target.partition(":")
        if module.partition(".")[0] == _PACKAGE and module not in sys.modules:
            return _read(module, name)
    return _inspected(resolve(target))


def _inspected(made_by: Callable[..., Any]) -> tuple[Argument, ...]:
    texts = _argument_texts(inspect.getdoc(made_by) or "")
    return tuple(
        Argument(
            one.name,
            one.default,
            "" if one.annotation is one.empty else inspect.formatannotation(one.annotation),
            texts.get(one.name, ""),
        )
        for one in inspect.signature(made_by).parameters.values()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    )


@functools.cache
def _read(module: str, name: str) -> tuple[Argument, ...]:
    """The same, from the source of a module of this package."""
    path = _ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = next((node for node in body if getattr(node, "name", None) == name), None)
    made = found
    if isinstance(found, ast.ClassDef):
        made = next((n for n in found.body if getattr(n, "name", None) == "__init__"), None)
        if made is None and (base := _home_of_base(found, body)):
            texts = _argument_texts(ast.get_docstring(found) or "")
            inherited = _read(*base)
            return tuple(one._replace(text=texts.get(one.name, one.text)) for one in inherited)
    try:
        if not isinstance(made, ast.FunctionDef) or not isinstance(
            found, (ast.ClassDef, ast.FunctionDef)
        ):
            raise ValueError("made by something else")
        texts = _argument_texts(ast.get_docstring(found) or "")
        return tuple(_of_source(one, default, texts) for one, default in _pairs(made.args))
    except ValueError:
        # Something that only running it tells.
        return _inspected(resolve(f"{module}:{name}"))


def _home_of_base(found: ast.ClassDef, body: list[ast.stmt]) -> tuple[str, str] | None:
    """Module and name of the first base of a class, as the module imports it."""
    names = [base.id for base in found.bases[:1] if isinstance(base, ast.Name)]
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if [alias.name] == names and alias.asname is None:
                    return node.module, alias.name
    return None


def _pairs(given: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    positional = [one for one in given.args if one.arg != "self"]
    without = len(positional) - len(given.defaults)
    defaults: list[ast.expr | None] = [*[None] * without, *given.defaults]
    pairs = list(zip(positional, defaults, strict=True))
    return [*pairs, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]


def _of_source(one: ast.arg, default: ast.expr | None, texts: dict[str, str]) -> Argument:
    return Argument(
        one.arg,
        inspect.Parameter.empty if default is None else ast.literal_eval(default),
        "" if one.annotation is None else ast.unparse(one.annotation),
        texts.get(one.arg, ""),
    )


def _argument_texts(docstring: str) -> dict[str, str]:
    """What the section `Args:` of a docstring says, without its defaults."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    texts = re.findall(
        r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section.group(1), re.MULTILINE | re.DOTALL
    )
    return {
        name: re.sub(r"\s+", " ", text).partition(" Defaults to")[0].strip().rstrip(".")
        for name, text in texts
    }
