"""Loss and logits of a batch of clean images."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_efgsm.backend import replica_count, without_empty_batch
from keras_efgsm.trainer.batch import read_labels
from keras_efgsm.typing import Tensor


class Evaluated(NamedTuple):
    """A batch of clean images, without those that are not really there.

    Attributes:
        y: labels as they came, for compiled metrics.
        labels: true classes `(B,)`, int32.
        sample_weight: weights `(B,)` or None.
        logits: float32 `(B, K)`.
        loss: their mean cross-entropy, unsmoothed.
    """

    y: Tensor
    labels: Tensor
    sample_weight: Tensor | None
    logits: Tensor
    loss: Tensor


def evaluate_batch(classify: Callable[[Any], Tensor], data: Any, num_classes: int) -> Evaluated:
    """Classifies a batch of clean images.

    Args:
        classify: maps images, or a dict that holds them, to logits `(B, K)`.
        data: `(x, y)` or `(x, y, sample_weight)`, as Keras hands it over.
        num_classes: the number K of classes.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    (x, y, sample_weight), present = without_empty_batch((x, y, sample_weight))
    logits = ops.cast(classify(x), "float32")
    if present is not None:
        logits, y = logits[:present], y[:present]
        sample_weight = None if sample_weight is None else sample_weight[:present]
    labels, probabilities = read_labels(y, num_classes)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(
        probabilities, logits, sample_weight=sample_weight
    )
    # Keras divides losses by the replicas.
    replicas = replica_count()
    loss = loss * replicas if replicas > 1 else loss
    return Evaluated(y, labels, sample_weight, logits, loss)
