"""What commit 75c4ee0 wrote: a run that was interrupted after six steps, and a trainer."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_efgsm.runs.training
from keras_efgsm.attacks import EFGSM
from keras_efgsm.cli import main, make_parser
from keras_efgsm.cli.config_options import read_config
from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.objectives import JointReconstruction
from keras_efgsm.recipes import PRESETS
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.training import train

OLD = Path(__file__).parent / "old"


def tiny_classifier(image_shape, num_classes, **_):
    layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    return keras.Sequential(layers, name="tiny")


def tiny_reconstructor(image_shape, num_classes, **_):
    pixels = keras.layers.Dense(int(np.prod(image_shape)), activation="sigmoid")
    return keras.Sequential(
        [keras.Input((num_classes,)), pixels, keras.layers.Reshape(image_shape)]
    )


def digits(split):
    data = load_digits(split)
    return ImageData(data.images[:60], data.labels[:60], data.class_names, data.name)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the run; its networks, which were made for these files, by name."""
    monkeypatch.setitem(CLASSIFIERS, "tiny", tiny_classifier)
    monkeypatch.setitem(RECONSTRUCTORS, "tiny", tiny_reconstructor)
    return shutil.copytree(OLD / "run", tmp_path / "run")


def test_an_interrupted_run_goes_on_as_it_did(run):
    config = RunFolder(run).read_config()
    assert (config.image_size, config.channels, config.attack) == (None, None, None)
    data = {"train_data": digits("train"), "test_data": digits("test")}
    train(config, run, resume=True, **data, verbose=0)
    with open(run / "history.csv") as found, open(OLD / "resumed.csv") as expected:
        pairs = list(zip(csv.DictReader(found), csv.DictReader(expected), strict=True))
    assert len(pairs) == 3
    for row, old in pairs:
        # Measured since; what was measured before has none.
        assert row.keys() - {"probe_natural_accuracy"} == old.keys()
        for name in old.keys() - {"seconds"}:
            # Of another processor the last digits differ.
            assert float(row[name]) == pytest.approx(float(old[name]), abs=1e-4), (old, name)
    natural = [row["probe_natural_accuracy"] for row, _ in pairs]
    assert [bool(value) for value in natural] == [False, True, True]


def test_the_command_line_resumes_what_had_other_defaults(run, monkeypatch):
    stored = RunFolder(run).read_config()
    assert not stored.attack_in_training_mode and PRESETS["digits"].attack_in_training_mode
    asked = []

    def train(config, *_, **__):
        asked.append(config)
        raise ValueError("enough")

    monkeypatch.setattr(keras_efgsm.runs.training, "train", train)
    words = ["train", "digits", "--classifier", "tiny", "--reconstructor", "tiny", "--resume"]
    words += [
        "--epsilon",
        "0.1",
        "--epochs",
        "3",
        "--batch-size",
        "16",
        "--weight-averaging",
        "0.9",
    ]
    words += ["--sigma", "0.1", "--probe-images", "6", "--out", str(run)]
    assert main(words) == 2
    assert asked == [stored]


def test_the_command_line_resumes_a_start_that_did_not_follow_epsilon(run, monkeypatch):
    words = ["train", "digits", "--method", "efgsm", "--epsilon", "0.1"]
    config = read_config(make_parser(words).parse_args(words))
    stored = dataclasses.replace(config, method_options={**config.method_options, "sigma": 0.1})
    (run / "config.json").write_text(json.dumps(stored.to_dict()))
    asked = []

    def train(config, *_, **__):
        asked.append(config)
        raise ValueError("enough")

    monkeypatch.setattr(keras_efgsm.runs.training, "train", train)
    for more in ([], ["--sigma", "none"], ["--decay", "0.9"], ["--method", "combined"]):
        assert main([*words, *more, "--resume", "--out", str(run)]) == 2
    # The last is the preset's own, half of epsilon.
    assert [one.method_option("sigma") for one in asked] == [0.1, 0.1 / 3, 0.1, 0.05]
    assert asked[0] == stored


def test_a_trainer_loads_with_all_its_parts():
    trainer = keras.models.load_model(OLD / "trainer.keras")
    assert isinstance(trainer.attack, EFGSM)
    assert (trainer.attack.epsilon, trainer.attack.sigma) == (0.1, 0.05)
    assert isinstance(trainer.objective, JointReconstruction)
    assert trainer.objective.classification_weight == 0.2
    assert (trainer.num_samples, trainer.seed, trainer.epsilon_warmup_steps) == (60, 3, 2)
    logits = np.asarray(trainer.classifier(digits("test").pixels()[:2], training=False))
    np.testing.assert_allclose(logits, np.load(OLD / "logits.npy"), atol=1e-5)
    data = digits("train")
    with pytest.warns(UserWarning, match="momentum is new"):
        trainer.fit(data.pixels(), data.labels, batch_size=20, epochs=1, verbose=0)
