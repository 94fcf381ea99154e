"""What holds of every form of an export, and of one that is registered from outside."""

import importlib.util
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import Square
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.export import (
    FORMS,
    ExportError,
    ExportRecord,
    Form,
    Runner,
    export_classifier,
    register_form,
)
from keras_efgsm.export.measuring import find_export, find_twin, measure
from keras_efgsm.form_table import form_of, parse_name

SHAPE = (8, 8, 3)
NAMES = ["a", "b", "c"]
# Of this module when it is collected; the form from outside comes and goes.
ALL = tuple(FORMS)


@pytest.fixture(scope="module")
def classifier():
    """With a normalisation whose weights no variable holds, as our CIFAR-10 networks have it."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Normalization(mean=[0.5, 0.4, 0.6], variance=[0.1, 0.2, 0.3]),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def pixels(count=6, seed=1):
    return np.random.default_rng(seed).random((count, *SHAPE), dtype="float32")


@pytest.fixture(scope="module")
def exported(classifier, tmp_path_factory):
    to = tmp_path_factory.mktemp("every") / "m"
    return export_classifier(classifier, to, class_names=NAMES, representative_images=pixels(20))


@pytest.mark.parametrize("name", ALL)
def test_it_answers_like_keras_for_any_batch(name, exported, classifier):
    form, path = FORMS[name], exported.files[name]
    assert form_of(path).load(path).image_shape == SHAPE
    runner = form.load(path)
    assert (runner.image_shape, runner.num_classes) == (SHAPE, 3)
    for count in (6, 1, 5):
        expected = classifier(pixels(count), training=False).numpy()
        answers = runner.logits(pixels(count))
        assert answers.dtype == np.float32 and answers.shape == (count, 3)
        tolerance = min(form.tolerance, 0.1)
        assert np.abs(answers - expected).max() <= tolerance * max(1, np.abs(expected).max())
    assert np.ptp(expected, axis=0).max() > 0.1
    # An answer is the caller's own: the next call leaves it alone.
    kept = answers.copy()
    runner.logits(pixels(5, seed=9))
    assert np.array_equal(answers, kept)


@pytest.mark.parametrize("name", ALL)
def test_it_is_evaluated_like_any_classifier(name, exported, classifier):
    model = load_classifier(exported.files[name])
    assert (model.image_shape, model.num_classes) == (SHAPE, 3)
    assert model.differentiable == (name == "saved-model")
    labels = np.argmax(classifier(pixels(), training=False), axis=1)
    attack = Square(epsilon=0.1, queries=2)
    report = evaluate_robustness(model, (pixels(), labels), attack, progress=False)
    assert report.natural_accuracy >= 0.5
    in_graph = tf.function(model.logits_fn)(tf.constant(pixels()))
    assert np.allclose(in_graph, model.logits_fn(tf.constant(pixels())), atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_its_files_are_found_by_name_and_recorded(name, exported):
    form, path = FORMS[name], exported.files[name]
    for file in form.files(path):
        assert file.exists()
        found = parse_name(file.name)
        assert (found.form, found.version) == (form, 1) or name == "saved-model"
    assert find_export(exported.files["saved-model"]).forms[name] == path
    assert name == "saved-model" or find_twin(path) == exported.files["saved-model"]
    (entry,) = [e for e in ExportRecord.read(exported.record).files if e.form == name]
    assert entry.file == path.name
    assert {path.parent / file for file in entry.sha256} >= set(form.content(path))
    files = [file for file in form.files(path) if file.is_file()] or path.rglob("*.*")
    assert entry.size >= sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("name", ALL)
def test_the_card_says_what_it_is_how_to_load_it_and_what_it_does_not_do(name, exported):
    form, file = FORMS[name], exported.files[name].name
    card = exported.model_card.read_text()
    inputs, loading = card.split("## Loading")[0], card.split("## Loading")[1].split("## Limits")[0]
    assert form.what in inputs and f"`{file}" in inputs
    assert f'"{file}"' in loading or f"`{file}`" in loading
    for sentence in form.limits:
        assert f"- {sentence}" in card.split("## Limits")[1]


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_such_file_is_refused_with_its_path(name, tmp_path):
    path = tmp_path / FORMS[name].file_name("m", 1)
    if name == "saved-model":
        path.mkdir()
        path = path / "saved_model.pb"
    path.write_bytes(b"nothing of the kind")
    path = path.parent if name == "saved-model" else path
    with pytest.raises(ValueError, match=rf"(?s)cannot be loaded.*path='{re.escape(str(path))}'"):
        load_classifier(path)


@pytest.mark.parametrize("name", ALL)
def test_images_of_another_size_are_not_answered(name, exported):
    runner = FORMS[name].load(exported.files[name])
    with pytest.raises(Exception, match=r"."):
        runner.logits(np.zeros((2, 9, 8, 3), "float32"))


@pytest.mark.parametrize("name", ALL)
def test_a_failure_midway_leaves_nothing_half_written(name, classifier, tmp_path, monkeypatch):
    def half(classifier, path, given):
        for part in FORMS[name].files(path):
            part.write_bytes(b"half")
        raise ExportError("no such operation")

    monkeypatch.setattr(FORMS[name], "write", half)
    with pytest.raises(ExportError, match="no such operation"):
        export_classifier(
            classifier,
            tmp_path / "m",
            class_names=NAMES,
            forms=[name],
            representative_images=pixels(20),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in ALL if FORMS[name].packages])
def test_without_its_packages_it_is_skipped_and_the_extra_is_named(
    name, classifier, tmp_path, monkeypatch
):
    form, found = FORMS[name], importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda p: None if p in form.packages else found(p)
    )
    wanted = rf"pip install keras-efgsm\[{form.extra}\]"
    with pytest.raises(ImportError, match=rf"{name!r} cannot be written: it needs .*{wanted}"):
        export_classifier(classifier, tmp_path / "m", class_names=NAMES, forms=[name])
    assert list(tmp_path.iterdir()) == []
    for other in FORMS.values():
        monkeypatch.setattr(other, "needs_images", other.name != "tflite" and other is not form)
    result = export_classifier(classifier, tmp_path / "m", class_names=NAMES)
    assert list(result.files) == ["tflite"]
    assert re.search(wanted, result.skipped[name])
    assert form.what not in result.model_card.read_text()


@pytest.mark.parametrize("name", [name for name in ALL if FORMS[name].packages])
def test_without_its_runtime_a_file_of_it_is_refused_and_the_extra_is_named(
    name, exported, monkeypatch
):
    for package in FORMS[name].packages:
        monkeypatch.setitem(importlib.sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install keras-efgsm\[{FORMS[name].extra}\]"):
        load_classifier(exported.files[name])


def test_an_option_of_no_form_is_refused_before_anything_is_written(classifier, tmp_path):
    with pytest.raises(ValueError, match="one of onnx_opset.*Received: opset=17"):
        export_classifier(classifier, tmp_path / "m", class_names=NAMES, opset=17)
    assert list(tmp_path.iterdir()) == []


# A form from outside: one object.


class LinearRunner(Runner):
    def __init__(self, path):
        with np.load(path) as weights:
            self.kernel, self.bias = weights["kernel"], weights["bias"]
            self.image_shape = tuple(int(size) for size in weights["shape"])
        self.num_classes = len(self.bias)

    def logits(self, images):
        return (images.reshape(len(images), -1) @ self.kernel + self.bias).astype("float32")


class Weights(Form):
    name, ending, what = "weights", "-weights.npz", "weights of a linear classifier"
    limits = ("The weights check nothing.",)

    def write(self, classifier, path, given):
        kernel, bias = classifier.get_weights()
        np.savez(path, kernel=kernel, bias=bias, shape=given.contract.image_shape)

    def load(self, path):
        return LinearRunner(path)

    def loading(self, file, contract, name, others=()):
        return f'With NumPy:\n\n```python\nweights = np.load("{file}")\n```'


@pytest.fixture
def weights():
    yield register_form(Weights())
    del FORMS["weights"]


def test_a_form_from_outside_is_written_carded_evaluated_and_measured(weights, tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    linear = keras.Sequential(layers)
    to = tmp_path / "m"
    result = export_classifier(linear, to, class_names=NAMES, forms=["saved-model", "weights"])
    path = to / "m-1-weights.npz"
    assert result.files == {"saved-model": to / "1", "weights": path}
    assert result.differences["weights"] <= 1e-4
    card = result.model_card.read_text()
    for words in ("| weights of a linear classifier |", 'np.load("m-1-weights.npz")', "check noth"):
        assert words in card
    x = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    y = np.argmax(linear(x), axis=1)
    assert load_classifier(path).description == "m-1-weights.npz"
    assert find_twin(path) == to / "1"
    attack = Square(epsilon=0.2, queries=3)
    found = measure(to / "1", data=(x, y), attacks=[attack], calls=2, progress=False)
    assert list(found.forms) == ["saved-model", "weights"]
    assert found.forms["weights"].natural == 1.0
    assert "| `m-1-weights.npz` |" in result.model_card.read_text().split("## Measured")[1]
    second = export_classifier(linear, to, class_names=NAMES, forms=["weights"])
    assert second.version == 2


def test_a_name_or_an_ending_is_given_once(weights):
    for form in (FORMS["onnx"], Weights()):
        with pytest.raises(ValueError, match="a name and endings of its own.*Received: form.name="):
            register_form(form)
    with pytest.raises(ValueError, match="must be a `Form`"):
        register_form("onnx")
