"""The folder in which the examples of docstrings run: a small run, its export, its images."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from keras_efgsm.backend import BACKEND
from keras_efgsm.data import ImageData, load_digits, save_npz
from keras_efgsm.evaluation import evaluate_robustness, make_attacks
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import AskedAttackPart, ComparedPart, ComparisonRecord, TallyRecord
from keras_efgsm.records.comparison import BLACK_BOX, ranked
from keras_efgsm.records.intervals import interval_of
from keras_efgsm.runs.training import train
from support.doctests import ROOT

SHAPE = (28, 28, 1)
# A diagnosis takes 20 that are classified correctly.
TEST_IMAGES = 40
CLASS_NAMES = tuple(str(digit) for digit in range(10))
_DIAGNOSIS = {
    "schema": 1,
    "verdict": "no sign of masking",
    "masked": False,
    "advice": "Evaluate in full.",
    "findings": [],
    "epsilon": 0.3,
    "num_images": 8,
    "num_correct": 4,
    "lowest_accuracy": 0.4,
    "seed": 0,
    "dataset": "mnist:test",
    "model": "run",
    "curves": {},
    "versions": {"keras": "3.15.1"},
    "hardware": "a processor, 2 cores",
    "seconds": 2.5,
}


def enlarged_digits(split: str, count: int) -> ImageData:
    """Digits of scikit-learn, as large as those of MNIST.

    Args:
        split: `"train"` or `"test"`.
        count: how many.
    """
    data = load_digits(split)
    images = np.pad(data.images[:count].repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2), (0, 0)))
    return ImageData(images, data.labels[:count], CLASS_NAMES)


def make_folder(classifier: keras.Model) -> ImageData:
    """Writes what examples read into the current folder, which is empty.

    Args:
        classifier: of images `SHAPE` in ten classes, not trained.

    Returns:
        Test images that the trained classifier gets right.
    """
    test = enlarged_digits("test", TEST_IMAGES)
    save_npz("mnist.npz", enlarged_digits("train", 600), test)
    classifier.save("classifier.keras")
    config = TrainingConfig(
        dataset="mnist.npz",
        classifier="classifier.keras",
        reconstructor=None,
        epsilon=0.3,
        method="efgsm",
        epochs=3,
        batch_size=32,
        learning_rate=0.01,
        probe_images=0,
    )
    trained = train(config, "runs/mnist", verbose=0).trainer.classifier
    attacks = make_attacks("square", 0.3, queries=5)
    report = evaluate_robustness("runs/mnist", test, attacks, progress=False)
    report.write_json("runs/mnist/evaluation.json")
    figures = report.record
    (accuracy,) = (attack.robust_accuracy for attack in figures.attacks)
    compared = ComparedPart(
        name="mnist",
        digest="",
        access=BLACK_BOX,
        worst_case_interval=interval_of(accuracy, TEST_IMAGES),
        natural_interval=interval_of(figures.natural_accuracy, TEST_IMAGES),
        accuracies=(accuracy,),
        evaluation=figures,
    )
    ComparisonRecord(
        dataset="mnist",
        split="test",
        num_images=TEST_IMAGES,
        selection="first",
        images=figures.images,
        epsilon=0.3,
        cascade=False,
        seed=0,
        eot=1,
        attacks=(AskedAttackPart(name="square", budget="5 queries"),),
        models=ranked([compared, dataclasses.replace(compared, name="mnist-fgsm")]),
        versions=figures.versions,
        hardware=figures.hardware,
    ).write("comparison.json")
    truth = np.ones(len(test), bool)
    TallyRecord(
        identity={},
        attack=0,
        step=0,
        batch_size=40,
        attack_seconds=(1.0,),
        seconds=1.0,
        round_has_begun=False,
        correct=truth,
        robust=truth[None],
        waiting=truth,
        clean_classes=test.labels,
        classes=test.labels[None],
    ).write("runs/mnist/evaluation.partial.npz")
    Path("runs/mnist/diagnosis.json").write_text(json.dumps(_DIAGNOSIS))
    shutil.copytree("runs/mnist", "runs/mnist-fgsm")
    shutil.copytree(ROOT / "results" / "mnist-search", "searches/mnist")
    Path("photographs/cat").mkdir(parents=True)
    for place in ("three.png", "four.jpg", "photographs/cat/1.jpg"):
        keras.utils.save_img(place, test.images[0])
    if BACKEND == "tensorflow":
        from keras_efgsm.export import export_run

        export_run("runs/mnist", "exported_models/mnist", forms=["saved-model", "tflite", "onnx"])
        measured = "exported_models/mnist/mnist-1.measured.json"
        shutil.copy(ROOT / measured, measured)
    every = enlarged_digits("test", 360)
    logits = keras.ops.convert_to_numpy(trained(every.pixels(), training=False))
    right = np.flatnonzero(logits.argmax(-1) == every.labels)[:TEST_IMAGES]
    return ImageData(every.images[right], every.labels[right], CLASS_NAMES)
