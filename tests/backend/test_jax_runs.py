"""Runs begun on one backend and used on the other, each in a process of its own."""

import importlib.util
import json

import numpy as np
import pytest

pytestmark = [
    # JAX does not bear to be forked, so each process imports and compiles all it needs.
    pytest.mark.slow(reason="trains, evaluates and exports in ten processes"),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("tensorflow", "jax")),
        reason="needs both TensorFlow and JAX",
    ),
]
TRAIN = ["train", "digits", "--epochs", "2", "--train-images", "300", "--quiet"]
LOGITS = """
    import sys
    import keras, numpy as np
    from keras_efgsm.data import load_digits
    from keras_efgsm.evaluation import load_classifier
    x = keras.ops.convert_to_tensor(load_digits("test").pixels(slice(50)))
    np.save(sys.argv[2], np.asarray(load_classifier(sys.argv[1]).logits_fn(x)))
"""


@pytest.fixture(scope="module")
def python(fresh):
    """Runs Python on a backend."""

    def run(backend, *words, **what):
        environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        return fresh.run(*words, env=environment, **what)

    return run


@pytest.fixture(scope="module")
def command(python):
    """Runs a command on a backend, which must end well."""

    def run(backend, *words):
        done = python(backend, *words, module="keras_efgsm")
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory, command):
    """A run that was trained on JAX."""
    folder = tmp_path_factory.mktemp("jax") / "run"
    command("jax", *TRAIN, "--out", folder)
    return folder


@pytest.fixture
def logits(python, tmp_path):
    def run(backend, path):
        done = python(backend, path, tmp_path / "logits.npy", code=LOGITS)
        assert done.returncode == 0, done.stderr[-3000:]
        return np.load(tmp_path / "logits.npy")

    return run


def test_a_run_names_the_backend_and_its_version(run):
    versions = json.loads((run / "metrics.json").read_text())["versions"]
    assert "jax" in versions and "tensorflow" not in versions


def test_a_run_of_jax_is_evaluated_and_exported_under_tensorflow_and_answers_alike(
    run, command, logits, tmp_path
):
    command("tensorflow", "evaluate", run, "--attacks", "pgd-ce", "--num-images", 50, "--steps", 5)
    exported = tmp_path / "digits"
    command("tensorflow", "export", run, "--to", exported, "--forms", "saved-model")
    on_jax = logits("jax", run)
    np.testing.assert_allclose(logits("tensorflow", run), on_jax, atol=1e-4)
    np.testing.assert_allclose(logits("tensorflow", exported / "1"), on_jax, atol=1e-4)


def test_export_under_jax_says_where_to_export(run, python, tmp_path):
    done = python("jax", "export", run, "--to", tmp_path / "digits", module="keras_efgsm")
    assert done.returncode == 2
    assert "KERAS_BACKEND=tensorflow keras-efgsm export" in done.stderr
    assert not (tmp_path / "digits").exists()


def test_the_diagnosis_under_jax_says_where_it_runs(run, python):
    done = python("jax", "diagnose", run, module="keras_efgsm")
    assert done.returncode == 2
    assert "KERAS_BACKEND=tensorflow" in done.stderr


def test_a_run_is_not_resumed_on_another_backend(run, python):
    done = python("tensorflow", *TRAIN, "--out", run, "--resume", module="keras_efgsm")
    assert done.returncode == 2
    assert "set KERAS_BACKEND=jax" in done.stderr


def test_under_jax_nothing_imports_tensorflow(run, python):
    script = """
        import sys
        sys.modules["tensorflow"] = None  # an import of it fails
        from keras_efgsm import *
        from keras_efgsm.cli import main
        assert main(["evaluate", sys.argv[1], "--attacks", "pgd-ce", "--steps", "2"]) == 0
        assert main(["methods"]) == 0
    """
    done = python("jax", run, code=script)
    assert done.returncode == 0, done.stderr[-3000:]


def test_half_precision_trains_on_jax(command, tmp_path):
    command("jax", *TRAIN, "--dtype-policy", "mixed_bfloat16", "--out", tmp_path / "half")
    metrics = json.loads((tmp_path / "half" / "metrics.json").read_text())
    assert metrics["natural_accuracy"] > 0.3
