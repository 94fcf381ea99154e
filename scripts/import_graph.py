"""Lists the packages of keras_efgsm by floor, and finds imports that run upward or in a circle.

    python scripts/import_graph.py [--arrows]

`FLOORS` is the declared order, from the ground up: a package may import those below it. Imports
inside functions and those for annotations count as well. Exit status 1 if one runs upward that
`EXCEPTIONS` does not name, or if modules import each other in a circle.
"""

import argparse
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "keras_efgsm"

FLOORS = {
    "version": "its number",
    "file_lock": "locks that one process at a time holds",
    "atomic_file": "files that are whole or not there",
    "keras_settings": "the settings of Keras that everything is written for",
    "checks": "what is asked of an argument, and how a refusal is worded",
    "array_checks": "what is asked of images, labels, weights and ids",
    "limits": "how much a file may ask for",
    "archives": "what an archive of arrays holds, by its headers",
    "typing": "types that all use",
    "configured": "configurations made from signatures",
    "equations": "the paper's equations, as pure functions of tensors",
    "noise": "noise keyed by seed, step and sample",
    "distribution": "which replica and worker this process is",
    "backend": "gradients, step and tables: one module a framework",
    "printing": "how results print themselves: a table, HTML in a notebook",
    "progress_bar": "the bar of everything that takes long",
    "form": "what every form of an export has and does",
    "form_table": "the table of these forms, filled by `export.forms`",
    "records": "one type for each JSON file: read, write, schema, wording",
    "pictures": "the look of all drawings: colours, axes, labels, figures",
    "networks": "architectures of any image shape, what is asked of a classifier, precision",
    "sample_memory": "momentum and kept images of each sample, in memory or on disk; views of them",
    "attacks": "clean images in, adversarial ones out",
    "objectives": "what is minimised",
    "updates": "how a batch becomes updates of the weights",
    "trainer": "the Keras model",
    "data": "every source of images as one type",
    "callbacks": "what any `fit` may use",
    "evaluation": "robust accuracy",
    "distances": "how far images are from the decision boundary",
    "diagnosis": "signs of masked gradients",
    "recipes": "configuration, methods, presets, and what is built from them",
    "runs": "a run on disk: folder, log, checkpoints, resume",
    "export": "what leaves: one form a file, its card, what each measures",
    "pretrained": "robust models that come with the package",
    "serving": "TensorFlow Serving's configuration, clients, load",
    "report": "one page of HTML on runs",
    "universal": "one perturbation for all images of a set",
    "comparison": "several models under the same attacks",
    "tuning": "the search of hyperparameters",
    "public_names": "the names at the top of the package",
    "cli": "parses and prints, nothing else",
    "__main__": "`python -m keras_efgsm`",
}
"""The packages and single modules from the ground up, each with what it is for."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Imports that may run upward, importer and imported, each with its reason."""


class Upward(NamedTuple):
    """An import of something that is not below.

    Args:
        importer: the module, without the name of the package.
        imported: what it imports.
        line: where, in the file of the importer.
    """

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported} (line {self.line})"


class ImportGraph:
    """Which module imports which.

    Args:
        package: the name of the package. Defaults to `keras_efgsm`.
        root: the folder that it lies in. Defaults to this checkout.
        floors: its packages from the ground up. Defaults to `FLOORS`.
    """

    def __init__(
        self,
        package: str = PACKAGE,
        root: Path = ROOT,
        floors: dict[str, str] = FLOORS,
    ):
        sys.path.insert(0, str(root))
        try:
            graph = grimp.build_graph(package, cache_dir=None)
        finally:
            sys.path.remove(str(root))
        self.package, self.floors = package, list(floors)
        self.imports = {
            module: sorted(graph.find_modules_directly_imported_by(module))
            for module in sorted(graph.modules)
        }
        self._graph = graph

    def floor_of(self, module: str) -> int:
        """The number of a module's floor, from 0; the package's own first module is above all.

        Args:
            module: its full name.

        Raises:
            ValueError: if its package is not in the table.
        """
        _, _, inside = module.partition(".")
        room = inside.partition(".")[0]
        if not room:
            return len(self.floors)
        if room not in self.floors:
            raise ValueError(f"`FLOORS` must say on which floor it is. Received: {module!r}")
        return self.floors.index(room)

    def rooms(self) -> dict[str, set[str]]:
        """What is on each floor, and the other floors that it imports."""
        rooms: dict[str, set[str]] = {}
        for module, imported in self.imports.items():
            _, _, inside = module.partition(".")
            if inside:
                room = inside.partition(".")[0]
                found = {name.split(".")[1] for name in imported if "." in name}
                rooms.setdefault(room, set()).update(found - {room})
        return dict(sorted(rooms.items(), key=lambda item: self.floors.index(item[0])))

    def upward(self) -> list[Upward]:
        """All imports of what is not below, those named in `EXCEPTIONS` included."""
        found = []
        for module, imported in self.imports.items():
            for name in imported:
                if self.floor_of(name) <= self.floor_of(module) or self._is_outside(name):
                    continue
                details = self._graph.get_import_details(importer=module, imported=name)
                line = details[0]["line_number"] if details else 0
                found.append(Upward(self._short(module), self._short(name), line))
        return found

    def circle(self) -> list[str]:
        """The modules of a circle of imports, the first being the last as well; or none."""
        try:
            TopologicalSorter(self.imports).prepare()
        except CycleError as error:
            return list(error.args[1])
        return []

    def _is_outside(self, name: str) -> bool:
        return not name.startswith(f"{self.package}.") and name != self.package

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self.package}.")


def problems(graph: ImportGraph, exceptions: dict[tuple[str, str], str] = EXCEPTIONS) -> list[str]:
    """What is wrong with a graph, one line each.

    Args:
        graph: the imports.
        exceptions: what may run upward. Defaults to `EXCEPTIONS`.
    """
    upward = graph.upward()
    pairs = {(found.importer, found.imported) for found in upward}
    wrong = [
        f"upward: {found}" for found in upward if (found.importer, found.imported) not in exceptions
    ]
    wrong += [
        f"exception without an import: {importer} imports {imported}"
        for importer, imported in exceptions
        if (importer, imported) not in pairs
    ]
    circle = graph.circle()
    if circle:
        wrong.append(f"circle: {' <- '.join(circle)}")
    return wrong


def main() -> int:
    """Prints the floors from the roof down, then what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arrows", action="store_true", help="also what each package imports")
    options = parser.parse_args()
    graph = ImportGraph()
    rooms = graph.rooms()
    for room, imported in reversed(rooms.items()):
        print(f"{graph.floors.index(room):>2}  {room:<14} {FLOORS[room]}")
        if options.arrows and imported:
            print(f"{'':<19}imports {', '.join(n for n in graph.floors if n in imported)}")
    arrows = sum(len(imported) for imported in rooms.values())
    print(f"{len(rooms)} packages and modules, {arrows} arrows between them")
    for (importer, imported), reason in EXCEPTIONS.items():
        print(f"excepted: {importer} imports {imported}: {reason}")
    wrong = problems(graph)
    for line in wrong:
        print(line)
    print("no circle, none upward but those excepted" if not wrong else f"{len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
