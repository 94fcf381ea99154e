"""What a document or a docstring names can be imported from where it says."""

import ast
import builtins
import functools
import importlib
import json
import re
from pathlib import Path

import pytest

import keras_efgsm
from keras_efgsm import public_names

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "keras_efgsm"
CODE = ("keras_efgsm", "scripts", "tests")
NAMESPACES = [
    "attacks",
    "callbacks",
    "data",
    "distances",
    "evaluation",
    "export",
    "networks",
    "objectives",
    "pretrained",
    "recipes",
    "records",
    "serving",
    "universal",
]
# The names of the top at version 0.1.0, which old programs import.
OF_BEFORE = """
APGD ATTACK_SETS EFGSM FGSM METHODS NFGSM PGD PRESETS SPSA YOPO AdversarialCrossEntropy
AdversarialTensorBoard AdversarialTrainer Attack FreeReplay GradientRegularisation Identity
ImageData JointReconstruction LogitConsistency LogitPairing MarginWarning Method MomentumReset
NuclearAttack NuclearNorm Objective OverfittingStop PriorFGSM RandomSampling SampleMomentum Square
StraightThrough TargetedAPGD TargetedFAB TimeLeft Trades TradesAttack TrainingConfig Transfer
WeightAveraging diagnose digits_classifier digits_reconstructor evaluate_robustness
export_classifier load_classifier load_data make_attacks mnist_classifier mnist_paper_classifier
mnist_reconstructor train with_sample_ids
"""

_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"\bkeras_efgsm(?:\.\w+)+(?![\w/])")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def documents():
    named = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "scripts/README.md")]
    named += sorted((ROOT / "docs").glob("*.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in named}


def docstrings():
    """Docstrings by file and line; those of private functions are read by no user."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, _DOCUMENTED) or getattr(node, "name", "").startswith("_"):
                continue
            if text := ast.get_docstring(node):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.body[0].lineno}", text


def resolve(dotted):
    """What a dotted name stands for, module or not."""
    found = importlib.import_module("keras_efgsm")
    for number, part in enumerate(dotted.split(".")[1:], 2):
        if not hasattr(found, part):
            importlib.import_module(".".join(dotted.split(".")[:number]))
        found = getattr(found, part)
    return found


def texts():
    return [*documents().items(), *docstrings()]


def imports(text):
    """Dotted names that the examples of a text import from the package."""
    for example in _FENCE.findall(text):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "keras_efgsm":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                yield from (name for name in names if name.split(".")[0] == "keras_efgsm")


def test_every_name_that_a_text_imports_or_writes_out_is_there():
    named = {
        (where, name)
        for where, text in texts()
        for name in [*imports(text), *_DOTTED.findall(text)]
        if not name.endswith((".py", ".md"))
    }
    assert len(named) > 30
    missing = []
    for where, name in sorted(named):
        try:
            resolve(name)
        except (ImportError, AttributeError) as error:
            missing.append((where, name, str(error)))
    assert missing == []


def assigned(tree):
    """Names that an example makes itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def test_what_an_example_uses_of_ours_is_reached_from_the_top_or_one_step_below():
    offered = {*keras_efgsm.__all__, *public_names.__all__, *dir(builtins)}
    for name in [*NAMESPACES, "tuning"]:
        offered |= set(getattr(keras_efgsm, name).__all__)
    # What a reader brings along.
    offered |= {"LinearRunner", "MyAttack", "Path", "classifier", "step"}
    missing = []
    for where, text in docstrings():
        # The module itself is where its docstring stands.
        path = ROOT / where.partition(":")[0]
        own = named_by(path) | named_by(path.with_name("__init__.py"))
        for example in _FENCE.findall(text):
            tree = ast.parse(example)
            called = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            classes = {
                node.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Name) and node.id[0].isupper()
            }
            unknown = (called | classes) - {*assigned(tree), *offered, *own}
            missing += [(where, name) for name in sorted(unknown)]
    assert missing == []


@functools.cache
def named_by(path):
    """Public names that a module makes itself, or tells at its top where they come from."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("keras_efgsm"):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_a_name_is_imported_from_the_module_that_makes_it():
    passed_on = []
    for path in sorted(one for folder in CODE for one in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or "keras_efgsm." not in f"{node.module}.":
                continue
            source = ROOT / f"{node.module.replace('.', '/')}.py"
            # A package offers the names of its modules, `public_names` those of the top.
            if source.exists() and source.stem != "public_names":
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                names = {alias.name for alias in node.names} - made_by(source)
                passed_on += [(where, node.module, name) for name in sorted(names)]
    assert passed_on == []


@functools.cache
def made_by(path):
    """Names that a module makes itself, in a branch of it as well."""
    names, bodies = set(), [ast.parse(path.read_text("utf-8")).body]
    for body in bodies:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found = (name for target in targets for name in ast.walk(target))
                names |= {name.id for name in found if isinstance(name, ast.Name)}
            elif isinstance(node, ast.If | ast.Try):
                bodies += [node.body, node.orelse]
    return names


def test_a_program_of_before_still_imports_its_names():
    for name in OF_BEFORE.split():
        assert getattr(keras_efgsm, name) is not None
    from keras_efgsm import CLASSIFIERS, L2SGD, Augmentation, OneCycle

    assert Augmentation is keras_efgsm.sample_memory.Augmentation
    assert L2SGD is keras_efgsm.recipes.L2SGD
    assert OneCycle is keras_efgsm.recipes.OneCycle
    assert CLASSIFIERS is keras_efgsm.networks.CLASSIFIERS


def test_the_top_offers_little_and_its_parts_one_step_below():
    assert dir(keras_efgsm) == sorted(keras_efgsm.__all__)
    assert set(NAMESPACES) <= set(keras_efgsm.__all__)
    functions = set(keras_efgsm.__all__) - {*NAMESPACES, "__version__"}
    assert len(functions) <= 16
    for name in keras_efgsm.__all__:
        assert getattr(keras_efgsm, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'EFGMS'"):
        keras_efgsm.EFGMS  # noqa: B018
    with pytest.raises(ImportError):
        from keras_efgsm import EFGMS  # noqa: F401


def test_one_import_gives_every_folder_and_makes_what_can_be_saved_known_to_keras(fresh):
    code = f"""
import json
import keras_efgsm
from keras.saving import get_custom_objects
known = [name for name in get_custom_objects() if name.startswith("keras_efgsm>")]
reached = [len(getattr(keras_efgsm, name).__all__) for name in {NAMESPACES!r}]
print(json.dumps([known, reached]))
"""
    done = fresh.run(code=code)
    assert done.returncode == 0, done.stderr
    known, reached = json.loads(done.stdout.splitlines()[-1])
    registered = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and 'package="keras_efgsm"' in decorators(node)
    }
    assert len(registered) > 25
    assert {f"keras_efgsm>{name}" for name in registered} <= set(known)
    assert all(reached)


def decorators(node):
    return " ".join(ast.unparse(one).replace("'", '"') for one in node.decorator_list)


def test_in_the_program_a_plugin_of_the_user_imports_our_names_as_anywhere(fresh):
    code = """
import sys
sys.argv[0] = "keras-efgsm"
# What the process has imported already is out of sight until it is wanted.
hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("keras")}
import keras_efgsm
assert "keras" not in sys.modules
from keras_efgsm import networks
assert "keras" not in sys.modules
sys.modules.update(hidden)
from keras_efgsm import EFGSM, METHODS
print(EFGSM.__name__)
"""
    done = fresh.run(code=code)
    assert (done.returncode, done.stdout) == (0, "EFGSM\n"), done.stderr
