"""Files of whole models, read as if a stranger had written them: `.keras` and `.h5`."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.limits import TooLarge
from keras_efgsm.networks.answers import random_images
from keras_efgsm.networks.own_models import from_file, read_keras_file

SHAPE = (3, 4, 1)
X = random_images(SHAPE)


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)])


@pytest.fixture
def h5_file(model, tmp_path):
    model.save(tmp_path / "a.h5")
    return tmp_path / "a.h5"


@pytest.mark.parametrize("ending", ["h5", "hdf5", "keras"])
def test_a_whole_model_answers_as_before_it_was_saved(model, tmp_path, ending):
    model.save(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(read_keras_file(tmp_path / f"a.{ending}")(X), model(X))


def with_link(file):
    file["model_weights/more"] = h5py.ExternalLink("/etc/hostname", "/")


def with_soft_link(file):
    file["more"] = h5py.SoftLink("/model_weights")


def with_virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "a", (4,))
    file.create_virtual_dataset("model_weights/more", layout)


def with_external(file):
    file.create_dataset("model_weights/more", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def with_a_bomb(file):
    file.create_dataset("model_weights/more", (2**40,), "f4", chunks=(1024,))


def with_itself(file):
    file["model_weights/more"] = file["/"]


def without_model(file):
    del file.attrs["model_config"]


def with_deep_json(file):
    file.attrs["model_config"] = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (with_link, "link, which may lead to another file"),
        (with_soft_link, "link, which may lead to another file"),
        (with_virtual, "lie in another file"),
        (with_external, "lie in another file"),
        (without_model, "weights without a model.*load_weights"),
        (with_deep_json, "not nested so deep"),
    ],
)
def test_an_h5_file_is_refused(h5_file, damage, message):
    with h5py.File(h5_file, "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=f"cannot be loaded.*{message}.*Received: path="):
        read_keras_file(h5_file)


def test_an_h5_file_that_asks_for_terabytes_is_refused_by_its_headers(h5_file):
    with h5py.File(h5_file, "a") as file:
        with_a_bomb(file)
    with pytest.raises(TooLarge, match="--max-pixels.*Received: path="):
        read_keras_file(h5_file)


def test_a_group_that_holds_itself_is_walked_through_once(h5_file, model):
    with h5py.File(h5_file, "a") as file:
        with_itself(file)
    np.testing.assert_array_equal(read_keras_file(h5_file)(X), model(X))


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_what_is_no_model_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with pytest.raises(FileNotFoundError, match="Received: path="):
        read_keras_file(path)
    path.write_bytes(b"nonsense" * 9)
    with pytest.raises(ValueError, match="damaged.*Received: path="):
        read_keras_file(path)


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_stored_code_runs_only_where_it_is_trusted(tmp_path, ending):
    doubled = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Lambda(lambda x: 2 * x), layers.Dense(3)]
    )
    path = tmp_path / f"a.{ending}"
    doubled.save(path)
    with pytest.raises(ValueError, match="holds code, in a Lambda.*`--unsafe`.*Received: path="):
        read_keras_file(path)
    np.testing.assert_array_equal(read_keras_file(path, unsafe=True)(X), doubled(X))


@keras.saving.register_keras_serializable(package="tests_model_files")
class WithHead(keras.Model):
    """A model that calls a part of itself its classifier."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.classifier = layers.Flatten(), keras.Sequential([layers.Dense(3)])

    def call(self, images):
        return self.classifier(self.flatten(images))


def test_a_model_with_a_classifier_of_its_own_is_no_training_wrapper(tmp_path):
    model = WithHead()
    expected = model(X)
    model.save(tmp_path / "a.keras")
    np.testing.assert_allclose(from_file(tmp_path / "a.keras")(X), expected, rtol=1e-6)
