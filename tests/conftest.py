import gc
import os
import signal

# As on a terminal, also where the suite was started by `nohup`, which has it ignored.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# One thread an operation in every process, however many the suite runs in and whatever the number
# of cores: what is computed does not depend on either, and workers do not take each other's core.
# Before TensorFlow and JAX are imported; processes that tests start inherit it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")  # one alone could wait for itself
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import EFGSM
from keras_efgsm.backend import BACKEND
from keras_efgsm.data import load_digits
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from support import process_state
from support.fresh_process import FreshProcesses

# What holds on every backend, `KERAS_BACKEND=jax make test`. The other files are about TensorFlow's
# own forms (SavedModel, TFLite, `tf.data`, `tf.distribute`, ...), scripts that use these, or APGD
# step by step in float64, which JAX has on demand only.
SHARED = {
    "test_array_batches.py",
    "test_attack_sets.py",
    "test_attacks.py",
    "test_augmentation.py",
    "test_backends_agree.py",
    "test_callbacks.py",
    "test_calls.py",
    "test_cifar10_networks.py",
    "test_consistency.py",
    "test_distances.py",
    "test_docstrings.py",
    "test_equations.py",
    "test_evaluation.py",
    "test_every_attack.py",
    "test_every_objective.py",
    "test_fab.py",
    "test_gradients.py",
    "test_image_shapes.py",
    "test_jax_runs.py",
    "test_methods.py",
    "test_momentum.py",
    "test_networks.py",
    "test_noise.py",
    "test_objectives.py",
    "test_recipe.py",
    "test_registering.py",
    "test_resume.py",
    "test_specs.py",
    "test_square.py",
    "test_trainer.py",
    "test_training_attacks.py",
    "test_training_mode.py",
    "test_universal.py",
    "test_zo_sign.py",
}


def pytest_ignore_collect(collection_path):
    if BACKEND != "tensorflow" and collection_path.name.startswith("test_"):
        return collection_path.name not in SHARED or None
    return None


def pytest_collection_finish():
    # What is imported by now stays; each collection of all garbage would go through it again.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    for item in items:
        marker = item.get_closest_marker("tensorflow")
        if marker and BACKEND != "tensorflow":
            reason = f"of the TensorFlow backend: {marker.args[0]}"
            item.add_marker(pytest.mark.skip(reason=reason))


def _left_as_found():
    """Puts the process back, so that no other test fails, and fails the one that changed it."""
    process_state.seed()
    with process_state.put_back() as changed:
        yield
    assert not changed, f"left changed, for every test that follows: {', '.join(changed)}"


# Around what the fixtures of a module make, and around each test.
_module_leaves_the_process = pytest.fixture(scope="module", autouse=True)(_left_as_found)
_test_leaves_the_process = pytest.fixture(autouse=True)(_left_as_found)


@pytest.fixture(scope="session")
def gradients():
    """Gradients of a scalar function of tensors: `gradients(function, *values)`, NumPy arrays."""

    def on_tensorflow(function, *values):
        import tensorflow as tf

        values = [tf.Variable(value, dtype="float32") for value in values]
        with tf.GradientTape() as tape:
            total = function(*values)
        found = tape.gradient(total, values)
        return [
            np.zeros(v.shape, "float32") if g is None else g.numpy()
            for g, v in zip(found, values, strict=True)
        ]

    def on_jax(function, *values):
        import jax

        values = [keras.ops.convert_to_tensor(value, "float32") for value in values]
        return [np.asarray(g) for g in jax.grad(function, tuple(range(len(values))))(*values)]

    return on_tensorflow if BACKEND == "tensorflow" else on_jax


@pytest.fixture(scope="session")
def fresh():
    """Python processes in which nothing has run yet: `fresh.run(*words, module="keras_efgsm")`."""
    processes = FreshProcesses()
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def uncompiled():
    """Evaluations without graphs: what they find is the same, and a trace takes far longer."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("native_engine", "verdict", "targeted"):
            name = f"keras_efgsm.evaluation.{module}.compiled_once"
            patch.setattr(name, lambda function, reads=(): function)
        yield


@pytest.fixture(scope="module")
def few_attacks():
    """Curves of a report with few radii and numbers of iterations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_efgsm.report.measurements._EPSILON_FACTORS", (0.5, 1.0))
        patch.setattr("keras_efgsm.report.films._FILM_FACTORS", (1.0, 4.0))
        patch.setattr("keras_efgsm.report.measurements.ITERATIONS", (1, 100))
        yield


def small_classifier(*, batch_norm=False, hidden=16, shape=(8, 8, 1), classes=10, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input(shape)]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    layers.append(keras.layers.Flatten())
    if hidden:
        layers.append(keras.layers.Dense(hidden, activation="relu"))
    return keras.Sequential([*layers, keras.layers.Dense(classes)], name="small")


def small_reconstructor(*, shape=(8, 8, 1), classes=10, seed=1):
    keras.utils.set_random_seed(seed)
    size = shape[0] * shape[1] * shape[2]
    layers = [
        keras.Input((classes,)),
        keras.layers.Dense(size, activation="sigmoid"),
        keras.layers.Reshape(shape),
    ]
    return keras.Sequential(layers, name="reconstructor")


@pytest.fixture(scope="session")
def digits():
    """`(x, y), (x_test, y_test)` of scikit-learn's digits."""
    train, test = load_digits("train"), load_digits("test")
    return (train.pixels(), train.labels), (test.pixels(), test.labels)


@pytest.fixture(scope="session")
def small(digits):
    """A hundred digits: `(x, y)`."""
    (x, y), _ = digits
    return x[:100], y[:100]


@pytest.fixture(scope="session")
def new_classifier():
    return small_classifier


@pytest.fixture(scope="session")
def new_reconstructor():
    return small_reconstructor


@pytest.fixture(scope="session")
def new_trainer():
    """Makes a compiled trainer of a small network; the same arguments give the same weights."""

    def make(attack=None, *, reconstructor=False, optimizer=None, compiled=None, **options):
        network = {k: options.pop(k) for k in ("batch_norm", "hidden") if k in options}
        trainer = AdversarialTrainer(
            options.pop("classifier", None) or small_classifier(**network),
            attack or EFGSM(epsilon=0.2),
            small_reconstructor() if reconstructor is True else reconstructor or None,
            **options,
        )
        trainer.compile(optimizer or keras.optimizers.SGD(0.1), **(compiled or {}))
        return trainer

    return make
