"""Attacks the trained rows and writes one JSON file for each measurement; none is made twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from experiments.reproduction.rows import Scale
from experiments.reproduction.training import TrainedRow
from keras_efgsm import equations
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.attacks import PGD
from keras_efgsm.backend import rival_margins_and_gradients
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.evaluation.attack_sets import make_attacks
from keras_efgsm.evaluation.transfer import Transfer
from keras_efgsm.records import read_json
from keras_efgsm.records.environment import hardware, versions

# The rows of figures 2 and 3.
COMPARED = ("ours", "madry", "trades", "free")
ITERATIONS = (1, 2, 5, 10, 20, 50, 100, 200)
RADII = {
    "mnist": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.7, 1.0),
    "cifar10": tuple(r / 255 for r in (2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 255)),
}
SOURCES = ("conv4", "resnet", "madry")


class Measurements:
    """The results folder: every measurement under its name, made if it is not there yet.

    Args:
        folder: where the JSON files lie.
        console: where progress goes.
    """

    def __init__(self, folder: Path, console: Console):
        self.folder = folder
        self.console = console

    def stored(self, name: str, key: dict[str, Any]) -> dict[str, Any] | None:
        """The measurement of a name, None if there is none.

        Raises:
            ValueError: if the folder holds a measurement of something else under this name.
        """
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        try:
            found = read_json(path)
            result = found["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"The results folder holds a damaged file; remove it. Received: {path}"
            ) from error
        if found["key"] != key:
            raise ValueError(
                "The results folder holds results of another configuration; give another --out, or "
                f"remove this file. Received: {path}"
            )
        return result

    def get(self, name: str, key: dict[str, Any], measure: Callable[[], dict]) -> dict[str, Any]:
        """The measurement of a name.

        Args:
            name: of its file.
            key: all that it depends on; what is there with another one is refused.
            measure: makes it.

        Raises:
            ValueError: if the folder holds a measurement of something else under this name.
        """
        result = self.stored(name, key)
        if result is not None:
            return result
        self.console.print(f"measuring {name}", soft_wrap=True)
        result = measure()
        facts = {"key": key, "hardware": hardware(), "versions": versions(), "result": result}
        path = self.folder / f"{name}.json"
        write_atomically(path, json.dumps(facts, indent=2) + "\n")
        return result


def key_of(trained: TrainedRow, scale: Scale) -> dict[str, Any]:
    """What the measurements of a row depend on, but for the machine."""
    config = trained.config.to_dict()
    config.pop("data_dir")
    return {"config": config, "test_images": scale.test_images, "steps": scale.steps}


def measure_row(
    measurements: Measurements, trained: TrainedRow, test: ImageData, scale: Scale
) -> dict[str, Any]:
    """Natural accuracy, the adaptive attacks (adp), and PGD with a fixed step on both losses."""
    epsilon = trained.row.config.epsilon

    def measure() -> dict[str, Any]:
        images = test.take(scale.test_images)
        model = load_classifier(trained.folder.path)
        adaptive = make_attacks("adp", epsilon, steps=scale.steps, targets=scale.targets)
        if trained.row.has_black_box:
            adaptive += make_attacks("square", epsilon, queries=scale.queries)
        strongest = evaluate_robustness(model, images, adaptive, cascade=True)
        # In a cascade each figure is that of all attacks so far.
        adp = strongest.attacks[1].robust_accuracy
        fixed = make_attacks("pgd-ce,pgd-cw", epsilon, steps=scale.steps)
        pgd = evaluate_robustness(model, images, fixed)
        training = trained.metrics()
        history = trained.folder.read_history()
        return {
            "seconds": training["training_seconds"],
            "fastest_epoch_seconds": min(row["seconds"] for row in history),
            "epochs": training["epochs"],
            "parameters": training["parameters"],
            "natural_accuracy": strongest.natural_accuracy,
            "natural_accuracy_all": training["natural_accuracy"],
            "adp": adp,
            "with_black_box": strongest.worst_case_accuracy,
            "reports": {"strongest": strongest.to_dict(), "pgd": pgd.to_dict()},
            **{attack.name: attack.robust_accuracy for attack in pgd.attacks},
        }

    return measurements.get(trained.name, key_of(trained, scale), measure)


def measure_curves(
    measurements: Measurements, trained: TrainedRow, test: ImageData, scale: Scale, dataset: str
) -> dict[str, Any]:
    """PGD-CE by number of iterations (figure 2) and by epsilon (figure 3)."""
    epsilon = trained.row.config.epsilon
    iterations = [n for n in ITERATIONS if n <= 2 * scale.steps]

    def measure() -> dict[str, Any]:
        images = test.take(scale.curve_images)
        model = load_classifier(trained.folder.path)

        def accuracy(radius: float, steps: int) -> float:
            attack = PGD(epsilon=radius, steps=steps, step_size=max(radius / 30, radius / steps))
            return evaluate_robustness(model, images, attack).worst_case_accuracy

        return {
            "images": scale.curve_images,
            "iterations": [[n, accuracy(epsilon, n)] for n in iterations],
            "epsilons": [[r, accuracy(r, scale.steps)] for r in RADII[dataset]],
        }

    return measurements.get(f"curves-{trained.name}", key_of(trained, scale), measure)


def measure_transfer(
    measurements: Measurements,
    target: TrainedRow,
    sources: list[TrainedRow],
    test: ImageData,
    scale: Scale,
) -> dict[str, Any]:
    """PGD-CE-20 made on other models (table 5)."""
    epsilon = target.row.config.epsilon
    key = {"target": key_of(target, scale), "sources": [source.name for source in sources]}

    def measure() -> dict[str, Any]:
        model, images = load_classifier(target.folder.path), test.take(scale.test_images)
        result = {}
        for source in sources:
            attack = PGD(epsilon=epsilon, steps=min(20, scale.steps), step_size=epsilon / 10)
            transferred = Transfer(attack, load_classifier(source.folder.path))
            report = evaluate_robustness(model, images, transferred)
            own = load_classifier(source.folder.path)
            result[source.row.name] = {
                "robust_accuracy": report.worst_case_accuracy,
                "on_itself": evaluate_robustness(own, images, attack).worst_case_accuracy,
            }
        return result

    return measurements.get("transfer", key, measure)


def measure_high_risk(
    measurements: Measurements, trained: TrainedRow, test: ImageData, scale: Scale
) -> dict[str, Any]:
    """Share of test images whose linearised distance to the nearest boundary is below epsilon.

    Equation 9 at the clean image, the minimum over all rival classes; an image that is
    misclassified is at risk too.
    """
    epsilon = trained.row.config.epsilon

    def measure() -> dict[str, Any]:
        classifier = keras.models.load_model(trained.folder.classifier, compile=False)
        images = test.take(scale.test_images)

        @tf.function(autograph=False)
        def distances(x, labels):
            logits, margins, gradients = rival_margins_and_gradients(
                lambda x: classifier(x, training=False), x, labels, None
            )
            distance, _, _ = equations.linearised_margin(margins, gradients)
            return tf.where(equations.margin(logits, labels) > 0.0, distance, 0.0)

        found = np.concatenate(
            [
                distances(
                    tf.constant(images.pixels(slice(start, start + 500))),
                    tf.constant(images.labels[start : start + 500]),
                ).numpy()
                for start in range(0, len(images), 500)
            ]
        )
        return {
            "high_risk": float((found < epsilon).mean()),
            "median_distance": float(np.median(found)),
            "images": len(images),
        }

    return measurements.get(f"high-risk-{trained.name}", key_of(trained, scale), measure)
