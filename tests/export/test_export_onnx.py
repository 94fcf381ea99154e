import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from keras_efgsm.export import ExportError, export_classifier, onnx_logits, write_onnx
from keras_efgsm.export.onnx_file import check_opset

SHAPE = (8, 8, 1)
NAMES = ["a", "b", "c"]


def make_classifier():
    keras.utils.set_random_seed(4)
    image = keras.Input(SHAPE)
    x = keras.layers.Rescaling(2.0, offset=-1.0)(image)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(3)(x))


def random_images(count=5):
    return np.random.default_rng(7).random((count, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def classifier():
    return make_classifier()


@pytest.fixture(scope="module")
def file(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    write_onnx(classifier, path)
    return path


def test_onnxruntime_answers_like_keras_for_any_batch(file, classifier):
    for count in (1, 5, 9):
        images = random_images(count)
        expected = classifier(images, training=False).numpy()
        assert np.abs(onnx_logits(file, images) - expected).max() <= 1e-4
    assert np.ptp(expected, axis=0).max() > 1e-2


def test_the_file_names_its_input_its_output_and_their_batch(file):
    model = onnx.load(str(file))
    ((entry,), (answer,)) = model.graph.input, model.graph.output
    assert (entry.name, answer.name) == ("image", "logits")
    for value, sizes in ((entry, [8, 8, 1]), (answer, [3])):
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch" and [d.dim_value for d in rest] == sizes
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {o.domain: o.version for o in model.opset_import}[""] == 17


def test_onnxruntime_runs_the_file_in_a_process_without_tensorflow(file, classifier, tmp_path):
    np.save(tmp_path / "images.npy", random_images())
    script = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
np.save("logits.npy", session.run(["logits"], {"image": np.load("images.npy")})[0])
assert not {"tensorflow", "keras", "keras_efgsm"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, str(file)], cwd=tmp_path, check=True)
    expected = classifier(random_images(), training=False).numpy()
    assert np.abs(np.load(tmp_path / "logits.npy") - expected).max() <= 1e-4


def test_the_conversion_leaves_the_process_as_it_was(classifier, tmp_path):
    # tf2onnx freezes graphs with functions of TensorFlow 1.
    level = tf.get_logger().level
    before = json.dumps(dict(os.environ)), keras.config.dtype_policy().name
    write_onnx(classifier, tmp_path / "m.onnx")
    assert (json.dumps(dict(os.environ)), keras.config.dtype_policy().name) == before
    assert tf.executing_eagerly() and not tf.config.functions_run_eagerly()
    assert tf.get_logger().level == level
    classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.train_on_batch(random_images(), np.zeros(5))


def test_another_opset_is_written_where_it_is_asked_for(classifier, tmp_path):
    write_onnx(classifier, tmp_path / "m.onnx", opset=13)
    model = onnx.load(str(tmp_path / "m.onnx"))
    assert {o.domain: o.version for o in model.opset_import}[""] == 13


@pytest.mark.parametrize("opset", [12, 99, 0, 17.5])
def test_an_opset_that_is_not_written_is_refused_before_anything_is(opset, classifier, tmp_path):
    with pytest.raises(ValueError, match="Received: opset="):
        check_opset(opset)
    with pytest.raises(ValueError, match="Received: opset="):
        export_classifier(
            classifier, tmp_path / "m", class_names=NAMES, forms=["onnx"], onnx_opset=opset
        )
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_onnx_has_not_is_refused(tmp_path):
    class FirstOf(keras.layers.Layer):
        def call(self, x):
            return tf.raw_ops.Bucketize(input=x, boundaries=[0.5]) / 1

    layers = [keras.Input(SHAPE), FirstOf(), keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(ExportError, match="operations that ONNX has.*Received: classifier="):
        write_onnx(keras.Sequential(layers), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(classifier, tmp_path):
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(ValueError, match="not exist yet"):
        write_onnx(classifier, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_text() == "mine"


@pytest.fixture
def without_tf2onnx(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name)
    )


def test_without_the_packages_the_form_is_skipped_with_the_way_to_get_it(
    without_tf2onnx, classifier, tmp_path
):
    result = export_classifier(classifier, tmp_path / "m", class_names=NAMES)
    assert result.skipped["onnx"] == "it needs tf2onnx: pip install keras-efgsm[onnx]"
    assert "onnx" not in result.files and not list(tmp_path.rglob("*.onnx"))
    assert "ONNX" not in result.model_card.read_text()


def test_without_the_packages_the_form_asked_for_is_an_error_before_anything_is_written(
    without_tf2onnx, classifier, tmp_path
):
    with pytest.raises(ImportError, match=r"tf2onnx: pip install keras-efgsm\[onnx\]"):
        export_classifier(classifier, tmp_path / "m", class_names=NAMES, forms=["tflite", "onnx"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Dense(8, activation="gelu")],
        [keras.layers.Lambda(lambda x: keras.ops.erf(x) + tf.math.erfc(3.0 * x - 1.0))],
        [keras.layers.Conv2D(4, 3, activation="celu")],
        [keras.layers.Lambda(lambda x: tf.math.expm1(2.0 * x - 1.0))],
        [keras.layers.Conv2D(4, 1), keras.layers.Conv2D(8, 3, groups=2, activation="relu")],
        [keras.layers.Conv2D(6, 1), keras.layers.Conv2D(6, 3, strides=2, groups=6)],
    ],
    ids=["gelu", "erfc", "celu", "expm1", "groups", "as many groups as channels"],
)
def test_what_tf2onnx_has_no_rule_for_is_made_of_what_onnx_has(layers, tmp_path):
    keras.utils.set_random_seed(5)
    stack = [keras.Input(SHAPE), *layers, keras.layers.Flatten(), keras.layers.Dense(3)]
    classifier = keras.Sequential(stack)
    write_onnx(classifier, tmp_path / "m.onnx")
    for count in (1, 3, 17):
        expected = classifier(random_images(count), training=False).numpy()
        found = onnx_logits(tmp_path / "m.onnx", random_images(count))
        assert np.abs(found - expected).max() <= 1e-5
    assert np.ptp(expected, axis=0).max() > 1e-2
