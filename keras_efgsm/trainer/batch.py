"""A batch of training data, from whatever form `fit` hands over."""

from typing import Any

import keras
from keras import ops

from keras_efgsm.backend import batch_positions, without_empty_batch
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.typing import Tensor


def read_batch(data: Any, num_classes: int, *, needs_ids: bool, kept: Any = None) -> TrainingBatch:
    """Splits what `fit` hands to a training step into images, ids, labels and weights.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`; x images or `{"image": ..., "id": ...}`.
        num_classes: the number K of classes.
        needs_ids: whether sample ids are asked for; otherwise those of a batch without are the
            positions in it.
        kept: table of the training images as uint8, for batches that have ids alone. Defaults to
            none.

    Raises:
        ValueError: if ids are asked for and missing, or images are.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(x, dict):
        ids = ops.cast(x["id"], "int32")
    elif needs_ids:
        raise ValueError(
            "Per-sample momentum needs sample ids: pass arrays to `fit`, or wrap the dataset "
            f"with `with_sample_ids`. Received: a batch of type {type(x).__name__} without ids"
        )
    else:
        ids = batch_positions(ops.shape(x)[0])
    images = x["image"] if isinstance(x, dict) and "image" in x else x
    if isinstance(images, dict):
        if kept is None:
            raise ValueError(
                "A batch must hold images, or the trainer keep them: call `keep_images`. "
                f"Received: a batch with {sorted(x)}"
            )
        images = ops.cast(kept.gather(ids), "float32") / 255.0
    (images, ids, y, sample_weight), present = without_empty_batch((images, ids, y, sample_weight))
    labels, probabilities = read_labels(y, num_classes)
    return TrainingBatch(
        ops.cast(images, "float32"),
        ids,
        y,
        labels,
        probabilities,
        sample_weight,
        present=present,
    )


def read_labels(y: Tensor | None, num_classes: int) -> tuple[Tensor, Tensor]:
    """True classes `(B,)` and class probabilities `(B, K)` of integer or one-hot labels."""
    if y is None:
        raise ValueError("`y` must hold the labels of the images. Received: y=None")
    if len(y.shape) == 2 and y.shape[-1] == num_classes and num_classes > 1:
        return ops.argmax(y, axis=-1), ops.cast(y, "float32")
    labels = ops.cast(ops.reshape(y, (-1,)), "int32")
    return labels, ops.one_hot(labels, num_classes, dtype="float32")
