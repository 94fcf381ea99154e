"""`model.json` of a robust model that comes with the package."""

from dataclasses import dataclass
from typing import ClassVar

from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import AnyRadius, Count, Seconds, check_radius_of
from keras_efgsm.records.record import Record
from keras_efgsm.records.wording import norm_name, percent, radius


@dataclass(frozen=True, kw_only=True)
class RobustModelRecord(Record):
    """What is known of a robust model: its images, how it was trained and what it withstands.

    Args:
        name: by which it is loaded.
        summary: what it is, in one sentence.
        file: name of its `.keras` file, which lies beside.
        sha256: digest of that file.
        license: identifier of the licence, as model hubs know it.
        dataset: name of the data set that it was trained on.
        image_shape: `(H, W, C)`.
        class_names: one label per logit, in the order of the logits.
        parameters: number of weights.
        norm: of the ball that it was trained for, see `checks.NORMS`.
        epsilon: radius of that ball, in pixels of [0, 1].
        recipe: preset and method that trained it.
        command: which trains and evaluates it again.
        trained_epochs: how many epochs; None if it was not recorded.
        trained_seconds: of training; None if it was not recorded.
        trained_hardware: the processor; None if it was not recorded.
        trained_versions: versions of the packages; None if they were not recorded.
        evaluation: what it withstands.

    Example:

    ```python
    record = robust_models()["digits"]
    record.image_shape  # (8, 8, 1)
    ```
    """

    NAME: ClassVar[str] = "model.json"
    ASCII: ClassVar[bool] = False

    name: str
    summary: str
    file: str
    sha256: str
    license: str
    dataset: str
    image_shape: tuple[Count, ...]
    class_names: tuple[str, ...]
    parameters: Count
    norm: str
    epsilon: AnyRadius
    recipe: str
    command: str
    trained_epochs: Count | None = None
    trained_seconds: Seconds | None = None
    trained_hardware: str | None = None
    trained_versions: dict[str, str] | None = None
    evaluation: EvaluationRecord

    def check(self) -> None:
        """Checks that shape, ball and evaluation fit each other."""
        if len(self.image_shape) != 3:
            raise RecordError(
                "it must have an image_shape of height, width and channels",
                f"image_shape={self.image_shape}",
            )
        check_radius_of(self.norm, self.epsilon)
        if not self.evaluation.attacks or self.evaluation.norm != self.norm:
            raise RecordError(
                f"it must have an evaluation with attacks of its norm, {self.norm}",
                f"norm={self.evaluation.norm!r}",
            )

    @property
    def natural_accuracy(self) -> float:
        """The share of unattacked images, in [0, 1], that it classifies correctly."""
        return self.evaluation.natural_accuracy

    @property
    def robust_accuracy(self) -> float:
        """The share of images, in [0, 1], that withstood every attack of the evaluation."""
        return self.evaluation.robust_accuracy

    @property
    def ball(self) -> str:
        """What it was trained for, in words: `"L-infinity, 0.3"`."""
        return f"{norm_name(self.norm)}, {radius(self.epsilon, self.norm)}"

    def __str__(self) -> str:
        height, width, channels = self.image_shape
        return (
            f"{self.name}: {height} x {width} x {channels}, {self.ball}; natural "
            f"{percent(self.natural_accuracy)}, robust {percent(self.robust_accuracy)}"
        )
