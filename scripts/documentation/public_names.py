"""The public names of the package, read from its source without importing it."""

import ast
import functools
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
PACKAGE = "keras_efgsm"
# What the top offers comes first; each is one page of the reference.
NAMESPACES = (
    "attacks",
    "callbacks",
    "comparison",
    "data",
    "diagnosis",
    "distances",
    "equations",
    "evaluation",
    "export",
    "limits",
    "networks",
    "objectives",
    "pretrained",
    "recipes",
    "records",
    "report",
    "sample_memory",
    "serving",
    "trainer",
    "tuning",
    "universal",
    "updates",
)


@functools.cache
def package() -> griffe.Module:
    """The package, as its source says."""
    found = griffe.load(PACKAGE, search_paths=[ROOT], allow_inspection=False)
    assert isinstance(found, griffe.Module)
    return found


def names_of(namespace: str) -> list[str]:
    """The public names of a folder or module of the package.

    Args:
        namespace: such as `"attacks"`.

    Example:

    ```python
    "PGD" in names_of("attacks")  # True
    ```
    """
    module = package()[namespace]
    if module.exports is not None:
        return sorted(map(str, module.exports))
    return sorted(
        name
        for name, member in module.members.items()
        if not name.startswith("_") and not member.is_alias and not member.is_module
    )


def names_of_the_top() -> list[str]:
    """What can be imported from `keras_efgsm` itself, less its folders.

    `keras_efgsm.__all__`, and the names that stay there for older programs.
    """
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text("utf-8"))
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    others = map(str, package()["public_names"].exports or ())
    return sorted({*listed, *others} - set(NAMESPACES) - {"__version__"})


def definition_of(dotted: str) -> str:
    """Where a name is made: `"keras_efgsm.attacks.pgd.PGD"` of `"keras_efgsm.attacks.PGD"`.

    Args:
        dotted: a public name, with its folder.
    """
    found = package()[dotted.removeprefix(f"{PACKAGE}.")]
    return str(found.final_target.path if found.is_alias else found.path)


@functools.cache
def documented_at() -> dict[str, tuple[str, str]]:
    """Where each public name stands in the reference.

    Returns:
        By dotted name, that of the top included: the namespace whose page it is, `""` for the top,
        and the name by which it stands there.
    """
    places: dict[str, tuple[str, str]] = {}
    by_definition: dict[str, tuple[str, str]] = {}
    for namespace in NAMESPACES:
        for name in names_of(namespace):
            dotted = f"{PACKAGE}.{namespace}.{name}"
            # Where two folders offer one thing it stands in the first that makes it.
            at_home = definition_of(dotted).startswith(f"{PACKAGE}.{namespace}.")
            if at_home or definition_of(dotted) not in by_definition:
                by_definition[definition_of(dotted)] = (namespace, dotted)
    for namespace in NAMESPACES:
        for name in names_of(namespace):
            dotted = f"{PACKAGE}.{namespace}.{name}"
            places[dotted] = by_definition[definition_of(dotted)]
    public = package()["public_names"]
    for name in names_of_the_top():
        dotted = f"{PACKAGE}.{name}"
        source = public.members.get(name) or package().members.get(name)
        target = str(source.final_target.path) if source is not None and source.is_alias else dotted
        places[dotted] = by_definition.get(target, ("", target))
    return places
