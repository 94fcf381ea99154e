"""Looks at the data given to `fit` before any training time is spent."""

import sys
import warnings
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_efgsm.array_checks import check_sample_ids
from keras_efgsm.backend.batch_check import BatchLimits
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.trainer.batch_checks import check_batch
from keras_efgsm.trainer.unnumbered import with_ids_or_without_momentum

if TYPE_CHECKING:
    import tensorflow as tf

# `tf.data.INFINITE_CARDINALITY`
_ENDLESS = -1
# A batch of fewer images may be of one class by chance.
_TELLING = 8


def inspect_training_data(
    x: Any, y: Any, samples: SampleMemory, num_classes: int
) -> tuple[Any, int | None]:
    """Checks training data and adds sample ids to arrays, and to a dataset that is in order.

    Args:
        x: what `fit` was given: arrays, a dict of arrays, a `tf.data.Dataset`, a `PyDataset` or a
            generator.
        y: labels, if `x` is an array.
        samples: what is kept for each sample, for its momentum and the shape of the images.
        num_classes: the number K of classes.

    Returns:
        `(x, num_samples)`: what to train on, with an `id` beside the `image` where it had none; the
        number of samples, None where it is not known and not needed.

    Raises:
        ValueError: if images, labels or ids are wrong, or an endless dataset needs `num_samples`.
    """
    if _is_tensorflow(x, "data.Dataset"):
        x = with_ids_or_without_momentum(x, samples)
        return x, _inspect_dataset(x, samples, num_classes)
    samples.forget(False)
    if y is None and (
        isinstance(x, (np.ndarray, dict)) or keras.ops.is_tensor(x) or _is_tensorflow(x, "Tensor")
    ):
        raise ValueError("`y` must hold the labels of the images in `x`. Received: y=None")
    if x is None or y is None:
        # A PyDataset or a generator: nothing to look at without using it up.
        return x, _given_num_samples(samples, x)
    images = x["image"] if isinstance(x, dict) and "image" in x else x
    check_batch((images, y), BatchLimits(samples.image_shape, num_classes))
    num_samples = len(images)
    ids = np.asarray(x["id"]) if isinstance(x, dict) and "id" in x else np.arange(num_samples)
    _check_room(ids, num_samples, samples)
    return {"image": images, "id": ids.astype("int32")}, num_samples


def inspect_validation_data(data: Any, samples: SampleMemory, num_classes: int) -> None:
    """Checks validation data before the training that they are to judge.

    Args:
        data: `validation_data` of `fit`: `(x, y)` or `(x, y, sample_weight)` of arrays, which are
            looked at whole, a `tf.data.Dataset`, whose first batch is, or anything else, of which
            nothing can be seen before its time. The evaluation looks at every batch.
        samples: for the shape of the images.
        num_classes: the number K of classes.

    Raises:
        ValueError: if images, labels or sample weights are not as `evaluate` takes them.
    """
    if _is_tensorflow(data, "data.Dataset"):
        data = next(iter(data.take(1)), None)
    elif not isinstance(data, (tuple, list)):
        return
    if data is None:
        return
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(data))
    images = x["image"] if isinstance(x, dict) and "image" in x else x
    if not (hasattr(images, "shape") and hasattr(y, "shape")):
        return
    limits = BatchLimits(samples.image_shape, num_classes)
    try:
        check_batch((np.asarray(images), np.asarray(y), sample_weight), limits)
    except ValueError as error:
        raise ValueError(f"In `validation_data`, {error}") from error


def _is_tensorflow(value: Any, kind: str) -> bool:
    """Whether it is of a class of TensorFlow, which need not be there."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, attrgetter(kind)(tensorflow))


def _inspect_dataset(
    dataset: "tf.data.Dataset", samples: SampleMemory, num_classes: int
) -> int | None:
    element = next(iter(dataset.take(1)), None)
    if element is None:
        raise ValueError("The training dataset must hold at least one batch. Received: x with none")
    if not isinstance(element, tuple) or len(element) not in (2, 3):
        raise ValueError(
            'The training dataset must yield ({"image": ..., "id": ...}, label) or the same with '
            "a sample weight; `with_sample_ids` makes such elements. "
            f"Received: x.element_spec={dataset.element_spec}"
        )
    inputs = element[0]
    has_ids = isinstance(inputs, dict) and "id" in inputs and "image" in inputs
    if not has_ids and (samples.needs_ids or isinstance(inputs, dict)):
        raise ValueError(
            "The per-sample momentum needs sample ids: apply `with_sample_ids(dataset)` before "
            "`.shuffle()` and `.batch()`. "
            f"Received: x.element_spec={dataset.element_spec}"
        )
    images = inputs["image"] if has_ids else inputs
    if images.shape.rank == 3:
        raise ValueError(
            "The training dataset must yield batches: call `.batch(batch_size)` on it. "
            f"Received: x.element_spec={dataset.element_spec}"
        )
    images, labels = images.numpy(), element[1].numpy()
    if images.dtype.kind in "iu" or images.max(initial=0.0) > 1.5:
        raise ValueError(
            "The training dataset must yield floating-point pixels in [0, 1]; divide 0..255 pixels "
            "by 255, as in `dataset.map(lambda x, y: (tf.cast(x, tf.float32) / 255, y))`. "
            f"Received: images.dtype={images.dtype}, images.max()={images.max()}"
        )
    check_batch((images, labels), BatchLimits(samples.image_shape, num_classes))
    classes = labels.argmax(axis=-1) if labels.shape[1:] == (num_classes,) else labels
    if len(labels) >= _TELLING and len(np.unique(classes)) == 1:
        warnings.warn(
            "All images of the first training batch are of one class, as where a folder is read "
            "without `shuffle=True`: batches of one class train badly.",
            stacklevel=4,
        )
    if not samples.needs_ids:
        return None
    if int(dataset.cardinality()) == _ENDLESS or samples.num_samples is not None:
        given = _given_num_samples(samples, dataset)
        assert given is not None
        _check_room(inputs["id"].numpy(), given, samples)
        return given
    ids = np.concatenate([batch.numpy() for batch in dataset.map(lambda inputs, *_: inputs["id"])])
    if not np.issubdtype(ids.dtype, np.integer):
        check_sample_ids(ids, 1)
    num_samples = int(ids.max()) + 1 if samples.momentum is None else samples.momentum.num_samples
    _check_room(ids, num_samples, samples)
    return num_samples


def _given_num_samples(samples: SampleMemory, x: Any) -> int | None:
    if samples.needs_ids and samples.num_samples is None:
        raise ValueError(
            "The number of training samples cannot be counted in this data: pass `num_samples=` "
            f"to `AdversarialTrainer`. Received: x={type(x).__name__}, num_samples=None"
        )
    return samples.num_samples


def _check_room(ids: np.ndarray, num_samples: int, samples: SampleMemory) -> None:
    room = num_samples
    if samples.momentum is not None and samples.needs_ids:
        room = samples.momentum.num_samples
    elif samples.num_samples is not None:
        room = samples.num_samples
    if samples.needs_ids and num_samples > room:
        raise ValueError(
            f"The momentum was made for {room} training samples; call `reset_momentum()` before "
            f"training on another data set. Received: {num_samples} samples"
        )
    check_sample_ids(ids, room)
