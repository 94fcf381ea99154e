"""`metrics.json`: how a training ended."""

from dataclasses import dataclass
from typing import ClassVar

from keras_efgsm.records.data import DataRecord
from keras_efgsm.records.intervals import Interval, interval_of
from keras_efgsm.records.part import Count, Part, Seconds, Share
from keras_efgsm.records.record import Record


@dataclass(frozen=True, kw_only=True)
class StopRecord(Part):
    """Whether the overfitting stop ended a training.

    Args:
        fired: whether it did.
        epoch: in which epoch, from 1.
        reason: what it saw.
        restored_epoch: the epoch whose weights were put back; None if none were.
    """

    fired: bool
    epoch: int | None = None
    reason: str | None = None
    restored_epoch: int | None = None

    @property
    def in_words(self) -> str:
        """The outcome in a sentence."""
        restored = self.restored_epoch
        back = "" if restored is None else f"; the weights of epoch {restored} were put back"
        if not self.fired:
            at_end = f": {self.reason}{back}" if back else ""
            return f"The overfitting stop watched the training and did not fire{at_end}."
        return f"The overfitting stop ended training in epoch {self.epoch}: {self.reason}{back}."


@dataclass(frozen=True, kw_only=True)
class MetricsRecord(Record):
    """The figures of a finished training. The file has no schema number.

    Args:
        natural_accuracy: share of the clean test images in [0, 1] that are classified correctly.
        test_images: how many those are.
        train_images: how many images were trained on.
        epochs: how many were trained; None for a model that was trained elsewhere.
        training_seconds: wall-clock time of all epochs.
        stop: what the overfitting stop did; None without it.
        warnings: what a user should know of how it ended, a sentence each.
        parameters: how many, by network.
        momentum_bytes: size of the momentum Gamma; 0 for a method without.
        class_names: of the classes, in order.
        data: what the images are known again by, by split; without those that were not loaded by
            the name of their data set.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seed: the run's seed.

    Example:

    ```python
    MetricsRecord.read("runs/mnist/metrics.json").training_seconds
    ```
    """

    NAME: ClassVar[str] = "metrics.json"
    HAS_SCHEMA: ClassVar[bool] = False

    natural_accuracy: Share
    test_images: Count | None = None
    train_images: Count | None = None
    epochs: Count | None = None
    training_seconds: Seconds | None = None
    stop: StopRecord | None = None
    warnings: tuple[str, ...] | None = None
    parameters: dict[str, Count] | None = None
    momentum_bytes: Count | None = None
    class_names: tuple[str, ...] | None = None
    data: dict[str, DataRecord] | None = None
    versions: dict[str, str] | None = None
    hardware: str | None = None
    seed: int | None = None

    @property
    def interval_of_natural(self) -> Interval | None:
        """The 95 % Wilson interval of `natural_accuracy`; None if the images were not counted."""
        return interval_of(self.natural_accuracy, self.test_images)
