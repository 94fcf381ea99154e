"""What is asked of every batch of a training, an evaluation or a prediction.

The steps of all three go through `with_checked_batches` of the backend, which asks here; so does
`fit` for what it looks at before the first step.
"""

from typing import Any

import keras
import numpy as np

from keras_efgsm.array_checks import (
    check_images,
    check_labels,
    check_sample_ids,
    check_sample_weights,
)
from keras_efgsm.backend.batch_check import BatchLimits
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.typing import ImageShape


class BatchPosition:
    """Which batch of which epoch is taken, counted by the host."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.first = self.last = 0

    def restart(self) -> None:
        """Begins to count: an epoch, an evaluation or a prediction begins."""
        self.first = self.last = 0

    def advance(self, steps: int) -> None:
        """Goes on to the next batches.

        Args:
            steps: how many Keras takes at once.
        """
        self.first, self.last = self.last + 1, self.last + steps

    def describe(self) -> str:
        """The batch, from 1, or among which it is."""
        if self.first == self.last:
            return f"Batch {self.first}"
        return f"One of the batches {self.first} to {self.last}"


class StepCheck:
    """Refuses bad batches of one kind of step, and says which one and why.

    Args:
        kind: `"training"`, `"evaluation"` or `"prediction"`.
        limits: what the batches must keep to.
        position: which batch is taken.

    Example:

    ```python
    check = StepCheck("prediction", BatchLimits((8, 8, 1)), BatchPosition())
    check.advance(1)
    check.refuses((np.full((4, 8, 8, 1), 200.0),))  # True
    ```
    """

    def __init__(self, kind: str, limits: BatchLimits, position: BatchPosition):
        self.kind, self.limits, self.position = kind, limits, position
        self._refused: str | None = None

    def advance(self, steps: int) -> None:
        """See `BatchPosition.advance`."""
        self._refused = None
        self.position.advance(steps)

    def refuses(self, data: Any) -> bool:
        """Whether a batch must not be taken, which it then remembers.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)` of NumPy arrays, as Keras hands it to
                a step; x images or `{"image": ..., "id": ...}`.
        """
        try:
            check_batch(data, self.limits)
        except ValueError as error:
            self._refused = self._refused or str(error)
            return True
        return False

    def raise_refused(self, stopped: bool = False) -> None:
        """Raises the `ValueError` of the batch that was refused, if one was.

        Args:
            stopped: whether the step was stopped, if not by this process then by another worker.
                Defaults to `False`.

        Raises:
            ValueError: if so.
        """
        if self._refused is None and not stopped:
            return
        seen, self._refused = self._refused, None
        where = f"{self.position.describe()} of the {self.kind}"
        if self.kind == "training":
            if self.position.epoch is not None:
                where = f"{self.position.describe()} of epoch {self.position.epoch + 1}"
            where += " was refused, and the weights are those before it"
        else:
            where += " was refused"
        other = "another worker has refused its part and says why. Received: nothing bad here"
        raise ValueError(f"{where}: {seen or other}") from None


def limits_of(kind: str, num_classes: int, samples: SampleMemory) -> BatchLimits:
    """What the batches of one kind of step must keep to.

    Args:
        kind: see `StepCheck`; a prediction has no labels, and a training alone sample ids.
        num_classes: the number K of classes.
        samples: for the shape of the images, and what is kept by sample id.
    """
    limits = BatchLimits(samples.image_shape)
    if kind != "prediction":
        limits = limits._replace(num_classes=num_classes)
    if kind == "training":
        limits = limits._replace(num_ids=samples.num_ids, distinct_ids=samples.needs_ids)
    return limits


def check_batch(data: Any, limits: BatchLimits) -> None:
    """Checks a batch against its limits.

    Args:
        data: see `StepCheck.refuses`.
        limits: what is asked.

    Raises:
        ValueError: if images, labels, sample weights or ids are not as they must be.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    ids = x.get("id") if isinstance(x, dict) else None
    images = x.get("image") if isinstance(x, dict) else x
    if images is not None:
        _check_images(images, limits.image_shape)
    elif limits.num_ids is None:
        raise ValueError(
            "A batch must hold images. Received: a batch with "
            f"{sorted(x) if isinstance(x, dict) else x}"
        )
    count = len(np.asarray(ids) if images is None else images)
    if limits.num_classes is not None:
        _check_labels(y, limits.num_classes, count)
        if sample_weight is not None:
            check_sample_weights(sample_weight, count)
    if limits.num_ids is not None and ids is not None:
        if np.shape(ids) != (count,):
            raise ValueError(
                f"`id` must have shape ({count},): one for each image. "
                f"Received: id.shape={np.shape(ids)}"
            )
        check_sample_ids(ids, limits.num_ids, distinct=limits.distinct_ids)


def _check_images(images: Any, image_shape: ImageShape) -> None:
    check_images(images, "x")
    if tuple(images.shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"`x` must hold images of shape {image_shape}, as the classifier takes them. "
            f"Received: x.shape={tuple(images.shape)}"
        )


def _check_labels(labels: Any, num_classes: int, count: int) -> None:
    if labels is None:
        raise ValueError("`y` must hold the labels of the images. Received: y=None")
    check_labels(keras.ops.convert_to_numpy(labels), num_classes, count, "y")
