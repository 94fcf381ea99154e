import keras
import pytest

from keras_efgsm.attacks import EFGSM
from keras_efgsm.data import load_digits
from keras_efgsm.trainer import AdversarialTrainer


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
