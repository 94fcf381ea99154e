"""Every backend offers the same names, to which `keras_efgsm.backend` adds none of its own."""

import ast
from pathlib import Path

import pytest

import keras_efgsm.backend

FOLDER = Path(keras_efgsm.backend.__file__).parent
BACKENDS = ("tensorflow", "jax")


def offered(backend):
    """The `__all__` of a backend, read without its framework."""
    body = ast.parse((FOLDER / backend / "__init__.py").read_text("utf-8")).body
    (names,) = (ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign))
    return set(names)


def test_there_is_no_backend_beside_those():
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == set(BACKENDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_offers_what_the_one_in_use_does(backend):
    in_use = offered(keras_efgsm.backend.BACKEND)
    assert offered(backend) == in_use
    assert all(hasattr(keras_efgsm.backend, name) for name in in_use)
