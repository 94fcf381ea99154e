"""The examples of docstrings run."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks import ATTACKS, EFGSM
from keras_efgsm.backend import BACKEND
from keras_efgsm.objectives import OBJECTIVES
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from support.doctests import ROOT, find_examples

# Whose examples run; a folder joins once all of its do.
RUN = (
    "keras_efgsm/attacks",
    "keras_efgsm/configured.py",
    "keras_efgsm/equations.py",
    "keras_efgsm/noise.py",
    "keras_efgsm/objectives",
)
EXAMPLES = find_examples(*RUN)
# What a name in the code of an example needs, where a backend has not got it.
TENSORFLOW_ONLY = ("SPSA",)


@pytest.fixture
def namespace(digits, new_classifier, new_reconstructor, tmp_path, monkeypatch):
    """What an example finds: small, and made anew for each, as it may train it."""
    (x_train, y_train), (x_test, y_test) = digits
    x, y = x_test[:8], y_test[:8]
    classifier, reconstructor = new_classifier(), new_reconstructor()
    trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.2))
    trainer.compile("sgd")
    monkeypatch.chdir(tmp_path)
    # A class that an example registers is gone afterwards.
    monkeypatch.setattr("keras_efgsm.attacks.registry.ATTACKS", dict(ATTACKS))
    monkeypatch.setattr("keras_efgsm.objectives.registry.OBJECTIVES", dict(OBJECTIVES))
    return {
        "keras": keras,
        "np": np,
        "ops": ops,
        "equations": equations,
        "x": ops.convert_to_tensor(x),
        "y": ops.convert_to_tensor(y, "int32"),
        "x_train": x_train[:64],
        "y_train": y_train[:64],
        "x_test": x,
        "y_test": y,
        "images": x,
        "labels": y,
        "class_names": [str(digit) for digit in range(10)],
        "classifier": classifier,
        "reconstructor": reconstructor,
        "attack": EFGSM(epsilon=0.2),
        "trainer": trainer,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_runs(example, namespace):
    if BACKEND != "tensorflow" and any(name in example.code for name in TENSORFLOW_ONLY):
        pytest.skip("of the TensorFlow backend")
    example.run(namespace)


def test_every_attack_and_objective_has_an_example():
    told = {example.owner for example in EXAMPLES}
    ours = [
        part
        for part in (*ATTACKS.values(), *OBJECTIVES.values())
        if part.__module__.startswith("keras_efgsm.")
    ]
    assert {part.__name__ for part in ours} <= told


def test_an_example_is_found_by_its_file_its_owner_and_its_line():
    (example,) = find_examples("keras_efgsm/attacks/pgd.py")
    assert (example.owner, example.module) == ("PGD", "keras_efgsm.attacks.pgd")
    lines = (ROOT / example.path).read_text().splitlines()
    assert lines[example.line - 1].strip() == "```python"
    assert lines[example.line].strip() == example.code.strip().splitlines()[0]


def test_an_example_that_fails_names_its_place(namespace):
    (example,) = find_examples("keras_efgsm/attacks/pgd.py")
    broken = type(example)(example.path, example.owner, example.line, "1 / 0")
    with pytest.raises(ZeroDivisionError) as error:
        broken.run(namespace)
    assert str(error.traceback[-1].path).endswith(str(broken))
