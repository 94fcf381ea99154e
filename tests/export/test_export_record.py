"""The record of an export, the card that is written from it, and exports that have none."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import Square
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.export import ExportRecord, export_classifier, measure
from keras_efgsm.export.measuring import find_export
from keras_efgsm.export.model_card import render_card

EXPORTED = Path(__file__).parents[2] / "exported_models" / "mnist"
FIGURES = {
    "schema": 2,
    "dataset": "digits",
    "split": "test",
    "num_images": 20,
    "natural_accuracy": 1.0,
    "worst_case_accuracy": 0.95,
    "attacks": [{"name": "square", "num_images": 20, "epsilon": 0.1, "robust_accuracy": 0.95}],
}


@pytest.fixture
def made(tmp_path):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    return export_classifier(
        keras.Sequential(layers),
        tmp_path / "m",
        class_names=["größer", "b"],
        forms=["saved-model", "tflite"],
        figures=FIGURES,
        config={"epsilon": 0.1, "when": Path("x")},
    )


def labelled(path, count=6):
    """Random images, and what a form answers to them as labels."""
    model = load_classifier(path)
    x = np.random.default_rng(0).random((count, *model.image_shape), dtype="float32")
    return x, np.argmax(model.logits_fn(tf.constant(x)), axis=1)


def measured(result, **options):
    return measure(
        result.saved_model,
        data=labelled(result.saved_model),
        attacks=[Square(epsilon=0.1, queries=2)],
        calls=1,
        progress=False,
        **options,
    )


def test_the_record_holds_what_the_card_says(made):
    record = ExportRecord.read(made.record)
    assert render_card(record) == made.model_card.read_text()
    assert record.figures == FIGURES
    assert record.contract.image_shape == (4, 4, 1)
    content = json.loads(made.record.read_text())
    assert content["contract"] == {
        "image_size": [4, 4],
        "channels": 1,
        "pixels": "[0, 1]",
        "resizing": None,
        "class_names": ["größer", "b"],
    }
    record.write(made.record)
    assert ExportRecord.read(made.record) == record


def test_the_card_is_written_anew_from_the_record_and_what_was_measured(made):
    before = made.model_card.read_text()
    found = measured(made)
    after = made.model_card.read_text()
    assert f"robust accuracy {100 * found.lowest()[1].robust:.2f} %" in after
    assert "The headline is 95.00 %, of another set of images" in after
    start, end = "## Measured on each file", "\n## Training configuration"
    assert after.split(start)[0] == before.split(start)[0]
    assert after.split(end)[1] == before.split(end)[1]
    # The record knows the new card, so that the next time is the same.
    assert ExportRecord.read(made.record).describes(after)
    measured(made, again=True)
    assert made.model_card.read_text().count(start) == 1


def test_words_that_someone_added_to_the_card_stay(made):
    card = made.model_card
    card.write_text(card.read_text().replace("## Limits", "## For whom\n\nFor cats.\n\n## Limits"))
    measured(made)
    text = card.read_text()
    assert "## For whom\n\nFor cats.\n" in text and "| `m-1.tflite` | " in text
    assert "The headline is 95.00 %" in text


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"schema": 1}', '{"schema": 9}'])
def test_a_damaged_record_is_refused_with_its_path(content, made):
    made.record.write_text(content)
    with pytest.raises(ValueError, match=r"must be readable.*Received: path="):
        ExportRecord.read(made.record)


@pytest.fixture
def old(tmp_path):
    """An export of version 0.1.0, without a record."""
    to = tmp_path / "mnist"
    shutil.copytree(EXPORTED / "1", to / "1")
    for ending in (".md", ".onnx", "-int8.tflite", ".measured.json"):
        shutil.copy(EXPORTED / f"mnist-1{ending}", to)
    return find_export(to / "1")


def test_an_export_of_an_earlier_version_is_evaluated_and_measured(old):
    assert list(old.forms) == ["saved-model", "tflite-int8", "onnx"] and not old.record.exists()
    x, y = labelled(old.folder, 4)
    attacks = [Square(epsilon=0.3, queries=2)]
    for path in old.forms.values():
        report = evaluate_robustness(path, (x, y), attacks, progress=False)
        assert report.natural_accuracy == 1.0
    card = old.card.read_text()
    with pytest.raises(ValueError, match="other settings"):
        measure(old.folder, data=(x, y), attacks=attacks, calls=1, progress=False)
    found = measure(old.folder, data=(x, y), attacks=attacks, calls=1, again=True, progress=False)
    assert list(found.forms) == list(old.forms)
    text = old.card.read_text()
    heading, after = "## Measured on each file", "\n## Training configuration"
    assert text.split(heading)[0] == card.split(heading)[0]
    assert text.split(after)[1] == card.split(after)[1]
    assert "89.56 %" in text.split(heading)[1].split("\n|")[0]
