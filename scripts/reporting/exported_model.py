"""The classifier of an export as a Keras model again, with what its card says of it."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.export.markdown import MEASURED
from keras_efgsm.networks import build_classifier
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.evaluation_command import command_line as evaluation_command
from keras_efgsm.records import EvaluationRecord

TOLERANCE = 1e-5
# The rounds of a targeted attack and the budgets of the others, as a card of version 0.1 has them.
_BUDGETS = {
    re.compile(r"(\d+) x (\d+) targets"): ("steps", "rounds"),
    re.compile(r"([\d,]+) queries"): ("queries",),
    re.compile(r"(\d+)"): ("steps",),
}


class Trained(NamedTuple):
    """A trained classifier and what is known of it.

    Attributes:
        classifier: functional, images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.
        class_names: K labels.
        config: how it was trained.
        evaluation: what it withstands.
        trained: how that went, fields of `RobustModelRecord`.
        test_images: how many images the test split has; None if that is not known.
    """

    classifier: keras.Model
    class_names: tuple[str, ...]
    config: TrainingConfig
    evaluation: EvaluationRecord
    trained: dict[str, Any]
    test_images: int | None = None

    @property
    def recipe(self) -> str:
        """Preset and options of the training."""
        return command_line(self.config).removeprefix("keras-efgsm train ")

    @property
    def command(self) -> str:
        """What trains and evaluates it again, with the names that presets have now."""
        evaluate = evaluation_command(self.evaluation.to_dict(), self.test_images)
        return f"{command_line(self.config)} --out RUN && {evaluate}"


def read_export(path: Path) -> Trained:
    """The classifier of a SavedModel, rebuilt, and what the card beside it says.

    Args:
        path: the version folder.

    Raises:
        ValueError: if the rebuilt classifier does not answer as the SavedModel does.
    """
    card = path.with_name(f"{path.parent.name}-{path.name}.md").read_text(encoding="utf-8")
    values = {name: json.loads(value) for name, value in _cells(card, "Training configuration")}
    trained = {name: values.pop(name) for name in list(values) if name.startswith("trained_")}
    config = TrainingConfig.from_dict(values)
    labels = tuple((path / "assets" / "labels.txt").read_text(encoding="utf-8").splitlines())
    return Trained(
        rebuilt(path, config, len(labels)),
        labels,
        config,
        evaluation_of(card),
        {
            "trained_epochs": trained["trained_epochs"],
            "trained_seconds": trained["trained_training_seconds"],
            "trained_hardware": trained["trained_hardware"],
            "trained_versions": trained["trained_versions"],
        },
    )


def rebuilt(path: Path, config: TrainingConfig, num_classes: int) -> keras.Model:
    """The network of a configuration with the weights of a SavedModel.

    Args:
        path: of the SavedModel, whose signature has its weights in the order of the graph.
        config: names the network and its activation.
        num_classes: number of logits.

    Raises:
        ValueError: if it does not answer as the SavedModel does, within `TOLERANCE`.
    """
    served = tf.saved_model.load(str(path))
    signature = served.signatures["serving_default"]
    shape = tuple(signature.structured_input_signature[1]["image"].shape[1:])
    classifier = build_classifier(
        config.classifier, shape, num_classes, activation=config.activation
    )
    classifier.set_weights([weight.numpy() for weight in signature.variables])
    x = np.random.default_rng(0).random((64, *shape), dtype="float32")
    expected = signature(image=tf.constant(x))["logits"].numpy()
    found = np.asarray(classifier(x, training=False))
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ValueError(
            "The rebuilt classifier must answer as the SavedModel does. "
            f"Received: path={str(path)!r}, a difference of {difference:.2g} in the logits"
        )
    print(f"largest difference of logits from the SavedModel on 64 random images: {difference:.1e}")
    return classifier


def evaluation_of(card: str) -> EvaluationRecord:
    """The figures of a card that was written before exports kept a record.

    Args:
        card: its text.
    """
    (about,) = re.findall(r"^Evaluated with: model `(.*?)`, hardware (.*?), python (.*)\.$", card,
                          re.MULTILINE)  # fmt: skip
    model, hardware, rest = about
    *versions, seconds = f"python {rest}".split(", ")
    dataset, split, images = re.findall(r"Measured on (\S+) \((\w+)\), (\d+) images\.", card)[0]
    attacks = []
    natural = worst = 0.0
    for label, budget, _, restarts, epsilon, count, seed, accuracy in _rows(card, "Figures")[1:]:
        share = round(float(accuracy.strip("* %")) / 100, 6)
        if label == "natural":
            natural = share
        elif label.startswith("**worst"):
            worst = share
        else:
            name, engine, *loss = re.split(r" |, loss ", label)
            attacks.append(
                {
                    "name": name,
                    "engine": engine,
                    "loss": loss[0] if loss else None,
                    "epsilon": float(epsilon),
                    "restarts": int(restarts),
                    "num_images": int(count),
                    "seed": int(seed),
                    "robust_accuracy": share,
                    **_spent(budget),
                }
            )
    return EvaluationRecord.from_dict(
        {
            "schema": 2,
            "model": model,
            "dataset": dataset,
            "split": split,
            "num_images": int(images),
            "natural_accuracy": natural,
            "cascade": "A cascade: " in card,
            "attacks": attacks,
            "worst_case_accuracy": worst,
            "versions": dict(version.rsplit(" ", 1) for version in versions),
            "hardware": hardware,
            "seconds": float(seconds.removesuffix(" s").replace(",", "")),
        }
    )


def _spent(budget: str) -> dict[str, int]:
    for pattern, fields in _BUDGETS.items():
        if match := pattern.fullmatch(budget):
            numbers = (int(number.replace(",", "")) for number in match.groups())
            return {"rounds": 1} | dict(zip(fields, numbers, strict=True))
    raise ValueError(f"A budget of a card was not understood. Received: budget={budget!r}")


def _rows(card: str, heading: str) -> list[list[str]]:
    """The rows of the first table of a section, the header first."""
    section = card.split(f"\n## {heading}\n")[1].split(f"\n## {MEASURED}")[0].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in row] for row in rows if set("".join(row)) - set("- ")]


def _cells(card: str, heading: str) -> list[tuple[str, str]]:
    return [(name, value.strip("`")) for name, value in _rows(card, heading)[1:]]
