"""Evaluations of models in other forms: binary, of many classes, subclassed, exported by others."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_efgsm.attacks import PGD
from keras_efgsm.cli import main
from keras_efgsm.diagnosis import diagnose
from keras_efgsm.evaluation import evaluate_robustness, load_classifier, make_attacks
from keras_efgsm.networks.answers import random_images

SHAPE = (6, 6, 1)
X = random_images(SHAPE, 24)


def dense(units, activation=None):
    keras.utils.set_random_seed(1)
    ends = [layers.Flatten(), layers.Dense(units, activation=activation)]
    return keras.Sequential([keras.Input(SHAPE), *ends])


def standard(model, labels, epsilon, **options):
    attacks = make_attacks("standard", epsilon, steps=3, queries=10, **options)
    return evaluate_robustness(model, (X, labels), attacks, cascade=True, progress=False)


@pytest.mark.slow(reason="it traces four attacks")
def test_two_classes_go_through_all_attacks_of_standard_and_lose_what_a_linear_one_must():
    model = dense(1)
    z = np.array(model(X))[:, 0]
    labels = (z > 0).astype(int)
    # The exact distance of a linear classifier; the boundary of [0, 1] hinders it but little.
    distance = np.abs(z) / np.abs(np.array(model.weights[0])).sum()
    epsilon = float(np.median(distance))
    report = standard(model, labels[:, None], epsilon)
    assert [a.name for a in report.attacks] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert report.natural_accuracy == 1.0
    assert np.mean(distance > epsilon) <= report.worst_case_accuracy <= 0.7


@pytest.mark.slow(reason="it traces four attacks")
def test_a_thousand_classes_are_attacked_towards_the_nearest_of_them():
    model = dense(1000)
    labels = np.argmax(model(X), axis=1)
    report = standard(model, labels, 0.02, targets=2)
    assert report.natural_accuracy == 1.0 and report.worst_case_accuracy < 1.0
    assert report.attacks[1].rounds == 2


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.last = layers.Flatten(), layers.Dense(3)

    def call(self, images):
        return {"features": self.flatten(images), "logits": self.last(self.flatten(images))}


def test_a_subclassed_model_takes_the_shape_of_the_images_that_it_is_evaluated_on():
    model = Subclassed()
    labels = np.arange(24) % 3
    report = evaluate_robustness(model, (X, labels), PGD(epsilon=0.1, steps=2), progress=False)
    assert report.natural_accuracy == np.mean(np.argmax(model(X)["logits"], axis=1) == labels)
    right = np.argmax(model(X)["logits"], axis=1)
    options = {"steps": 2, "queries": 5, "samples": 5, "restarts": 2, "progress": False}
    found = diagnose(model, (X, right), 0.1, **options)
    # Of so few images it looks for no sign, but it has asked the model about them.
    assert found.model.endswith("its output 'logits'")


@pytest.mark.tensorflow("SavedModels")
@pytest.mark.parametrize(("units", "activation"), [(3, "softmax"), (1, "sigmoid"), (1, None)])
def test_a_saved_model_of_keras_is_read_as_its_user_says(tmp_path, units, activation):
    model = dense(units, activation)
    model.export(tmp_path / "1", verbose=False)
    output = "probabilities" if activation else "auto"
    if activation:
        with pytest.raises(ValueError, match="--output probabilities"):
            load_classifier(tmp_path / "1")
    loaded = load_classifier(tmp_path / "1", output=output)
    kernel, bias = (np.array(v) for v in model.weights)
    z = X.reshape(24, -1) @ kernel + bias
    margins = z - z[:, :1] if units > 1 else np.hstack([0 * z, z])
    found = np.array(loaded.logits_fn(ops.convert_to_tensor(X)))
    np.testing.assert_allclose(found - found[:, :1], margins, rtol=1e-3, atol=1e-3)
    assert bool(loaded.doubts) == bool(activation)


@pytest.mark.tensorflow("SavedModels")
def test_of_several_outputs_of_a_saved_model_one_is_named(tmp_path):
    images = keras.Input(SHAPE)
    flat = layers.Flatten()(images)
    model = keras.Model(images, {"a": layers.Dense(2)(flat), "b": layers.Dense(4)(flat)})
    model.export(tmp_path / "1", verbose=False)
    with pytest.raises(ValueError, match=r"--output-name.*outputs=\['a', 'b'\]"):
        load_classifier(tmp_path / "1")
    assert load_classifier(tmp_path / "1", output_name="b").num_classes == 4
    with pytest.raises(ValueError, match="output_name='c'"):
        load_classifier(tmp_path / "1", output_name="c")


def test_a_command_says_what_a_file_of_probabilities_needs_and_takes_it_then(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = dense(3, "softmax")
    model.save("a.h5")
    pixels = (255 * X).astype("uint8")
    labels = np.argmax(model(pixels / 255.0), axis=1)
    np.savez("a.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    line = ["evaluate", "a.h5", "--dataset", "a.npz", "--epsilon", "0.1", "--attacks", "pgd-ce"]
    assert main([*line, "--steps", "2"]) == 2
    assert "--output probabilities" in capsys.readouterr().err
    assert main([*line, "--steps", "2", "--output", "probabilities", "--json", "a.json"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["model"] == "a.h5, without its softmax"
