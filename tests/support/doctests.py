"""The examples of docstrings, collected from the source and run with shared objects.

A small collector of our own: of the well-kept ones, pytest-examples brings a formatter along and
Sybil shares one namespace among all examples of a file. An example is what stands between
"```python" and "```" in the docstring of a module, or of a public class, function or method. Each
runs by itself: with what its own module can name, the public names of the package and of its
folders, and the objects of a namespace that a test hands over.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_efgsm

ROOT = Path(keras_efgsm.__file__).parents[1]
# Whose public names an example may use without importing them.
_NAMESPACES = (
    "",
    ".public_names",
    ".attacks",
    ".callbacks",
    ".data",
    ".evaluation",
    ".networks",
    ".objectives",
)
_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class DocstringExample:
    """An example of a docstring.

    Args:
        path: of the source file, relative to the repository.
        owner: name of what has the docstring, such as `"Noise.normal"`; empty for a module.
        line: of the file on which the docstring begins.
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
        public = {}
        for name in _NAMESPACES:
            folder = importlib.import_module(f"keras_efgsm{name}")
            public |= {public_name: getattr(folder, public_name) for public_name in folder.__all__}
        known = {**public, **vars(importlib.import_module(self.module)), **namespace}
        # As a module of its own, whose classes are not taken for those of the package.
        exec(compile(self.code, str(self), "exec"), {**known, "__name__": "example"})


def find_examples(*paths: str) -> list[DocstringExample]:
    """All examples in files, or below folders, of the repository.

    Args:
        *paths: relative to the repository.
    """
    files = [file for path in paths for file in _files(ROOT / path)]
    return [example for file in files for example in _of_file(file)]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _of_file(file: Path) -> Iterator[DocstringExample]:
    path = file.relative_to(ROOT).as_posix()
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
