import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.cli import main
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import StraightThrough, evaluate_robustness, load_classifier
from keras_efgsm.evaluation import make_attacks as attacks_of
from keras_efgsm.export.onnx_file import write_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("tf2onnx")

EPSILON = 0.2


def network(activation=None, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation=activation),
        ]
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a classifier of random weights as `twin.keras` and `twin.onnx`."""
    folder, model = tmp_path_factory.mktemp("onnx"), network()
    model.save(folder / "twin.keras")
    write_onnx(model, folder / "twin.onnx")
    return folder


@pytest.fixture(scope="module")
def data(place):
    """Digits, and the answers of the twin as labels: natural accuracy 1."""
    x = load_digits("test").pixels()[:40]
    twin = load_classifier(place / "twin.keras")
    return x, np.argmax(twin.logits_fn(tf.constant(x)), axis=1)


def changed(place, target, change):
    model = onnx.load(place / "twin.onnx")
    change(model.graph)
    onnx.save(model, target)
    return target


def set_size(dimension, size):
    dimension.ClearField("dim_param")
    dimension.dim_value = size


def test_an_onnx_file_answers_batches_of_any_size_like_its_twin(place, data):
    x, _ = data
    twin, file = load_classifier(place / "twin.keras"), load_classifier(place / "twin.onnx")
    assert (file.image_shape, file.num_classes) == ((8, 8, 1), 10)
    assert file.description == "twin.onnx" and not file.differentiable
    in_graph = tf.function(file.logits_fn)
    for images in (x, x[:1], x[:7]):
        images = tf.constant(images)
        for answer in (file.logits_fn(images), in_graph(images)):
            np.testing.assert_allclose(answer, twin.logits_fn(images), atol=1e-4)
    concrete = in_graph.get_concrete_function(tf.TensorSpec((5, 8, 8, 1)))
    assert concrete.structured_outputs.shape == (5, 10)


def test_a_file_of_a_fixed_batch_is_run_batch_after_batch(place, data, tmp_path):
    def fix(graph):
        set_size(graph.input[0].type.tensor_type.shape.dim[0], 3)

    x, _ = data
    fixed = load_classifier(changed(place, tmp_path / "fixed.onnx", fix))
    whole = load_classifier(place / "twin.onnx")
    images = tf.constant(x[:10])
    np.testing.assert_allclose(fixed.logits_fn(images), whole.logits_fn(images), atol=1e-5)


def test_black_box_and_straight_through_attacks_find_what_they_find_on_the_twin(place, data):
    twin = load_classifier(place / "twin.keras")
    for names, model in (
        ("square", load_classifier(place / "twin.onnx")),
        ("pgd-cw", StraightThrough(place / "twin.onnx", twin)),
    ):
        options = {"queries": 60} if names == "square" else {"steps": 4, "step_size": 0.05}
        attacks = attacks_of(names, EPSILON, **options)
        on_file, on_twin = (
            evaluate_robustness(m, data, attacks, progress=False) for m in (model, twin)
        )
        assert on_twin.attacks[0].num_turned > 5
        # Logits differ in the last digits, so a draw may go the other way once in a while.
        assert (on_file.robust != on_twin.robust).sum() <= 2


def test_the_state_knows_an_onnx_file_by_its_content(place, tmp_path):
    file, copy = load_classifier(place / "twin.onnx"), tmp_path / "copy.onnx"
    copy.write_bytes((place / "twin.onnx").read_bytes())
    assert load_classifier(copy).identity() == file.identity()
    write_onnx(network(seed=1), tmp_path / "other.onnx")
    assert load_classifier(tmp_path / "other.onnx").identity() != file.identity()


def test_without_onnx_runtime_the_package_is_named_in_one_line(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    words = ["--dataset", "digits", "--epsilon", "0.1"]
    assert main(["evaluate", str(place / "twin.onnx"), *words]) == 2
    error = capsys.readouterr().err
    assert "pip install keras-efgsm[onnx]" in error and error.count("\n") == 1


def damaged(place, path):
    path.write_bytes(b"nothing")


def of_any_size(place, path):
    def free(graph):
        graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"

    changed(place, path, free)


def of_bytes(place, path):
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ("n", 8, 8, 1))
    answer = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.UINT8, ("n", 8, 8, 1))
    node = onnx.helper.make_node("Identity", ["image"], ["logits"])
    graph = onnx.helper.make_graph([node], "bytes", [image], [answer])
    onnx.save(onnx.helper.make_model(graph, ir_version=8), path)


def of_vectors(place, path):
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ("n", 8, 8, 1))
    answer = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ("n", 8, 8, 1))
    node = onnx.helper.make_node("Identity", ["image"], ["logits"])
    graph = onnx.helper.make_graph([node], "images", [image], [answer])
    onnx.save(onnx.helper.make_model(graph, ir_version=8), path)


def softmax(place, path):
    write_onnx(network(activation="softmax"), path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (damaged, "cannot be loaded"),
        (of_any_size, "one batch of float32 images of one size"),
        (of_bytes, "one batch of float32 images of one size"),
        (of_vectors, "must answer with float32 logits"),
        (softmax, "must return logits"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused(place, tmp_path, make, message):
    make(place, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=rf"{message}.*Received: path="):
        load_classifier(tmp_path / "model.onnx")
