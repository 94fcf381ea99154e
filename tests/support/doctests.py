"""The examples of docstrings, collected from the source and run with shared objects.

A small collector of our own: of the well-kept ones, pytest-examples brings a formatter along and
Sybil shares one namespace among all examples of a file. An example is what stands between
"```python" and "```" in the docstring of a module, or of a public class, function or method. Each
runs by itself: with what its own module can name, the public names of the package and of its
folders, and the objects of a namespace that a test hands over. A comment behind an expression that
reads as a value of Python is what the expression must give: `percent(0.5)  # '50.00 %'`.

In a Markdown file a piece of code that cannot run by itself has a line before it that says why:
`<!-- fragment: asks a running server -->`.
"""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import keras_efgsm

ROOT = Path(keras_efgsm.__file__).parents[1]
# Whose public names an example may use without importing them.
_NAMESPACES = (
    "",
    ".public_names",
    ".attacks",
    ".callbacks",
    ".data",
    ".distances",
    ".evaluation",
    ".networks",
    ".objectives",
    ".pictures",
    ".universal",
)
_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# In Markdown the line before says why a piece of code does not run by itself.
_FRAGMENT = re.compile(r"^<!-- fragment: [^\n]+ -->\n\Z", re.MULTILINE)
_DOTTED = re.compile(r"`[^`\n]*?(keras_efgsm(?:[.:]\w+)+)(?=[^`\n]*`)")
_EXPECT = "__expect__"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class DocstringExample:
    """An example of a docstring.

    Args:
        path: of the source or Markdown file, relative to the repository.
        owner: name of what has the docstring, such as `"Noise.normal"`; empty for a module and a
            Markdown file.
        line: of the file on which the example begins.
        code: the example.
    """

    path: str
    owner: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.owner}"

    @property
    def module(self) -> str:
        """Name of the module that it stands in."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def run(self, namespace: dict[str, Any]) -> None:
        """Runs it.

        Args:
            namespace: objects by name, before those of the package.
        """
        known = {}
        if self.path.endswith(".py"):
            for name in _NAMESPACES:
                folder = importlib.import_module(f"keras_efgsm{name}")
                known |= {public: getattr(folder, public) for public in folder.__all__}
            known |= vars(importlib.import_module(self.module))
        # As a module of its own, whose classes are not taken for those of the package.
        known = {**known, **namespace, "__name__": "example", _EXPECT: _expect}
        exec(compile(_with_values_checked(self.code), str(self), "exec"), known)


def find_examples(*paths: str) -> list[DocstringExample]:
    """All examples in files, or below folders, of the repository.

    Args:
        *paths: relative to the repository.
    """
    files = [file for path in paths for file in _files(ROOT / path)]
    return [example for file in files for example in _of_file(file)]


def dotted_names() -> set[tuple[str, str]]:
    """Names such as `keras_efgsm.data.load_data` in the package and its documentation.

    Returns:
        Pairs of the file and the name.
    """
    files = [file for path in ("README.md", "docs", "keras_efgsm") for file in _files(ROOT / path)]
    return {
        (file.relative_to(ROOT).as_posix(), name[1].rstrip("."))
        for file in [*files, ROOT / "CONTRIBUTING.md"]
        for name in _DOTTED.finditer(file.read_text(encoding="utf-8"))
    }


def can_be_imported(name: str) -> bool:
    """Whether a dotted name is that of a module, or of something in one.

    Args:
        name: such as `"keras_efgsm.data.load_data"`, or `"module:Name"`.
    """
    *parts, last = name.replace(":", ".").split(".")
    try:
        importlib.import_module(".".join([*parts, last]))
        return True
    except ImportError:
        pass
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        try:
            for part in [*parts[count:], last]:
                found = getattr(found, part)
        except AttributeError:
            return False
        return True
    return False


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.[pm][yd]")) if path.is_dir() else [path]


def _of_file(file: Path) -> Iterator[DocstringExample]:
    path = file.relative_to(ROOT).as_posix()
    if file.suffix == ".md":
        text = file.read_text(encoding="utf-8")
        for example in _FENCE.finditer(text):
            if _FRAGMENT.search(text, 0, example.start()):
                continue
            line = text[: example.start()].count("\n") + 1
            yield DocstringExample(path, "", line, example[1])
        return
    for owner, node in _documented(ast.parse(file.read_text(encoding="utf-8")), ""):
        text = ast.get_docstring(node) or ""
        for example in _FENCE.finditer(text):
            line = node.body[0].lineno + text[: example.start()].count("\n")
            yield DocstringExample(path, owner, line, example[1])


def _documented(node: Any, owner: str) -> Iterator[tuple[str, Any]]:
    """What has a docstring that a user reads, each with its name."""
    yield owner, node
    for child in node.body:
        if isinstance(child, _DOCUMENTED) and not child.name.startswith("_"):
            name = f"{owner}.{child.name}" if owner else child.name
            if isinstance(child, ast.ClassDef):
                yield from _documented(child, name)
            else:
                yield name, child


def _with_values_checked(code: str) -> ast.Module:
    """An example in which each expression with its value behind it is checked for that value."""
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    tree = ast.parse(code)
    for node in tree.body:
        comment = comments.get(node.end_lineno or 0)
        if isinstance(node, ast.Expr) and comment and _is_value(comment):
            expect = ast.Name(_EXPECT, ast.Load())
            node.value = ast.Call(expect, [node.value, ast.Constant(comment)], [])
    return ast.fix_missing_locations(tree)


def _is_value(comment: str) -> bool:
    try:
        ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return False
    return True


def _expect(value: Any, comment: str) -> None:
    """Checks that a value is the one of a comment, numbers to the digits that are given."""
    expected = ast.literal_eval(comment)
    kind = np.asarray(expected).dtype.kind if isinstance(expected, float | list | tuple) else ""
    if kind and kind in "bfi":
        assert np.shape(value) == np.shape(expected), f"{value} is not {comment}"
        np.testing.assert_allclose(np.asarray(value), expected, rtol=1e-2, atol=1e-6)
    else:
        assert value == expected, f"{value!r} is not {comment}"
