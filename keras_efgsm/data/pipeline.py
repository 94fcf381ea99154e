"""`tf.data` pipelines whose elements name their sample, and whose order can be resumed.

The momentum of eFGSM belongs to one training sample, so every element carries
the sample's number, `"id"`. Order is a function of `(seed, epoch)` alone: a run
that is resumed at step k of epoch e sees what an uninterrupted one sees from there on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm.checks import check_count
from keras_efgsm.data.image_data import ImageData


def steps_per_epoch(data: ImageData, batch_size: int) -> int:
    """Returns how many batches one pass over `data` has, a last partial one included.

    Args:
        data: the images.
        batch_size: images per batch.
    """
    return -(-len(data) // check_count(batch_size, "batch_size"))


def training_dataset(
    data: ImageData,
    batch_size: int,
    *,
    seed: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
) -> tf.data.Dataset:
    """Makes an endless dataset that walks through `data` in a new order each epoch.

    The order of epoch e is a permutation drawn from `(seed, e)`. Keras keeps
    one iterator over all epochs of a `fit`, so give `fit` the same
    `initial_epoch` as here and `steps_per_epoch=steps_per_epoch(data,
    batch_size)`, which a `steps_per_execution` must divide: otherwise Keras'
    epochs and these drift apart. `shuffle=False` spares a warning of Keras.

    Args:
        data: the images.
        batch_size: images per batch; the last batch of an epoch may be smaller.
        seed: number from 0 that the orders are drawn from.
        initial_epoch: the epoch to start at. Defaults to 0.
        initial_step: the batch to start at in that epoch; the number of batches of an epoch is the
            start of the next. Defaults to 0.

    Returns:
        Dataset of `({"image": x, "id": i}, y)`: pixels `x` float32 in [0, 1]
        `(b, height, width, channels)`, sample numbers `i` int32 `(b,)`, labels
        `y` int32 `(b,)`.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    from keras_efgsm.data import load_digits, training_dataset

    data = load_digits("train")
    batch, labels = next(iter(training_dataset(data, 32, seed=0)))
    assert batch["image"].shape == (32, 8, 8, 1)
    ```
    """
    steps = steps_per_epoch(data, batch_size)
    batch_size = int(batch_size)
    seed = check_count(seed, "seed", minimum=0)
    initial_epoch = check_count(initial_epoch, "initial_epoch", minimum=0)
    initial_step = check_count(initial_step, "initial_step", minimum=0)
    if initial_step > steps:
        raise ValueError(
            f"`initial_step` must be at most {steps}, the batches of an epoch. "
            f"Received: initial_step={initial_step}"
        )
    gather = _gather(data)
    size = len(data)

    def epoch_batches(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(size), seed=tf.stack([tf.constant(seed, tf.int64), epoch]), alg="philox"
        )
        first = tf.where(epoch == initial_epoch, tf.constant(initial_step, tf.int64), 0)
        return tf.data.Dataset.range(first, steps).map(
            lambda step: order[step * batch_size : (step + 1) * batch_size]
        )

    def element(ids):
        images, labels = gather(ids)
        return {"image": images, "id": ids}, labels

    epochs = tf.data.Dataset.range(initial_epoch, np.iinfo("int64").max)
    batches = epochs.flat_map(epoch_batches).map(element)
    # An endless dataset should say so to whoever asks, as Keras never returns from one that is
    # given to `fit` without `steps_per_epoch`.
    endless = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return endless.prefetch(2).with_options(_deterministic())


def evaluation_dataset(data: ImageData, batch_size: int) -> tf.data.Dataset:
    """Makes a dataset of one pass over `data`, in order.

    Args:
        data: the images.
        batch_size: images per batch; the last batch may be smaller.

    Returns:
        Dataset of `(x, y)`: pixels `x` float32 in [0, 1] `(b, height, width,
        channels)`, labels `y` int32 `(b,)`.

    Example:

    ```python
    from keras_efgsm.data import evaluation_dataset, load_digits

    images, labels = next(iter(evaluation_dataset(load_digits("test"), 32)))
    assert images.shape == (32, 8, 8, 1)
    ```
    """
    steps = steps_per_epoch(data, batch_size)
    batch_size, size = int(batch_size), len(data)
    gather = _gather(data)

    def element(step):
        start = tf.cast(step, tf.int32) * batch_size
        return gather(tf.range(start, tf.minimum(start + batch_size, size)))

    return tf.data.Dataset.range(steps).map(element).prefetch(2).with_options(_deterministic())


def _gather(data: ImageData) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    # Tensors made out here are handed to the pipeline by reference; arrays used inside the mapped
    # function would be copied into its graph, which may not exceed 2 GB.
    with tf.device("CPU:0"):
        images, labels = tf.constant(data.images), tf.constant(data.labels)

    def gather(ids):
        pixels = tf.gather(images, ids)
        return tf.cast(pixels, tf.float32) / 255.0, tf.gather(labels, ids)

    return gather


def _deterministic() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    return options


def with_sample_ids(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Numbers the samples of a finite dataset, so that each can have its own momentum.

    The numbers count samples in the order in which they come. They must name
    the same sample in every epoch: call this before `.shuffle(...)` and before
    `.repeat(...)`.

    Args:
        dataset: a finite `tf.data.Dataset`, batched or not, of `(x, y)`, of
            `(x, y, sample_weight)` or of dicts `{"image": x, "label": y}` as
            tensorflow-datasets yields them; `x` is `(height, width, channels)`
            or `(b, height, width, channels)`.

    Returns:
        Dataset of `({"image": x, "id": i}, y)`, or with the `sample_weight`
        after it; `i` is int32 of shape `()` or `(b,)`.

    Raises:
        ValueError: if it is no dataset, is endless, is shuffled anew in each
            epoch, has ids already, or has elements of another form.

    Example:

    ```python
    import tensorflow as tf
    from keras_efgsm.data import with_sample_ids

    pairs = tf.data.Dataset.from_tensor_slices((tf.zeros((10, 8, 8, 1)), tf.zeros(10, tf.int32)))
    numbered = with_sample_ids(pairs).shuffle(10).batch(4)
    ```
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            "`dataset` must be a `tf.data.Dataset`; make one of arrays with "
            "`tf.data.Dataset.from_tensor_slices((images, labels))`. "
            f"Received: dataset={type(dataset).__name__}"
        )
    spec = dataset.element_spec
    take_apart = _take_apart(spec)
    image = take_apart(spec)[0]
    rank = image.shape.rank if isinstance(image, tf.TensorSpec) else None
    if rank not in (3, 4):
        raise ValueError(
            "the images of `dataset` must be of shape (height, width, channels), or with a batch "
            f"in front of that. Received: image={image}"
        )
    if _reshuffles(dataset):
        raise ValueError(
            "`dataset` is shuffled anew in each epoch, so that a number would name another sample "
            "each time: call `with_sample_ids` before `.shuffle(...)`, and read files with "
            "`shuffle_files=False`. Received: dataset with a reshuffling shuffle"
        )
    length = int(dataset.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "`dataset` must be finite, so that its samples can be numbered: call "
            "`with_sample_ids` before `.repeat()`. Received: dataset.cardinality()=INFINITE"
        )

    def number(first, element):
        x, *rest = take_apart(element)
        count = tf.shape(x)[0] if rank == 4 else 1
        ids = tf.range(first, first + count) if rank == 4 else first
        return first + count, ({"image": x, "id": ids}, *rest)

    numbered = dataset.scan(tf.constant(0, tf.int32), number)
    if length >= 0:
        numbered = numbered.apply(tf.data.experimental.assert_cardinality(length))
    return numbered


def _take_apart(spec: Any) -> Callable[[Any], tuple]:
    """How to take `(x, y)` or `(x, y, sample_weight)` out of an element."""
    if isinstance(spec, dict) and {"image", "label"} <= set(spec):
        return lambda element: (element["image"], element["label"])
    if isinstance(spec, tuple) and len(spec) in (2, 3):
        inputs = spec[0]
        if not isinstance(inputs, dict):
            return lambda element: element
        if "id" in inputs:
            raise ValueError(
                "the samples of `dataset` have ids already; use it as it is. "
                f"Received: dataset.element_spec[0] with keys {sorted(inputs)}"
            )
        if set(inputs) == {"image"}:
            return lambda element: (element[0]["image"], *element[1:])
    raise ValueError(
        "the elements of `dataset` must be (x, y), (x, y, sample_weight) or dicts with "
        f'"image" and "label". Received: dataset.element_spec={spec}'
    )


def _reshuffles(dataset: Any) -> bool:
    """Whether a shuffle upstream gives another order in each epoch, as far as can be seen.

    Only TensorFlow's private names tell; where they are gone, nothing is found.
    """
    if getattr(dataset, "_reshuffle_each_iteration", False):
        return True
    inputs = getattr(dataset, "_inputs", None)
    try:
        return any(_reshuffles(upstream) for upstream in inputs()) if inputs else False
    except (TypeError, AttributeError, NotImplementedError):
        return False
