"""A form that a classifier cannot have: reported, and the others published; asked for, an error."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.cli import main
from keras_efgsm.export import (
    FORMS,
    Agreement,
    ExportError,
    ExportRecord,
    export_classifier,
    export_run,
)
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.folder import RunFolder

SHAPE = (8, 8, 3)
NAMES = ["a", "b", "c"]
LITERT = [form for form in FORMS if form.startswith("tflite")]
# Those of one file, quick to write.
QUICK = ("tflite", "onnx", "openvino")


def classifier_of(*layers, shape=SHAPE, classes=3):
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Flatten(), keras.layers.Dense(classes)]
    )


@keras.saving.register_keras_serializable("test_failing_forms")
class Bins(keras.layers.Layer):
    """Pixels by their bin, an operation that ONNX has not."""

    def call(self, x):
        return tf.cast(tf.raw_ops.Bucketize(input=x, boundaries=[0.2, 0.5, 0.8]), "float32")


@keras.saving.register_keras_serializable("test_failing_forms")
class Erf(keras.layers.Layer):
    """An operation that LiteRT has not."""

    def call(self, x):
        return keras.ops.erf(x)


@keras.saving.register_keras_serializable("test_failing_forms")
class BreaksInGraphs(keras.layers.Layer):
    """Answers eagerly, and raises where it is traced."""

    def compute_output_shape(self, shape):
        return shape

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x):
        if not tf.executing_eagerly():
            raise RuntimeError("no\ngraph of mine")
        return x


@pytest.fixture
def only():
    """Leaves some of the forms in the table, which has its order again afterwards."""
    table = dict(FORMS)

    def leave(*names):
        for name in set(FORMS) - set(names):
            del FORMS[name]

    yield leave
    FORMS.clear()
    FORMS.update(table)


@pytest.mark.parametrize(
    ("layers", "failing", "cause"),
    [
        ([Bins], ["onnx"], "ONNX.*Bucketize"),
        ([Erf], LITERT, "LiteRT.*Erf"),
        (
            [lambda: keras.layers.Resizing(5, 5, antialias=True)],
            [*LITERT, "onnx", "openvino"],
            "(LiteRT|ONNX|OpenVINO).*ScaleAndTranslate",
        ),
        (
            [lambda: keras.layers.Resizing(5, 5, interpolation="bicubic")],
            [*LITERT, "onnx", "openvino"],
            "LiteRT.*ResizeBicubic|OpenVINO.*ResizeBicubic|'onnx' must run",
        ),
    ],
    ids=["bucketize", "erf", "antialiased", "bicubic"],
)
def test_a_form_that_fails_is_reported_and_the_others_are_published(
    layers, failing, cause, tmp_path
):
    classifier = classifier_of(*(layer() for layer in layers))
    images = np.random.default_rng(0).random((16, *SHAPE), dtype="float32")
    to = tmp_path / "m"
    result = export_classifier(
        classifier, to, class_names=NAMES, representative_images=images, name="m"
    )
    assert list(result.skipped) == failing
    assert list(result.files) == [form for form in FORMS if form not in failing]
    record, card = ExportRecord.read(result.record), result.model_card.read_text()
    for form in failing:
        reason = result.skipped[form]
        assert re.search(cause, reason) and "\n" not in reason and len(reason) < 250
        assert str(tmp_path) not in reason and ".cpp" not in reason and "Received" not in reason
        assert record.failed[form] == reason
        assert f"- `{form}`: {reason}" in card
    # Nothing of them lies about, not even a companion.
    published = {part.name for f, p in result.files.items() for part in FORMS[f].files(p)}
    assert {path.name for path in to.iterdir()} == published | {"m-1.md", "m-1.json"}


@pytest.mark.parametrize(
    ("layer", "form", "cause"),
    [
        (Bins, "onnx", "ONNX.*Bucketize.*Received: "),
        (Erf, "tflite-float16", "LiteRT.*Erf.*Received: "),
        (BreaksInGraphs, "saved-model", "'saved-model'.*RuntimeError.*no graph of mine"),
    ],
)
def test_a_form_asked_for_that_fails_is_an_error_and_nothing_is_left(layer, form, cause, tmp_path):
    with pytest.raises(ExportError, match=cause) as caught:
        export_classifier(
            classifier_of(layer()), tmp_path / "m", class_names=NAMES, forms=[form, "openvino"]
        )
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_where_every_form_fails_all_reasons_are_told_and_nothing_is_left(tmp_path, only):
    only("saved-model", *QUICK)
    classifier = classifier_of(BreaksInGraphs())
    with pytest.raises(ExportError, match="saved-model: .*tflite: .*onnx: .*openvino: ") as caught:
        export_classifier(classifier, tmp_path / "m", class_names=NAMES)
    assert str(caught.value).count("no graph of mine") == 4 and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_matter_of_the_form(tmp_path, monkeypatch, only):
    only("tflite", "onnx")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FORMS["tflite"], "write", full)
    with pytest.raises(OSError, match="No space left"):
        export_classifier(classifier_of(), tmp_path / "m", class_names=NAMES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("difference", [2e-4, float("nan"), float("inf")])
def test_a_form_that_answers_otherwise_is_left_out_unless_it_is_asked_for(
    difference, tmp_path, monkeypatch, only
):
    only(*QUICK)

    def measure(form, *_):
        return Agreement(difference if form == "onnx" else 0.0, 1.0, 4, "random")

    monkeypatch.setattr("keras_efgsm.export.writing.measure_agreement", measure)
    result = export_classifier(classifier_of(), tmp_path / "m", class_names=NAMES)
    assert list(result.files) == ["tflite", "openvino"] and set(result.agreements) == {
        "tflite",
        "openvino",
    }
    assert f"within 0.0001 of those of Keras, not {difference:g}" in result.skipped["onnx"]
    assert not list(tmp_path.rglob("*.onnx"))
    with pytest.raises(ExportError, match="'onnx' must be within"):
        export_classifier(classifier_of(), tmp_path / "n", class_names=NAMES, forms=["onnx"])
    assert not (tmp_path / "n").exists()


def test_an_answer_that_depends_on_the_size_of_the_batch_is_seen(tmp_path, monkeypatch, only):
    only("tflite", "onnx")
    load = FORMS["onnx"].load

    def wrong_for_three(path):
        runner = load(path)
        right = runner.logits
        monkeypatch.setattr(
            runner, "logits", lambda images: right(images) + (len(images) == 3), raising=False
        )
        return runner

    monkeypatch.setattr(FORMS["onnx"], "load", wrong_for_three)
    result = export_classifier(classifier_of(), tmp_path / "m", class_names=NAMES)
    assert list(result.skipped) == ["onnx"] and "within" in result.skipped["onnx"]


# The command.


@pytest.fixture
def run(tmp_path):
    """The folder of a run whose classifier has no ONNX."""
    folder = RunFolder(tmp_path / "run")
    folder.prepare(PRESETS["digits"], resume=False)
    classifier = classifier_of(Bins(), shape=(8, 8, 1), classes=10)
    folder.save_model(classifier, folder.classifier)
    names = [str(i) for i in range(10)]
    folder.write_metrics({"natural_accuracy": 0.1, "class_names": names, "epochs": 0})
    return folder


def test_the_command_says_in_one_line_what_failed_and_publishes_the_rest(
    run, tmp_path, capsys, only
):
    only("saved-model", "tflite", "onnx")
    assert main(["export", str(run.path), "--to", str(tmp_path / "m")]) == 0
    out = capsys.readouterr().out
    assert f"tflite: {tmp_path / 'm' / 'm-1.tflite'}" in out
    (line,) = [line for line in out.splitlines() if "skipped" in line]
    assert line.startswith("onnx skipped: ") and "Bucketize" in line
    assert main(["export", str(run.path), "--to", str(tmp_path / "n"), "--forms", "onnx"]) == 2
    error = capsys.readouterr().err
    assert "Bucketize" in error and error.count("\n") == 1
    assert not (tmp_path / "n").exists()


def test_without_a_folder_the_command_exports_to_one_of_the_name_of_the_run(
    run, tmp_path, capsys, only, monkeypatch
):
    only("saved-model", "tflite", "onnx")
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run.path)]) == 0
    assert (tmp_path / "exported_models" / "run" / "run-1.tflite").is_file()
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "exported_models/NAME" in " ".join(capsys.readouterr().out.split())
    file = run.classifier.rename(tmp_path / "cats.keras")
    result = export_run(file, class_names=[str(i) for i in range(10)])
    assert result.model_card.resolve() == tmp_path / "exported_models" / "cats" / "cats-1.md"
    odd = file.rename(tmp_path / "-my cats.keras")
    with pytest.raises(ValueError, match=r"`to`.*'-my cats'"):
        export_run(odd, class_names=[str(i) for i in range(10)])


def test_few_training_images_leave_out_integers_alone(run, tmp_path, only):
    only("tflite", "tflite-int8")
    config = json.loads(run.config.read_text())
    np.savez(
        tmp_path / "few.npz",
        x_train=np.zeros((12, 8, 8, 1), "uint8"),
        y_train=np.arange(12) % 10,
        x_test=np.zeros((10, 8, 8, 1), "uint8"),
        y_test=np.arange(10),
    )
    run.config.write_text(json.dumps({**config, "dataset": str(tmp_path / "few.npz")}))
    result = export_run(run.path, tmp_path / "m")
    assert list(result.files) == ["tflite"]
    assert re.search("at least 16 training images.*12", result.skipped["tflite-int8"])
    with pytest.raises(ValueError, match="at least 16.*12"):
        export_run(run.path, tmp_path / "n", forms=["tflite-int8"])
    assert not (tmp_path / "n").exists()


def test_an_interrupt_within_a_trace_ends_an_export_and_is_no_failed_form(monkeypatch, tmp_path):
    def write(self, classifier, path, given):
        try:
            raise KeyboardInterrupt
        finally:
            # As TensorFlow does where its stack of graphs is not what it was.
            raise AssertionError("Nesting violated")

    monkeypatch.setattr(type(FORMS["tflite"]), "write", write)
    with pytest.raises(KeyboardInterrupt):
        export_classifier(classifier_of(), tmp_path / "m", class_names=NAMES)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
