"""A `tf.data.Dataset` without sample ids, for an attack that keeps a momentum for each sample."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.sample_memory.sample_ids import reshuffles, with_sample_ids

if TYPE_CHECKING:
    import tensorflow as tf


def with_ids_or_without_momentum(
    dataset: "tf.data.Dataset", samples: SampleMemory
) -> "tf.data.Dataset":
    """Numbers the samples of a dataset that comes in the same order each time.

    Of another one, such as what `keras.utils.image_dataset_from_directory` shuffles by default, a
    number would name another sample in each epoch: it is trained on as it is, and the attack begins
    each time as on samples that it has not seen before, with a warning.

    Args:
        dataset: batches of `(x, y)` or `(x, y, sample_weight)`.
        samples: what is kept for each sample; told whether it forgets them.

    Returns:
        The dataset to train on.
    """
    samples.forget(False)
    spec = dataset.element_spec
    inputs = spec[0] if isinstance(spec, tuple) and len(spec) in (2, 3) else None
    images, is_named = inputs, False
    if isinstance(inputs, dict) and set(inputs) == {"image"}:
        images, is_named = inputs["image"], True
    # What is no batch of images without ids is refused by whoever asked.
    shape = getattr(images, "shape", None)
    if not samples.needs_ids or shape is None or shape.rank != 4:
        return dataset
    if _comes_in_order(dataset):
        return with_sample_ids(dataset)
    samples.forget(True)
    warnings.warn(
        "The training dataset has no sample ids and comes in another order, or other images, each "
        "time, so that the attack trains without the momentum of each sample, which costs "
        "robustness: keep it by arrays, by `keras_efgsm.data.load_folder`, or by "
        "`with_sample_ids(dataset)` before `.shuffle()` and random augmentation.",
        stacklevel=4,
    )
    return dataset.map(lambda x, *rest: (x["image"], *rest)) if is_named else dataset


def _comes_in_order(dataset: "tf.data.Dataset") -> bool:
    """Whether a pass gives the same samples in the same order again, by all that is seen."""
    import tensorflow as tf

    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY or reshuffles(dataset):
        return False
    if dataset.options().deterministic is False:
        return False
    first, again = (_first_batch(dataset) for _ in range(2))
    return len(first) == len(again) and all(map(np.array_equal, first, again))


def _first_batch(dataset: "tf.data.Dataset") -> list[np.ndarray]:
    import tensorflow as tf

    batch: Any = next(iter(dataset.take(1)), ())
    return [part.numpy() for part in tf.nest.flatten(batch)]
