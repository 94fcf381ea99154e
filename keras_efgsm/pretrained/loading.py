"""Finds the robust models that come with the package, and loads one."""

from pathlib import Path

import keras

from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.printing import ResultTable, as_html, as_text
from keras_efgsm.records.exported_files import digests
from keras_efgsm.records.robust_model import RobustModelRecord
from keras_efgsm.records.wording import percent

MODELS = Path(__file__).parent / "models"
"""The folder of the models, a folder each."""
RECORD_FILE, CARD_FILE, CLASSIFIER_FILE = "model.json", "README.md", "classifier.keras"


class RobustModels(dict[str, RobustModelRecord]):
    """Robust models by name, which print as a table."""

    def table(self) -> ResultTable:
        """A row for each model, in 80 columns; their cards say the rest."""
        table = ResultTable("name", "images", "ball", title="robust models, under `standard`")
        for figure in ("natural", "robust"):
            table.add_column(figure, justify="right")
        for name, record in self.items():
            table.add_row(
                name,
                " x ".join(map(str, record.image_shape)),
                record.ball,
                percent(record.natural_accuracy),
                percent(record.robust_accuracy),
            )
        return table

    def __str__(self) -> str:
        return as_text(self.table())

    def _repr_html_(self) -> str:
        return as_html(self.table())


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
    found = digests(file)[file.name] if file.is_file() else None
    if found != known[name].sha256:
        raise ValueError(
            f"The file of {name!r} must be as it was released, with the SHA-256 "
            f"{known[name].sha256}; install keras_efgsm again. Received: sha256={found!r}"
        )
    return read_keras_file(file)
