"""Finds the robust models that come with the package, and loads one."""

import hashlib
from pathlib import Path

import keras

from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.records.robust_model import RobustModelRecord
from keras_efgsm.records.wording import number, percent

MODELS = Path(__file__).parent / "models"
"""The folder of the models, a folder each."""
RECORD_FILE, CARD_FILE, CLASSIFIER_FILE = "model.json", "README.md", "classifier.keras"


class RobustModels(dict[str, RobustModelRecord]):
    """Robust models by name, which print as a table."""

    _HEADER = ("name", "images", "ball", "natural", "robust", "parameters", "recipe")

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each model, in the order of the table's columns."""
        return [
            (
                name,
                " x ".join(map(str, record.image_shape)),
                record.ball,
                percent(record.natural_accuracy),
                percent(record.robust_accuracy),
                number(record.parameters),
                record.recipe,
            )
            for name, record in self.items()
        ]

    def __str__(self) -> str:
        lines = [self._HEADER, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join(padded)

    def _repr_markdown_(self) -> str:
        lines = [self._HEADER, ("---",) * len(self._HEADER), *self.rows()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def robust_models() -> RobustModels:
    """The robust models that come with the package, with what is known of each.

    Their robust accuracy is the worst case over the attacks of `"standard"`, AutoAttack's four, on
    the test images that `record.evaluation` names.

    Returns:
        By name a `RobustModelRecord`: `image_shape`, `epsilon`, `norm`, `natural_accuracy`,
        `robust_accuracy`, `recipe`, `command`, `class_names` and more. Printed, it is a table.

    Raises:
        ValueError: if the record of one is damaged.

    Example:

    ```python
    print(robust_models())
    robust_models()["mnist"].image_shape  # (28, 28, 1)
    ```
    """
    records = (
        RobustModelRecord.read(folder / RECORD_FILE)
        for folder in sorted(MODELS.iterdir())
        if (folder / RECORD_FILE).is_file()
    )
    return RobustModels({record.name: record for record in records})


def load_robust(name: str) -> keras.Model:
    """Loads a robust classifier that comes with the package.

    It is a functional Keras model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`, in
    float32, as any other: to be evaluated, trained further, exported.

    Args:
        name: one of `robust_models()`.

    Raises:
        ValueError: if there is no such model, or its file is not as it was released.

    Example:

    ```python
    classifier = load_robust("digits")
    classifier.input_shape  # (None, 8, 8, 1)
    ```
    """
    known = robust_models()
    if name not in known:
        raise ValueError(
            f"`name` must be one of the robust models {', '.join(known)}. Received: name={name!r}"
        )
    file = MODELS / name / known[name].file
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
    if found != known[name].sha256:
        raise ValueError(
            f"The file of {name!r} must be as it was released, with the SHA-256 "
            f"{known[name].sha256}; install keras_efgsm again. Received: sha256={found!r}"
        )
    return read_keras_file(file)
