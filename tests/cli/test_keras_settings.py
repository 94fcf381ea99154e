"""What Keras is set to, by its file or the environment, is looked at before anything is written."""

import json
import os
import subprocess
import sys

import keras
import pytest

from keras_efgsm.attacks import PGD
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.export import export_classifier
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.training import train
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SETTINGS = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}
WORDS = ["train", "digits", "--epochs", "1", "--out", "run"]
SET = [("floatx", "float64"), ("floatx", "float16"), ("image_data_format", "channels_first")]


@pytest.fixture
def set_to():
    """Sets Keras to something, and back."""

    def change(name, value):
        getattr(keras.config, f"set_{name}")(value)

    yield change
    for name in ("floatx", "image_data_format"):
        change(name, SETTINGS[name])


@pytest.mark.parametrize(("name", "value"), SET)
def test_every_entry_refuses_settings_that_change_what_layers_are(
    set_to, new_classifier, digits, tmp_path, name, value
):
    classifier = new_classifier()
    set_to(name, value)
    message = f"`{name}` of Keras must be.*keras.json.*Received: {name}='{value}'"
    for entry in (
        lambda: AdversarialTrainer(classifier, epsilon=0.1),
        lambda: train(PRESETS["digits"], tmp_path / "run"),
        lambda: evaluate_robustness(classifier, digits[1], PGD(epsilon=0.1)),
        lambda: export_classifier(classifier, tmp_path / "m", class_names=list("0123456789")),
    ):
        with pytest.raises(ValueError, match=message):
            entry()
    assert list(tmp_path.iterdir()) == []


def program(folder, settings, environment):
    """Runs the program with settings of its own for Keras, which is not imported yet."""
    home = folder / "home"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps(settings))
    names = {"KERAS_HOME": str(home), "KERAS_BACKEND": "", **environment}
    return subprocess.run(
        [sys.executable, "-m", "keras_efgsm", *WORDS],
        capture_output=True,
        text=True,
        env={**os.environ, **names},
        cwd=folder,
    )


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        ([], {}, "AttributeError"),
        (SETTINGS | {"floatx": "float7"}, {}, "Invalid `floatx` configuration"),
        (SETTINGS | {"backend": "no-such"}, {}, "Unable to import backend : no-such"),
        (SETTINGS, {"KERAS_MAX_EPOCHS": "many"}, "invalid literal for int()"),
    ],
    ids=["no object", "floatx", "backend", "variable"],
)
def test_settings_that_keras_itself_refuses_are_told_in_one_line(
    settings, environment, message, tmp_path
):
    done = program(tmp_path, settings, environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("keras-efgsm train: Keras cannot be imported (")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr and "keras.json" in done.stderr
    assert "Received: KERAS_BACKEND=" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(("name", "value"), SET)
def test_a_command_refuses_settings_that_change_what_layers_are_before_it_writes(
    fresh, tmp_path, name, value
):
    code = f"""
        import sys
        import keras
        keras.config.set_{name}({value!r})
        from keras_efgsm.cli import main
        sys.exit(main())
    """
    done = fresh.run(*WORDS, code=code, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("keras-efgsm train: `")
    assert done.stderr.endswith(f"Received: {name}='{value}'\n") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
