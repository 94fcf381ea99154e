"""A served model that resizes: files of any size, as the images of its training were."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_efgsm.data import load_folder
from keras_efgsm.export import write_saved_model
from support.image_folders import make_folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((12, 10, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    classifier = keras.Sequential(layers)
    path = tmp_path_factory.mktemp("export") / "1"
    write_saved_model(classifier, path, ["forest", "sea", "town"], resizes=True)
    loaded = tf.saved_model.load(str(path))
    return classifier, loaded, loaded.signatures["serving_bytes"]


def test_photographs_of_any_size_are_answered_as_training_saw_them(served, tmp_path):
    classifier, _, serve = served
    root = make_folder("photographs", tmp_path / "photographs", 2)
    exif = Image.Exif()
    exif[274] = 6
    first = next(iter(sorted((root / "sea").iterdir())))
    Image.open(first).save(root / "sea" / "turned.jpg", exif=exif)
    Image.open(first).convert("L").save(root / "town" / "grey.png")
    data = load_folder(root, image_size=(12, 10), channels=3)
    files = [f.read_bytes() for c in data.class_names for f in sorted((root / c).iterdir())]
    expected = keras.ops.softmax(classifier(data.pixels()))
    answer = serve(image_bytes=tf.constant(files))["probabilities"]
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_a_file_of_too_many_pixels_is_refused_by_its_header(served):
    header = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60000).to_bytes(4) * 2 + b"\x08\x02" + b"\0" * 9
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at most 61000000 pixels.*\[0 60000"):
        served[2](image_bytes=tf.constant([header]))
